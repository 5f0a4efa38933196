import { RefusedError } from '@go-orpc/durable-iterator-client'
import type { State } from '@go-orpc/durable-iterator-client'
import type { Line, Message } from './contract.js'
import { face } from './face.js'

const TYPING_FOR = 3_000
/** Messages of one person are grouped if the time between them is not longer, in milliseconds. */
const TOGETHER = 5 * 60_000
/** The distance from the end of the conversation up to which it scrolls with new messages, in pixels. */
const NEAR = 80

export interface Listeners {
  onSay: (text: string) => void
  onTyping: () => void
}

const $ = <E extends HTMLElement>(id: string): E => document.getElementById(id) as E

const TEXTS: Record<State, string> = {
  connecting: 'Connecting…',
  live: 'Live',
  waiting: 'Reconnecting…',
  closed: 'Disconnected',
}

/** The view of a room. */
export class View {
  /** The messages that were shown, by their keys. A repeated one is not shown again. */
  readonly #shown = new Map<string, HTMLElement>()
  readonly #waiting = new Map<string, HTMLElement>()
  readonly #typing = new Map<string, ReturnType<typeof setTimeout>>()
  #last: Message | undefined
  #scrolling = false

  constructor(room: string, listeners: Listeners) {
    $('room').textContent = room
    document.title = `#${room}`
    this.#composer(listeners)
    $('newest').onclick = () => this.#toEnd()
    $('scroll').onscroll = () => {
      if (this.#isNearEnd()) {
        $('newest').hidden = true
      }
    }
    const toggle = $<HTMLButtonElement>('people-toggle')
    toggle.onclick = () => {
      const open = $('people').classList.toggle('open')
      toggle.setAttribute('aria-expanded', String(open))
    }
  }

  /** askName resolves with the name that the visitor enters, or has entered in this tab. */
  async askName(): Promise<string> {
    const known = sessionStorage.getItem('name')
    if (known) {
      return known
    }
    const dialog = $<HTMLDialogElement>('who')
    let name = ''
    while (name === '') { // Escape closes it, too
      dialog.returnValue = ''
      dialog.showModal()
      await new Promise(resolve => dialog.onclose = resolve)
      name = dialog.returnValue === 'join' ? $<HTMLInputElement>('name').value.trim() : ''
    }
    sessionStorage.setItem('name', name)
    return name
  }

  /** welcome lets the visitor write. */
  welcome(name: string): void {
    const text = $<HTMLTextAreaElement>('text')
    text.placeholder = `Message as ${name}`
    text.focus()
  }

  showState(state: State, error?: unknown): void {
    const badge = $('state')
    badge.dataset['state'] = state
    const offline = !navigator.onLine && state === 'waiting'
    badge.classList.toggle('offline', offline)
    const text = offline ? 'Offline' : TEXTS[state]
    if ($('state-text').textContent !== text) { // it is read aloud
      $('state-text').textContent = text
    }
    if (state !== 'live') {
      [...this.#typing.keys()].forEach(name => this.#hideTyping(name))
    }
    badge.title = error instanceof Error ? error.message : ''
    const problem = $('problem')
    problem.hidden = state !== 'closed'
    problem.textContent = error instanceof RefusedError
      ? `The server does not let you in (${error.status}). Reload the page to try again.`
      : 'You are no longer connected. Reload the page to try again.'
  }

  showMessage(message: Message, mine: boolean): void {
    this.#hideTyping(message.from)
    const id = `${message.from} ${message.key}`
    if (this.#shown.has(id)) {
      return
    }
    this.#waiting.get(message.key)?.remove()
    this.#waiting.delete(message.key)
    const last = this.#last
    const isFirst = last?.from !== message.from || message.at.getTime() - last.at.getTime() > TOGETHER
    this.#last = message
    const item = this.#message(message.text, mine)
    item.dataset['key'] = message.key
    item.classList.toggle('first', isFirst)
    item.prepend(isFirst ? this.#byline(message) : element('span', 'hidden', `${message.from}: `))
    if (mine) {
      item.append(element('span', 'mark', 'Sent'))
    }
    this.#shown.set(id, item)
    this.#add(() => $('log').append(item), mine)
  }

  /** showWaiting shows a line of this user that is not known to be stored. */
  showWaiting(line: Line): void {
    const item = this.#message(line.text, true)
    item.dataset['key'] = line.key
    item.classList.add('pending')
    item.append(element('span', 'mark', 'Sending…'))
    this.#waiting.set(line.key, item)
    this.#add(() => $('waiting').append(item), true)
  }

  /** markSent shows that a line is stored. The message itself follows in the order of the room. */
  markSent(key: string): void {
    this.#mark(key, 'Sent', 'sent')
  }

  markRefused(key: string, reason: string): void {
    this.#mark(key, `Not sent. ${reason}`, 'refused')
  }

  #mark(key: string, text: string, name: string): void {
    const item = this.#waiting.get(key)
    const mark = item?.querySelector('.mark')
    if (item && mark) {
      item.classList.add(name)
      mark.textContent = text
    }
  }

  /** showGap shows that messages are missing here. */
  showGap(): void {
    this.#last = undefined
    const item = element('li', 'gap')
    item.append(element('strong', '', 'You missed messages'), element('span', '', ' They came while you were away, and are no longer kept.'))
    this.#add(() => $('log').append(item), false)
  }

  /** showPeople shows the people in the room; undefined means that they are not known. */
  showPeople(names: string[] | undefined, me: string): void {
    $('people').classList.toggle('unknown', !names)
    if (!names) {
      return
    }
    $('people-list').replaceChildren(...names.map((name) => {
      const item = element('li', '')
      item.append(face(name), element('span', 'name', name))
      if (name === me) {
        item.append(element('span', 'you', 'you'))
      }
      return item
    }))
    $('faces').replaceChildren(...names.slice(0, 4).map(face))
    $('people-count').textContent = names.length === 1 ? '1 person here' : `${names.length} people here`
  }

  showTyping(name: string): void {
    clearTimeout(this.#typing.get(name))
    this.#typing.set(name, setTimeout(() => this.#hideTyping(name), TYPING_FOR))
    this.#renderTyping()
  }

  #hideTyping(name: string): void {
    clearTimeout(this.#typing.get(name))
    if (this.#typing.delete(name)) {
      this.#renderTyping()
    }
  }

  #renderTyping(): void {
    const names = [...this.#typing.keys()]
    const text = names.length === 0 ? '' : names.length === 1 ? `${names[0]} is typing` : names.length === 2 ? `${names.join(' and ')} are typing` : 'Several people are typing'
    $('typing').textContent = text
    $('typing').classList.toggle('on', text !== '')
  }

  #message(text: string, mine: boolean): HTMLElement {
    const item = element('li', mine ? 'message mine' : 'message')
    item.append(element('p', 'text', text))
    return item
  }

  #byline({ from, at }: Message): HTMLElement {
    const line = element('p', 'byline')
    const time = document.createElement('time')
    time.dateTime = at.toISOString()
    time.textContent = at.toLocaleTimeString([], { hour: 'numeric', minute: '2-digit' })
    line.append(face(from), element('strong', '', from), ' ', time)
    return line
  }

  /** #add changes the conversation, and keeps its end visible if it was. */
  #add(change: () => void, mine: boolean): void {
    const follow = mine || this.#isNearEnd()
    change()
    $('empty').hidden = true
    if (follow) {
      this.#toEnd()
    }
    else {
      $('newest').hidden = false
    }
  }

  #isNearEnd(): boolean {
    if (this.#scrolling) {
      return true // soon; measuring now would require a layout for each message
    }
    const { scrollHeight, scrollTop, clientHeight } = $('scroll')
    return scrollHeight - scrollTop - clientHeight < NEAR
  }

  /** #toEnd scrolls once for all messages that arrive before the next frame. */
  #toEnd(): void {
    $('newest').hidden = true
    if (this.#scrolling) {
      return
    }
    this.#scrolling = true
    requestAnimationFrame(() => {
      this.#scrolling = false
      $('scroll').scrollTop = $('scroll').scrollHeight
    })
  }

  #composer({ onSay, onTyping }: Listeners): void {
    const form = $<HTMLFormElement>('composer')
    const text = $<HTMLTextAreaElement>('text')
    form.onsubmit = (event) => {
      event.preventDefault()
      const said = text.value.trim()
      if (said !== '') {
        text.value = ''
        text.style.height = ''
        onSay(said)
      }
      text.focus()
    }
    text.onkeydown = (event) => {
      if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
        event.preventDefault()
        form.requestSubmit()
      }
    }
    text.oninput = () => {
      text.style.height = ''
      text.style.height = `${text.scrollHeight + text.offsetHeight - text.clientHeight}px` // with its border
      onTyping()
    }
  }
}

function element(tag: string, className: string, text = ''): HTMLElement {
  const e = document.createElement(tag)
  e.className = className
  e.textContent = text
  return e
}
