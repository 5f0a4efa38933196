import { callError, DisconnectedError } from './errors.js'
import type { Serializer } from './serializer.js'

/** A message of oRPC's peer protocol, as the server sends it. */
export interface Frame {
  i?: unknown
  t?: number
  p?: any
}

export interface PeerEvent {
  /** `message`, `error` or `done`. */
  e: string
  /** The encoded value; absent for an event that only moves the cursor, or shows that the server is there. */
  d?: unknown
  m?: { id?: string, retry?: number }
}

export interface PeerResponse {
  status: number
  headers: Record<string, string | undefined>
  body: unknown
}

/** What becomes of a request. After `lost` nothing is called. */
export interface Handler {
  response: (response: PeerResponse) => void
  /** Called for each event of an answer that is a stream. Without it there can be none. */
  event?: (event: PeerEvent, size: number) => void
  /** Called if the connection is lost before the answer, or before the last event. */
  lost?: (error: Error) => void
}

const EVENT = 3
const ABORT = 4

/**
 * Sends requests over one socket and finds their answers. Its ids begin with a minus
 * sign: those of oRPC's own client, which may share the socket, are numbers in base 36.
 */
export class Peer {
  #open = new Map<string, Handler>()
  #last = 0
  #closed: Error | undefined

  constructor(private readonly send: (data: string) => void) {}

  /** open sends a request, and returns a function that aborts it. */
  open(address: string, body: unknown, headers: Record<string, string> | undefined, handler: Handler): () => void {
    if (this.#closed) {
      throw this.#closed
    }
    const id = `-${++this.#last}`
    this.#open.set(id, handler)
    this.send(JSON.stringify({ i: id, p: { u: address, b: body, h: headers } }))
    return () => {
      if (this.#open.delete(id) && !this.#closed) {
        this.send(JSON.stringify({ i: id, t: ABORT }))
      }
    }
  }

  /** request sends a request that is answered without events. */
  request(address: string, body: unknown): Promise<PeerResponse> {
    return new Promise((response, lost) => this.open(address, body, undefined, { response, lost }))
  }

  /** receive takes a frame if it is for a request of this peer, and reports whether it is. */
  receive(frame: Frame | null, size: number): boolean {
    if (typeof frame?.i !== 'string' || !frame.i.startsWith('-')) {
      return false
    }
    const handler = this.#open.get(frame.i)
    if (frame.t === EVENT) {
      const event = (frame.p ?? {}) as PeerEvent
      if (event.e !== 'message') {
        this.#open.delete(frame.i)
      }
      handler?.event?.(event, size)
    }
    else if (frame.t !== ABORT && handler) {
      const { s: status = 200, h: headers = {}, b: body } = frame.p ?? {}
      if (!handler.event || !isStream(headers)) {
        this.#open.delete(frame.i)
      }
      handler.response({ status, headers, body })
    }
    return true
  }

  /** close reports everything that is open as lost. */
  close(reason: Error): void {
    this.#closed = reason
    for (const handler of this.#open.values()) {
      handler.lost?.(reason)
    }
    this.#open.clear()
  }
}

export function isStream(headers: PeerResponse['headers']): boolean {
  return headers['content-type']?.startsWith('text/event-stream') === true && headers['content-disposition'] === undefined
}

/** Options of a call of a method. */
export interface CallOptions {
  signal?: AbortSignal | undefined
  /** Where a method that returns a stream goes on. */
  lastEventId?: string | undefined
}

/** call runs a method of the room over the peer's socket. */
export function call(peer: Peer, serializer: Serializer, path: readonly string[], input: unknown, { signal, lastEventId }: CallOptions = {}): Promise<unknown> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted()
    const over = new AbortController() // ends the listening to a signal that lives longer than the call
    const stream = new Stream(serializer, () => {
      over.abort()
      abort()
    })
    const headers = lastEventId === undefined ? undefined : { 'last-event-id': lastEventId }
    const lost = (error: unknown): void => {
      over.abort()
      reject(error) // without effect behind an answer
      stream.end(error)
    }
    const abort = peer.open('/call', encodeCall(serializer, path, input), headers, {
      response: (response) => {
        if (isStream(response.headers)) {
          resolve(stream)
          return
        }
        over.abort()
        resolve(decodeAnswer(serializer, response))
      },
      event: (event) => {
        if (event.e !== 'message') {
          over.abort()
        }
        stream.take(event)
      },
      lost,
    })
    signal?.addEventListener('abort', () => {
      abort()
      lost(signal.reason)
    }, { signal: over.signal })
  })
}

async function decodeAnswer(serializer: Serializer, { status, headers, body }: PeerResponse): Promise<unknown> {
  if (headers['content-type'] !== undefined) {
    throw new TypeError('the answer holds a file: use the client of @orpc/client')
  }
  const output = serializer.deserialize(body)
  if (status < 200 || status >= 400) {
    throw callError(status, output)
  }
  return output
}

/** encodeCall encodes the input of `call`. Servers of oRPC want a key `input` even where there is none. */
function encodeCall(serializer: Serializer, path: readonly string[], input: unknown): unknown {
  return input === undefined
    ? { json: { path, input: null }, meta: [[3, 'input']] }
    : serializer.serialize({ path, input })
}

/** The events of a method that returns a stream. */
class Stream implements AsyncIterableIterator<unknown> {
  #items: PeerEvent[] = []
  #waiting: (() => void)[] = []
  #error: unknown
  #ended = false

  constructor(private readonly serializer: Serializer, private readonly abort: () => void) {}

  take(event: PeerEvent): void {
    this.#items.push(event)
    this.#wake()
  }

  /** end lets readers have what has arrived, and then `error` if there is one. */
  end(error: unknown): void {
    if (!this.#ended) {
      this.#ended = true
      this.#error = error
      this.#wake()
    }
  }

  async next(): Promise<IteratorResult<unknown>> {
    while (this.#items.length === 0 && !this.#ended) {
      await new Promise<void>(resolve => this.#waiting.push(resolve))
    }
    const event = this.#items.shift()
    if (!event) {
      const error = this.#error
      this.#error = undefined
      if (error !== undefined) {
        throw error
      }
      return { done: true, value: undefined }
    }
    const value = this.serializer.deserialize(event.d)
    if (event.e === 'message') {
      return { done: false, value }
    }
    this.#ended = true
    if (event.e === 'error') {
      throw callError(500, value)
    }
    return { done: true, value }
  }

  async return(value?: unknown): Promise<IteratorResult<unknown>> {
    this.#items = []
    this.end(undefined)
    this.abort()
    return { done: true, value }
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  #wake(): void {
    this.#waiting.splice(0).forEach(resolve => resolve())
  }
}

/** closedError returns the error of calls on an iterator that has ended. */
export function closedError(cause?: unknown): DisconnectedError {
  return new DisconnectedError('the iterator is closed', { cause })
}
