import { OverflowError } from './errors.js'
import type { Handler, PeerEvent, PeerResponse } from './peer.js'
import { isStream } from './peer.js'
import { DEFAULT_LIMITS, EventQueue } from './queue.js'

/** Returns the value of an event, or throws the error of an event of kind `error`. */
export type DecodeEvent = (event: PeerEvent) => unknown

/** The events of a method that returns a stream. It ends if there are more unread events than the default limits allow. */
class Stream implements AsyncIterableIterator<unknown> {
  #queue = new EventQueue<unknown>(DEFAULT_LIMITS)

  constructor(private readonly decode: DecodeEvent, private readonly abort: () => void) {}

  take(event: PeerEvent, size: number): void {
    try {
      const value = this.decode(event)
      if (event.e !== 'message') {
        this.end(undefined, value)
      }
      else if (this.#queue.push(value, undefined, size)) {
        return
      }
      else {
        throw new OverflowError('too many events of a stream are unread')
      }
    }
    catch (error) {
      this.end(error)
    }
    this.abort()
  }

  /** end ends the stream after the events that have arrived, with `error` if there is one, or the return value. */
  end(error: unknown, value?: unknown): void {
    this.#queue.finish(error, value)
  }

  next(): Promise<IteratorResult<unknown>> {
    return this.#queue.next()
  }

  async return(value?: unknown): Promise<IteratorResult<unknown>> {
    this.#queue.drop()
    this.abort()
    return { done: true, value }
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}

/**
 * exchange sends the request that `open` opens, and resolves with its response. If that is
 * a stream, its body is a `Stream`.
 */
export function exchange(open: (handler: Handler) => () => void, decode: DecodeEvent, signal: AbortSignal | undefined): Promise<PeerResponse> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted()
    const over = new AbortController() // removes the listener from a signal that outlives the call
    const stop = (): void => {
      over.abort()
      abort()
    }
    const stream = new Stream(decode, stop)
    const lost = (error: unknown): void => {
      stop()
      reject(error) // has no effect after an answer
      stream.end(error)
    }
    let answered = false
    const abort = open({
      response: (response) => {
        if (answered) {
          lost(new TypeError('a second answer'))
          return
        }
        answered = isStream(response.headers)
        if (!answered) {
          over.abort()
        }
        resolve(answered ? { ...response, body: stream } : response)
      },
      event: (event, size) => event.error || !answered
        ? lost(event.error ?? new TypeError('an event before the answer'))
        : stream.take(event, size),
      lost,
    })
    signal?.addEventListener('abort', () => lost(signal.reason), { signal: over.signal })
  })
}
