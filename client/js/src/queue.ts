import type { GapReason } from './errors.js'
import { GapError } from './errors.js'

/** The limits of unread events: their number, and the characters of their JSON. */
export interface QueueLimits {
  events: number
  size: number
}

/** The limits of an iterator without `buffer`, and of each stream of a method. */
export const DEFAULT_LIMITS: QueueLimits = { events: 1_000, size: 4 << 20 }

type Item<T> =
  /** `cursor` is the last event id after the item was read. */
  | { value: T, size: number, cursor: string | undefined }
  | { gap: GapError, size: 0, cursor: string | undefined }

interface Reader<T> {
  resolve: (result: IteratorResult<T, any>) => void
  reject: (error: unknown) => void
}

/**
 * Holds the events that have arrived and were not read yet, and the readers that wait. There
 * are waiting readers only while there are no events.
 */
export class EventQueue<T> {
  /** Set while events are dropped because there was no room. */
  full = false
  /** Set if an event without an id was dropped, which cannot be requested again. */
  lossy = false

  #items: Item<T>[] = []
  #size = 0
  #readers: Reader<T>[] = []
  #ended = false
  #error: unknown
  #result: unknown

  constructor(
    private readonly limits: QueueLimits,
    private readonly onGap?: (gap: GapError) => void,
    /** Called when a queue that was full is half empty again. */
    private readonly onRoom?: () => void,
    /** The last event id that was read. */
    public cursor?: string,
  ) {}

  /** The last event id after everything is read, from which to resume. */
  get end(): string | undefined {
    return this.#items.length === 0 ? this.cursor : this.#items.at(-1)!.cursor
  }

  /** Reports whether enough was read to request more. */
  get halfEmpty(): boolean {
    return this.#items.length <= this.limits.events / 2 && this.#size <= this.limits.size / 2
  }

  /** push adds an event, or drops it and reports false if there is no room. */
  push(value: T, id: string | undefined, size: number): boolean {
    const over = this.#items.length >= this.limits.events
      || (this.#items.length > 0 && this.#size + size > this.limits.size)
    if (this.full || over) {
      this.full = true
      this.lossy ||= id === undefined
      return false
    }
    this.#put({ value, size, cursor: id ?? this.end })
    return true
  }

  /** gap adds a gap. Of several gaps without an event in between, the last one is kept. */
  gap(reason: GapReason, channel: string, cursor: string | undefined, cause?: unknown): void {
    const before = this.#items.at(-1)
    if (before && 'gap' in before) {
      this.#items.pop()
    }
    const from = before && 'gap' in before ? before.gap.lastEventId : this.end
    this.#put({ gap: new GapError(reason, channel, from, { cause }), size: 0, cursor })
  }

  /** move sets the cursor after everything that has arrived. */
  move(cursor: string): void {
    const last = this.#items.at(-1)
    if (last) {
      last.cursor = cursor
    }
    else {
      this.cursor = cursor
    }
  }

  /** rewind drops the events that a server which replays after the last event that was read will send again. */
  rewind(): void {
    const gap = this.#items.findLastIndex(item => 'gap' in item)
    const cursor = gap < 0 ? this.cursor : this.#items[gap]!.cursor
    this.#items = this.#items.filter((item, i) => i <= gap || item.cursor === cursor)
    this.#size = this.#items.reduce((sum, item) => sum + item.size, 0)
  }

  next(): Promise<IteratorResult<T, undefined>> {
    return new Promise((resolve, reject) => {
      this.#readers.push({ resolve, reject })
      this.#deliver()
    })
  }

  /** finish ends the queue after its events. One reader gets `error` if there is one, or `result`. */
  finish(error?: unknown, result?: unknown): void {
    if (!this.#ended) {
      this.#ended = true
      this.#error = error
      this.#result = result
      this.#deliver()
    }
  }

  /** drop ends the queue at once, without its events or an earlier end. */
  drop(error?: unknown): void {
    this.#items = []
    this.#ended = false
    this.finish(error)
  }

  #put(item: Item<T>): void {
    if (!this.#ended) {
      this.#items.push(item)
      this.#size += item.size
      this.#deliver()
    }
  }

  #deliver(): void {
    while (this.#readers.length > 0 && (this.#items.length > 0 || this.#ended)) {
      const item = this.#items.shift()
      if (item === undefined) {
        this.#finishOne(this.#readers.shift()!)
        continue
      }
      this.#size -= item.size
      this.cursor = item.cursor
      if ('value' in item) {
        this.#readers.shift()!.resolve({ done: false, value: item.value })
      }
      else {
        this.#report(item.gap)
      }
    }
    if (this.full && this.halfEmpty) {
      this.onRoom?.()
    }
  }

  #report(gap: GapError): void {
    if (!this.onGap) {
      this.#readers.shift()!.reject(gap)
      return
    }
    try {
      this.onGap(gap)
    }
    catch (error) {
      this.#readers.shift()?.reject(error)
    }
  }

  #finishOne(reader: Reader<T>): void {
    const error = this.#error
    const value = this.#result
    this.#error = this.#result = undefined
    if (error === undefined) {
      reader.resolve({ done: true, value })
    }
    else {
      reader.reject(error)
    }
  }
}
