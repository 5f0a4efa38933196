/** A window and its document, with the events that report what happens to a page. */
export class FakePage {
  visibilityState: 'visible' | 'hidden' = 'visible'
  /** How many listeners there are. */
  listeners = 0
  readonly #window = this.#target()
  readonly #document = this.#target()

  constructor() {
    const page = globalThis as any
    page.addEventListener = this.#window.addEventListener
    page.document = this.#document
    Object.defineProperty(this.#document, 'visibilityState', { get: () => this.visibilityState })
  }

  /** tell dispatches an event at the window, and one of a document at that. */
  tell(name: 'online' | 'offline' | 'pagehide' | 'pageshow' | 'freeze' | 'resume' | 'hidden' | 'visible'): void {
    switch (name) {
      case 'hidden':
      case 'visible':
        this.visibilityState = name
        this.#document.dispatchEvent(new Event('visibilitychange'))
        break
      case 'freeze':
      case 'resume':
        this.#document.dispatchEvent(new Event(name))
        break
      default:
        this.#window.dispatchEvent(new Event(name))
    }
  }

  restore(): void {
    const page = globalThis as any
    delete page.addEventListener
    delete page.document
  }

  /** #target returns a target that counts its listeners. */
  #target(): EventTarget {
    const target = new EventTarget()
    const add = target.addEventListener.bind(target)
    target.addEventListener = (name: string, listener: EventListener, options: { signal: AbortSignal }) => {
      add(name, listener, options)
      this.listeners++
      options.signal.addEventListener('abort', () => this.listeners--)
    }
    return target
  }
}
