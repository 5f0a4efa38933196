import type { Line } from './contract.js'

/** The number of lines that the server accepts in one call. */
const MOST = 50

export interface OutboxOptions {
  /** The prefix of keys in the tab's storage, where lines survive a reload. */
  name: string
  /** Sends lines. It may fail even if they have arrived. */
  send: (lines: Line[]) => Promise<void>
  /** Reports whether an error means that the server will never accept these lines. */
  isFinal: (error: unknown) => boolean
  /** Called for a line that is stored. */
  onSent: (line: Line) => void
  /** Called for a line that the server does not accept. */
  onRefused: (line: Line, error: unknown) => void
}

/**
 * The lines that were written here and are not known to be stored. Whatever happens to the
 * connection or the page, a line is sent until it is stored, always with the same key.
 */
export class Outbox {
  readonly #options: OutboxOptions
  readonly #waiting = new Map<string, { line: Line, place: number }>()
  #last = 0
  #sending = false

  constructor(options: OutboxOptions) {
    this.#options = options
    for (const place of this.#places()) {
      const line = JSON.parse(sessionStorage.getItem(this.#at(place))!) as Line
      this.#waiting.set(line.key, { line, place })
      this.#last = place
    }
  }

  /** lines returns up to a number of waiting lines, oldest first. */
  lines(most = Infinity): Line[] {
    const lines: Line[] = []
    for (const { line } of this.#waiting.values()) {
      if (lines.length >= most) {
        break
      }
      lines.push(line)
    }
    return lines
  }

  /** add adds a line to send. */
  add(text: string): Line {
    const line = { key: randomKey(), text }
    const place = ++this.#last
    this.#waiting.set(line.key, { line, place })
    try {
      sessionStorage.setItem(this.#at(place), JSON.stringify(line))
    }
    catch {
      // The storage is full: the line is sent nevertheless, but does not survive a reload.
    }
    void this.flush()
    return line
  }

  /** remove drops a line that was received as an event, or is no longer needed. */
  remove(key: string): void {
    const waiting = this.#waiting.get(key)
    if (waiting) {
      this.#waiting.delete(key)
      sessionStorage.removeItem(this.#at(waiting.place))
    }
  }

  /** flush sends the waiting lines. There is one call at a time, with all lines so far, which keeps their order. */
  async flush(): Promise<void> {
    if (this.#sending) {
      return
    }
    this.#sending = true
    try {
      while (this.#waiting.size > 0) {
        await this.#sendSome(this.lines(MOST))
      }
    }
    finally {
      this.#sending = false
    }
  }

  async #sendSome(lines: Line[]): Promise<void> {
    let report: (line: Line) => void = this.#options.onSent
    try {
      await this.#options.send(lines)
    }
    catch (error) {
      if (!this.#options.isFinal(error)) {
        await new Promise(resolve => setTimeout(resolve, 500))
        return // they may have arrived, or not: send them again
      }
      report = line => this.#options.onRefused(line, error)
    }
    for (const line of lines) {
      this.remove(line.key)
      report(line)
    }
  }

  /** #at returns the key of a line in the storage. Each line has one, since rewriting all lines for each would be slow. */
  #at(place: number): string {
    return `${this.#options.name}:${place}`
  }

  /** #places returns the used keys, in order. */
  #places(): number[] {
    return Object.keys(sessionStorage)
      .filter(name => name.startsWith(`${this.#options.name}:`))
      .map(name => name.slice(this.#options.name.length + 1))
      .filter(place => /^\d+$/.test(place))
      .map(Number)
      .sort((a, b) => a - b)
  }
}

/** randomKey returns a key that no other line has. Pages without TLS do not have crypto.randomUUID. */
function randomKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), byte => byte.toString(16).padStart(2, '0')).join('')
}
