// A room without oRPC: everything that is needed to show events and to call a method.

import { dial, httpToken } from '@go-orpc/durable-iterator-client'
import type { Event, Line } from './contract.js'

interface Methods { say: (input: { lines: Line[] }) => Promise<void> }

const name = `guest ${Math.floor(Math.random() * 1_000)}`
const list = document.querySelector('ol')!
const show = (text: string): unknown => list.appendChild(document.createElement('li')).textContent = text

const room = await dial<Event, Methods>({
  url: '/room',
  token: httpToken(`/token?room=lobby&name=${name}`),
  onState: state => document.querySelector('output')!.textContent = state,
  onGap: () => show('(some messages are missing)'),
})
document.querySelector('form')!.onsubmit = (event) => {
  event.preventDefault()
  const input = document.querySelector('input')!
  room.rpc.say({ lines: [{ key: String(Math.random()), text: input.value }] }).catch(show)
  input.value = ''
}
for await (const { said } of room) {
  if (said) {
    show(`${said.from}: ${said.text}`)
  }
}
