import assert from 'node:assert/strict'
import { settle } from './clock.js'

/** A WebSocket whose other end is in the test's hands. */
export class FakeSocket {
  static readonly CONNECTING = 0
  static readonly OPEN = 1
  static readonly CLOSING = 2
  static readonly CLOSED = 3

  readyState = FakeSocket.CONNECTING
  binaryType = 'blob'
  onopen: (() => void) | null = null
  onerror: (() => void) | null = null
  onclose: ((event: { code: number, reason: string }) => void) | null = null
  onmessage: ((event: { data: unknown }) => void) | null = null
  /** What the client has sent. */
  readonly sent: any[] = []
  readonly url: URL
  readonly protocols: string[]
  closedWith: number | undefined

  constructor(url: string | URL, protocols: string | string[] = []) {
    this.url = new URL(url)
    this.protocols = [protocols].flat()
    FakeSocket.server?.sockets.push(this)
  }

  static server: Server | undefined

  send(data: string): void {
    assert.equal(this.readyState, FakeSocket.OPEN)
    const frame = typeof data === 'string' ? JSON.parse(data) : data
    this.sent.push(frame)
    FakeSocket.server?.onFrame(this, frame)
  }

  close(code?: number): void {
    this.closedWith ??= code ?? 1005
    this.readyState = FakeSocket.CLOSED
  }

  /** The server accepts the handshake. */
  open(): void {
    this.readyState = FakeSocket.OPEN
    this.onopen?.()
  }

  /** The server, or the network, ends the connection. */
  drop(code = 1006, reason = ''): void {
    if (this.readyState !== FakeSocket.CLOSED) {
      this.readyState = FakeSocket.CLOSED
      this.onclose?.({ code, reason })
    }
  }

  receive(frame: unknown): void {
    const isRaw = typeof frame === 'string' || frame instanceof ArrayBuffer
    this.onmessage?.({ data: isRaw ? frame : JSON.stringify(frame) })
  }

  get isOpen(): boolean {
    return this.readyState === FakeSocket.OPEN
  }
}

/** The server's side of the sockets that a test opens. It answers subscriptions and pings by itself. */
export class Server {
  readonly sockets: FakeSocket[] = []
  /** What subscriptions are answered with; undefined is a server of oRPC. */
  resume: string | undefined = 'complete'
  position: string | undefined
  /** Set to false for a server that takes nothing. */
  accepts = true
  /** Set to false for a server that has gone silent. */
  answers = true
  calls: any[] = []
  onCall: (input: any) => unknown = input => ({ s: undefined, b: { json: input } })

  constructor() {
    FakeSocket.server = this
    globalThis.WebSocket = FakeSocket as unknown as typeof WebSocket
  }

  get socket(): FakeSocket {
    return this.sockets.at(-1)!
  }

  /** accept opens the newest socket. */
  async accept(): Promise<FakeSocket> {
    await settle()
    assert.equal(this.socket.readyState, FakeSocket.CONNECTING)
    this.socket.open()
    await settle()
    return this.socket
  }

  async publish(value: unknown, id?: string, socket = this.socket): Promise<void> {
    const { i } = socket.sent.findLast(frame => frame.p?.u === '/subscribe')
    socket.receive({ i, t: 3, p: { e: 'message', d: { json: value }, ...(id === undefined ? {} : { m: { id } }) } })
    await settle()
  }

  onFrame(socket: FakeSocket, frame: any): void {
    if (!this.answers || frame.p?.u === undefined) {
      return
    }
    switch (frame.p.u) {
      case '/subscribe': {
        const first = frame.p.h?.['last-event-id'] === undefined
        const h: Record<string, string> = { 'content-type': 'text/event-stream' }
        if (this.resume !== undefined) {
          h['x-durable-iterator-resume'] = first && this.resume === 'complete' ? 'none' : this.resume
        }
        if (this.position !== undefined) {
          h['x-durable-iterator-position'] = this.position
        }
        socket.receive({ i: frame.i, p: { h } })
        break
      }
      case '/ping':
        socket.receive({ i: frame.i, p: { s: 404 } })
        break
      default: {
        this.calls.push(frame.p)
        const answer = this.onCall(frame.p.b.json)
        if (answer !== undefined) {
          socket.receive({ i: frame.i, p: answer })
        }
      }
    }
  }
}

let serial = 0

/** token returns a token that lives for `life` seconds; `skew` is how far the server's clock is ahead. */
export function token({ life = 3600, skew = 0, channel = 'room', tags, rpc }: { life?: number, skew?: number, channel?: string, tags?: string[], rpc?: string[] } = {}): string {
  const iat = Math.floor(Date.now() / 1000) + skew
  return `${JSON.stringify({ chn: channel, tags, rpc, iat, exp: iat + life, serial: ++serial })}.signature`
}
