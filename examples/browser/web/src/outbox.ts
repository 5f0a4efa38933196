import type { Line } from './contract.js'

/** The server takes this many lines at a time. */
const MOST = 50

export interface OutboxOptions {
  /** Names the place in the tab's storage, so that a reload loses nothing. */
  name: string
  /** Sends lines. It may fail though they have arrived. */
  send: (lines: Line[]) => Promise<void>
  /** Reports whether an error means that the server will never take these lines. */
  isFinal: (error: unknown) => boolean
  /** Called for a line that is stored. */
  onSent: (line: Line) => void
  /** Called for a line that the server does not take. */
  onRefused: (line: Line, error: unknown) => void
}

/**
 * What was written here and is not known to be stored. Whatever happens to the connection
 * or the page, a line is sent until it is, always under the same key.
 */
export class Outbox {
  readonly #options: OutboxOptions
  readonly #lines = new Map<string, Line>()
  #sending = false

  constructor(options: OutboxOptions) {
    this.#options = options
    for (const line of JSON.parse(sessionStorage.getItem(options.name) ?? '[]') as Line[]) {
      this.#lines.set(line.key, line)
    }
  }

  /** The lines that wait, oldest first. */
  get lines(): Line[] {
    return [...this.#lines.values()]
  }

  /** add takes a line to send. */
  add(text: string): Line {
    const line = { key: randomKey(), text }
    this.#lines.set(line.key, line)
    this.#save()
    void this.flush()
    return line
  }

  /** remove drops a line that was heard, or is not wanted any more. */
  remove(key: string): void {
    if (this.#lines.delete(key)) {
      this.#save()
    }
  }

  /** flush sends what waits. There is one call at a time, with all that came meanwhile: that keeps the order. */
  async flush(): Promise<void> {
    if (this.#sending) {
      return
    }
    this.#sending = true
    try {
      while (this.#lines.size > 0) {
        await this.#sendSome(this.lines.slice(0, MOST))
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

  #save(): void {
    sessionStorage.setItem(this.#options.name, JSON.stringify(this.lines))
  }
}

/** randomKey returns a key that no other line has. crypto.randomUUID is missing on pages without TLS. */
function randomKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(12)), byte => byte.toString(16).padStart(2, '0')).join('')
}
