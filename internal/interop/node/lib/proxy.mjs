import { once } from 'node:events'
import { connect, createServer } from 'node:net'

/** A network between a client and a server that can fail. */
export class Proxy {
  #connections = new Set()
  #isCut = false

  /** Starts a proxy to the host of an address. */
  static async to(address) {
    const proxy = new Proxy()
    const { hostname, port } = new URL(address)
    proxy.listener = createServer(socket => proxy.#join(socket, hostname, Number(port))).listen(0, '127.0.0.1')
    await once(proxy.listener, 'listening')
    proxy.address = address.replace(`:${port}`, `:${proxy.listener.address().port}`)
    return proxy
  }

  #join(near, hostname, port) {
    if (this.#isCut) {
      near.destroy()
      return
    }
    const far = connect(port, hostname)
    for (const [socket, other] of [[near, far], [far, near]]) {
      this.#connections.add(socket)
      socket.on('error', () => {}) // close follows
      socket.on('close', () => {
        this.#connections.delete(socket)
        other.destroy()
      })
      socket.pipe(other)
    }
  }

  /** Drops all connections, without a word to either side. */
  drop() {
    for (const socket of this.#connections) {
      socket.destroy()
    }
  }

  /** Drops all connections, and those to come until mend is called. */
  cut() {
    this.#isCut = true
    this.drop()
  }

  mend() {
    this.#isCut = false
  }

  close() {
    this.listener.close()
    this.drop()
  }
}
