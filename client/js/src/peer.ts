/** A message of a socket: text, or bytes if there are files. */
export type Message = string | ArrayBufferLike | Uint8Array

/** The JSON of a message of oRPC's peer protocol, as the server sends it. */
export interface Frame {
  i?: unknown
  t?: number
  p?: any
}

export interface PeerEvent {
  /** `message`, `error` or `done`; `unreadable` for an event that cannot be read, which has an `error` and is not the last. */
  e: string
  /** The encoded value; absent for an event that only moves the cursor, or is a heartbeat. */
  d?: unknown
  m?: { id?: string, retry?: number }
  error?: Error
}

export interface PeerResponse {
  status: number
  headers: Record<string, string | undefined>
  body: unknown
  /** The received message, with its files. */
  message: Message
}

/** Handles the result of a request. After `lost` nothing is called. */
export interface Handler {
  response: (response: PeerResponse) => void
  /** Called for each event of an answer that is a stream. Without it the answer must not be a stream. */
  event?: (event: PeerEvent, size: number) => void
  /** Called if the connection is lost before the answer, or before the last event. */
  lost?: (error: Error) => void
}

const EVENT = 3
const ABORT = 4

/** The maximum length of an event id, which is sent with the next subscription. */
const MAX_EVENT_ID = 1 << 10

/** Sends requests over one socket and finds their answers. */
export class Peer {
  #open = new Map<string, Handler>()
  #last = 0
  #closed: Error | undefined

  constructor(private readonly send: (data: Message) => void) {}

  /** newId returns an id for `start`. It differs from the ids of oRPC's own client, numbers in base 36. */
  newId(): string {
    return `-${++this.#last}`
  }

  /** start sends an encoded request with a new id, and returns a function that aborts it. */
  start(id: string, message: Message, handler: Handler): () => void {
    if (this.#closed) {
      throw this.#closed
    }
    this.#open.set(id, handler)
    this.send(message)
    return () => {
      if (this.#open.delete(id) && !this.#closed) {
        this.send(JSON.stringify({ i: id, t: ABORT }))
      }
    }
  }

  /** open is start for a request without files. */
  open(address: string, body: unknown, headers: Record<string, string> | undefined, handler: Handler): () => void {
    const id = this.newId()
    return this.start(id, JSON.stringify({ i: id, p: { u: address, b: body, h: headers } }), handler)
  }

  /** request sends a request whose answer has no events. */
  request(address: string, body: unknown): Promise<PeerResponse> {
    return new Promise((response, lost) => this.open(address, body, undefined, { response, lost }))
  }

  /** receive calls the handler of a message. A message without a handler is dropped. */
  receive(frame: Frame | null, message: string | ArrayBuffer): void {
    const id = frame?.i as string
    const handler = this.#open.get(id)
    if (!handler) {
      return
    }
    if (frame!.t === EVENT) {
      const event = toEvent(frame!.p)
      if (event.e !== 'message' && !event.error) {
        this.#open.delete(id)
      }
      handler.event?.(event, typeof message === 'string' ? message.length : message.byteLength)
    }
    else if (frame!.t !== ABORT) {
      const { s, h, b: body } = frame!.p ?? {}
      const headers = h ?? {}
      if (!handler.event || !isStream(headers)) {
        this.#open.delete(id)
      }
      handler.response({ status: s ?? 200, headers, body, message })
    }
  }

  /** refuse is called instead of receive for a message that cannot be read. If its request is not known, it may be any. */
  refuse(error: Error, request: string | undefined): void {
    for (const [id, handler] of this.#open) {
      if (request !== undefined && request !== id) {
        continue
      }
      if (handler.event) {
        handler.event({ e: 'unreadable', error }, 0)
      }
      else {
        this.#open.delete(id)
        handler.lost?.(error)
      }
    }
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

function toEvent(payload: any): PeerEvent {
  const { e, m } = payload ?? {}
  const { id, retry } = m ?? {}
  const idFits = isEventId(id)
  return typeof e === 'string' && (id === undefined || idFits) && (retry === undefined || retry >= 0)
    ? payload
    : { e: 'unreadable', m: idFits ? { id } : {}, error: new TypeError('an event of another form') }
}

export function isEventId(id: unknown): id is string {
  return typeof id === 'string' && id.length <= MAX_EVENT_ID
}

export function isStream(headers: PeerResponse['headers']): boolean {
  return String(headers['content-type']).startsWith('text/event-stream') && headers['content-disposition'] === undefined
}
