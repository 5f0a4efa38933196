import { once } from 'node:events'
import { decodeResponseMessage, encodeRequestMessage, MessageType } from '@orpc/standard-server-peer'
import WebSocket from 'ws'
import { addresses } from './arguments.mjs'
import { requestToken } from './durable.mjs'

/** The client's end of a room's socket, with frames as they are. */
export class FrameSocket {
  #received = []
  #wake = () => {}

  static async open(input, id = 'frames') {
    const query = new URLSearchParams({ id, token: await requestToken(input) })
    const frames = new FrameSocket()
    frames.socket = new WebSocket(`${addresses.chat}?${query}`)
    frames.socket.on('message', (data, isBinary) => {
      frames.#received.push(isBinary ? data : data.toString())
      frames.#wake()
    })
    await once(frames.socket, 'open')
    return frames
  }

  /** Sends text or bytes as they are, or an object as JSON. */
  send(message) {
    const isRaw = typeof message === 'string' || message instanceof Uint8Array
    this.socket.send(isRaw ? message : JSON.stringify(message))
  }

  /** Sends a request to a procedure of the room, with an input of plain JSON. */
  async request(id, path, input, headers = {}) {
    this.send(await encodeRequestMessage(id, MessageType.REQUEST, {
      url: new URL(`http://orpc${path}`), method: 'POST', headers, body: { json: input },
    }))
  }

  call(id, path, input) {
    return this.request(id, '/call', { path: path.split('.'), input })
  }

  async abort(id) {
    this.send(await encodeRequestMessage(id, MessageType.ABORT_SIGNAL, undefined))
  }

  /** Returns the next frame: its text or bytes. */
  async raw() {
    while (this.#received.length === 0) {
      await new Promise(resolve => this.#wake = resolve)
    }
    return this.#received.shift()
  }

  /** Returns the next frame, decoded by the peer of the original: id, type, payload. */
  async next() {
    return decodeResponseMessage(await this.raw())
  }

  close() {
    this.socket.terminate()
  }
}
