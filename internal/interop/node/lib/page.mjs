// Makes a program under Node believe that it is in a page. Each line of its input is the name
// of an event that this page is told. It does not end by itself, as a page does not.
import { createInterface } from 'node:readline'

const window = new EventTarget()
const document = Object.assign(new EventTarget(), { visibilityState: 'visible' })
const ofDocument = ['freeze', 'resume', 'visibilitychange']

globalThis.addEventListener = window.addEventListener.bind(window)
globalThis.removeEventListener = window.removeEventListener.bind(window)
globalThis.document = document

createInterface({ input: process.stdin }).on('line', (name) => {
  (ofDocument.includes(name) ? document : window).dispatchEvent(new Event(name))
})
