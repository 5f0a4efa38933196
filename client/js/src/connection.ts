import { DisconnectedError } from './errors.js'
import type { Frame, Message } from './peer.js'
import { Peer } from './peer.js'
import type { Credential } from './token.js'
import { base64url, now } from './token.js'

/** The end of a connection. */
export interface Loss {
  code: number
  reason: string
  /** Reports whether the handshake had succeeded. */
  opened: boolean
}

export interface ConnectionOptions {
  subprotocol: boolean
  /** Milliseconds until the subscription must be answered. */
  dialTimeout: number
  /** Milliseconds of silence after which the client sends a request to check the connection. */
  heartbeat: number
  onOpen: () => void
  onLost: (loss: Loss) => void
}

/** How long the server may take to answer that request, in milliseconds. */
const ANSWER_TIMEOUT = 10_000
/** The same for a page that was away or offline, whose user is waiting. */
const HURRIED_TIMEOUT = 5_000

const SUBPROTOCOL = 'durable-iterator'

/** A WebSocket, from its handshake until it is lost. It calls `onLost` once when it ends, unless it is closed. */
export class Connection {
  readonly peer: Peer
  /** The last token that the server has accepted. */
  credential: Credential

  readonly #ws: WebSocket
  readonly #options: ConnectionOptions
  #opened = false
  #ended = false
  #heardAt = now()
  #asked = false // and received nothing since
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(url: URL, credential: Credential, options: ConnectionOptions) {
    this.credential = credential
    this.#options = options
    const address = new URL(url)
    if (!options.subprotocol) {
      address.searchParams.append('token', credential.token)
    }
    this.#ws = options.subprotocol
      ? new WebSocket(address, [SUBPROTOCOL, `token.${base64url(credential.token)}`])
      : new WebSocket(address)
    this.#ws.binaryType = 'arraybuffer'
    this.peer = new Peer(data => this.send(data))
    this.#timer = setTimeout(() => this.fail(1006, 'timed out'), options.dialTimeout)
    this.#ws.onopen = () => {
      this.#opened = true
      options.onOpen()
    }
    this.#ws.onerror = () => {} // onclose follows; some implementations throw an error without a handler
    this.#ws.onclose = ({ code, reason }) => this.fail(code, reason)
    this.#ws.onmessage = ({ data }) => this.#receive(data as string | ArrayBuffer)
  }

  get isOpen(): boolean {
    return !this.#ended && this.#ws.readyState === WebSocket.OPEN
  }

  send(data: Message): void {
    if (!this.isOpen) {
      throw new DisconnectedError('the connection is lost')
    }
    this.#ws.send(data as string)
  }

  /** watch is called when the subscription was answered. From then on a silent connection is checked. */
  watch(): void {
    clearTimeout(this.#timer)
    const wait = this.#options.heartbeat - (now() - this.#heardAt)
    this.#timer = setTimeout(() => now() - this.#heardAt >= this.#options.heartbeat ? this.#ask(ANSWER_TIMEOUT) : this.watch(), Math.max(wait, 0))
  }

  /** verify checks soon whether the server still answers. */
  verify(): void {
    if (this.isOpen) {
      this.#ask(HURRIED_TIMEOUT)
    }
  }

  /** fail ends the connection and reports it as lost. */
  fail(code: number, reason: string): void {
    if (this.#end(code, reason)) {
      this.#options.onLost({ code, reason, opened: this.#opened })
    }
  }

  /** close closes the connection with a close frame, without a report. */
  close(): void {
    this.#end(1000, '')
  }

  #end(code: number, reason: string): boolean {
    if (this.#ended) {
      return false
    }
    this.#ended = true
    clearTimeout(this.#timer)
    this.#ws.onopen = this.#ws.onmessage = this.#ws.onclose = null
    this.#ws.close(1000)
    this.peer.close(new DisconnectedError(`the connection is lost: ${code} ${reason}`.trim()))
    return true
  }

  #receive(data: string | ArrayBuffer): void {
    this.#heardAt = now()
    this.#asked = false
    const text = typeof data === 'string' ? data : textOf(data)
    let frame: Frame | null
    try {
      frame = JSON.parse(text) as Frame | null
    }
    catch (error) { // after a reconnect the server would only send such an event again
      this.peer.refuse(error as Error, /^\{"i":"([^"]*)"/.exec(text)?.[1])
      return
    }
    this.peer.receive(frame, data)
  }

  /** #ask sends a request that any server answers, at least with an error. */
  #ask(timeout: number): void {
    clearTimeout(this.#timer)
    this.#asked = true
    this.peer.request('/ping', {}).catch(() => {})
    this.#timer = setTimeout(() => this.#asked ? this.fail(1006, 'no sign of life') : this.watch(), timeout)
  }
}

/** textOf returns the JSON of a binary message, which the byte 255 and the content of files may follow. */
function textOf(data: ArrayBuffer): string {
  const bytes = new Uint8Array(data)
  const end = bytes.indexOf(255)
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end))
}
