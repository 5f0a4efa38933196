import assert from 'node:assert/strict'

interface Timer { at: number, run: () => void, isSignal?: boolean }

/** A clock that only `advance` moves. It stands in for the timers and the clocks of the process. */
export class Clock {
  #now = 0
  #timers = new Map<number, Timer>()
  #last = 0
  readonly #saved = { setTimeout, clearTimeout, performanceNow: performance.now, dateNow: Date.now, timeout: AbortSignal.timeout }

  constructor(start = 1_700_000_000_000) {
    globalThis.setTimeout = ((run: () => void, ms = 0) => {
      this.#timers.set(++this.#last, { at: this.#now + (ms < 2 ** 31 ? Math.max(ms, 0) : 1), run }) // as in browsers and Node
      return this.#last
    }) as unknown as typeof setTimeout
    globalThis.clearTimeout = ((id: number) => this.#timers.delete(id)) as unknown as typeof clearTimeout
    AbortSignal.timeout = (ms) => {
      const abort = new AbortController()
      const run = (): void => abort.abort(new DOMException('The operation was aborted due to timeout', 'TimeoutError'))
      this.#timers.set(++this.#last, { at: this.#now + ms, run, isSignal: true })
      return abort.signal
    }
    performance.now = () => this.#now
    Date.now = () => start + this.#now
  }

  get now(): number {
    return this.#now
  }

  /** How many timers are set. Those of `AbortSignal.timeout` cannot be cleared, and do not count. */
  get timers(): number {
    return [...this.#timers.values()].filter(({ isSignal }) => !isSignal).length
  }

  async advance(ms: number): Promise<void> {
    const end = this.#now + ms
    await settle()
    for (let fired = 0; ; fired++) {
      assert.ok(fired < 10_000, 'a storm of timers')
      const due = [...this.#timers].filter(([, t]) => t.at <= end).sort(([, a], [, b]) => a.at - b.at)[0]
      if (!due) {
        break
      }
      this.#timers.delete(due[0])
      this.#now = Math.max(this.#now, due[1].at)
      due[1].run()
      await settle()
    }
    this.#now = end
  }

  /** sleep lets time pass in which timers stand still, as those of a machine that sleeps. */
  sleep(ms: number): void {
    this.#now += ms
    for (const timer of this.#timers.values()) {
      timer.at += ms
    }
  }

  restore(): void {
    globalThis.setTimeout = this.#saved.setTimeout
    globalThis.clearTimeout = this.#saved.clearTimeout
    performance.now = this.#saved.performanceNow
    Date.now = this.#saved.dateNow
    AbortSignal.timeout = this.#saved.timeout
  }
}

/** settle waits until no promise has anything left to do. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 5; i++) {
    await new Promise(resolve => setImmediate(resolve))
  }
}
