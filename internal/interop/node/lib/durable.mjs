import { randomUUID } from 'node:crypto'
import { createORPCClient } from '@orpc/client'
import { ClientRetryPlugin } from '@orpc/client/plugins'
import { RPCLink } from '@orpc/client/websocket'
import { WebSocket as ReconnectingWebSocket } from 'partysocket'
import WebSocket from 'ws'
import { addresses } from './arguments.mjs'
import { httpClient } from './links.mjs'
import { equal } from './suite.mjs'

let header // of the last answer over HTTP

/** The procedures of the server, over HTTP. */
export const server = httpClient(addresses.rpc, (_, response) => {
  header = response.headers.get('x-orpc-durable-iterator')
})

/** Gets a token, as the link plugin of durable iterators does. */
export async function requestToken(input, procedure = 'onMessage') {
  const token = await server[procedure](input)
  equal(header, '1')
  return token
}

/** A name that no other check uses. */
export function newRoom() {
  return `room-${randomUUID()}`
}

/**
 * Stands in for the client of a durable iterator, whose package is not to be had: a
 * link on a socket that connects again, which calls the three procedures of a room.
 */
export class DurableIterator {
  #closed = false

  /**
   * Pauses are those of the original divided by 100, unless they are given. The address may
   * be a function, which is called for each connection.
   */
  constructor(token, { address = addresses.chat, id = randomUUID(), reconnect = 30, retry = 20 } = {}) {
    this.id = id
    this.token = token
    this.closes = [] // the codes and reasons of closed connections
    this.retry = retry
    this.socket = new ReconnectingWebSocket(() => this.#url(address), undefined, {
      WebSocket, minReconnectionDelay: reconnect,
    })
    this.socket.addEventListener('close', ({ code, reason }) => this.closes.push({ code, reason }))
    this.room = createORPCClient(new RPCLink({ websocket: this.socket, plugins: [new ClientRetryPlugin()] }))
  }

  #url(address) {
    const url = new URL(typeof address === 'function' ? address() : address)
    url.searchParams.append('id', this.id)
    url.searchParams.append('token', this.token)
    return url.href
  }

  /** Subscribes, and again after each loss of the connection. */
  async subscribe(lastEventId) {
    this.events = await this.room.subscribe(undefined, {
      lastEventId,
      context: {
        retry: Infinity,
        retryDelay: ({ lastEventRetry }) => lastEventRetry ?? this.retry,
        shouldRetry: () => !this.#closed,
      },
    })
    return this
  }

  /** Reads the next event. */
  async next() {
    const { done, value } = await this.events.next()
    equal(done, false)
    return value
  }

  /** Reads n events and returns their messages. */
  async messages(n) {
    const messages = []
    while (messages.length < n) {
      messages.push((await this.next()).message)
    }
    return messages
  }

  /** Calls a method of the room, by its dotted path. */
  call(path, input, options) {
    return this.room.call({ path: path.split('.'), input }, options)
  }

  /** Replaces the token, on the open socket and for the connections to come. */
  async update(token) {
    await this.room.updateToken({ token })
    this.token = token
  }

  close() {
    this.#closed = true
    this.socket.close()
  }
}

/**
 * Subscribes to a room for as long as use takes, which is given the iterator. input
 * is that of the procedure that returns the token.
 */
export async function subscribed(input, use, { procedure, lastEventId, ...options } = {}) {
  const iterator = new DurableIterator(await requestToken(input, procedure), options)
  try {
    await iterator.subscribe(lastEventId)
    return await use(iterator)
  }
  finally {
    iterator.close()
  }
}

/** Publishes an event, by way of the server's procedure. */
export function publish(room, message, more = {}) {
  return server.sendMessage({ room, message, ...more })
}
