import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { GapError } from '../src/index.js'
import { dial } from '../src/index.js'
import { settle } from './clock.js'
import { clock, inTheMiddle, open, read, server } from './harness.js'
import { token } from './server.js'

describe('connecting', () => {
  test('the token travels in the subprotocol, and in no address', async () => {
    const secret = token()
    const { it } = await open({ token: secret, url: 'http://server/room?x=1' })
    assert.equal(server.socket.url.href, `ws://server/room?x=1&id=${it.id}`)
    const [name, encoded] = server.socket.protocols
    assert.equal(name, 'durable-iterator')
    assert.equal(Buffer.from(encoded!.slice('token.'.length), 'base64url').toString(), secret)
    it.close()
  })

  test('without the subprotocol it is the last parameter', async () => {
    const secret = token()
    const { it } = await open({ token: secret, subprotocol: false })
    assert.deepEqual([...server.socket.url.searchParams], [['id', it.id], ['token', secret]])
    assert.deepEqual(server.socket.protocols, [])
    it.close()
  })

  test('a first connection gets through', async () => {
    const made = dial({ url: 'ws://server/room', token: token(), backoff: inTheMiddle })
    await settle()
    server.socket.drop()
    await clock.advance(500)
    server.socket.drop()
    await clock.advance(1_000)
    await server.accept()
    const it = await made
    assert.equal(it.state, 'live')
    assert.equal(server.sockets.length, 3)
    it.close()
  })

  test('a first connection is tried for connectTimeout, and the error names the close code', async () => {
    const made = dial({ url: 'ws://server/room', token: token(), backoff: inTheMiddle, connectTimeout: 5_000 })
    const failed = assert.rejects(made, /cannot connect: 1006/)
    for (let i = 0; i < 6; i++) {
      await clock.advance(1_000)
      server.socket.drop()
    }
    await failed
  })

  test('timeouts of Infinity never end', async () => {
    const made = dial({ url: 'ws://server/room', token: token(), connectTimeout: Infinity, dialTimeout: Infinity, heartbeat: Infinity })
    await clock.advance(86_400_000)
    await server.accept()
    const it = await made
    await clock.advance(86_400_000)
    assert.equal(it.state, 'live')
    assert.equal(server.sockets.length, 1)
    it.close()
  })

  test('an attempt that hangs is given up', async () => {
    const made = dial({ url: 'ws://server/room', token: token(), backoff: inTheMiddle })
    await clock.advance(10_000)
    assert.equal(server.socket.closedWith, 1000)
    await clock.advance(500)
    await server.accept()
    ;(await made).close()
  })

  test('a value that is no token is refused, without being quoted', async () => {
    await assert.rejects(dial({ url: 'ws://server/room', token: 'secret' }), (error: Error) => !error.message.includes('secret'))
  })
})

describe('events', () => {
  test('each once and in order, over reconnections', async () => {
    const { it } = await open()
    await server.publish('a', 'e-1')
    await server.publish('b', 'e-2')
    assert.deepEqual(await read(it, 1), ['a'])
    assert.equal(it.lastEventId, 'e-1')
    server.socket.drop()
    await clock.advance(500)
    await server.accept()
    assert.equal(server.socket.sent[0].p.h['last-event-id'], 'e-2', 'what has arrived is not asked for again')
    await server.publish('c', 'e-3')
    assert.deepEqual(await read(it, 2), ['b', 'c'])
    it.close()
    assert.deepEqual(await it.next(), { done: true, value: undefined })
  })

  test('the position of the answer is where a lost first subscription goes on', async () => {
    server.position = 'e-7'
    const { it } = await open()
    server.socket.drop()
    await clock.advance(500)
    await server.accept()
    assert.equal(server.socket.sent[0].p.h['last-event-id'], 'e-7')
    it.close()
  })

  test('an event without data moves the cursor, a heartbeat does not', async () => {
    const { it } = await open()
    await server.publish('a', 'e-1')
    const { i } = server.socket.sent[0]
    server.socket.receive({ i, t: 3, p: { e: 'message', m: { id: 'e-5' } } })
    server.socket.receive({ i, t: 3, p: { e: 'message' } })
    assert.deepEqual(await read(it, 1), ['a'])
    assert.equal(it.lastEventId, 'e-5')
    it.close()
  })

  test('another page goes on', async () => {
    const { it } = await open({ lastEventId: 'e-3' })
    assert.equal(server.socket.sent[0].p.h['last-event-id'], 'e-3')
    it.close()
  })

  test('a server of oRPC replays from what was read', async () => {
    server.resume = undefined
    const { it } = await open()
    await server.publish('a', '1')
    await server.publish('b', '2')
    assert.deepEqual(await read(it, 1), ['a'])
    server.socket.drop()
    await clock.advance(500)
    await server.accept()
    assert.equal(server.socket.sent[0].p.h['last-event-id'], '1')
    await server.publish('b', '2')
    assert.deepEqual(await read(it, 1), ['b'])
    it.close()
  })

  test('a reader that is too slow gets everything, over the same socket', async () => {
    const { it } = await open({ buffer: { events: 4 } })
    for (let i = 1; i <= 6; i++) {
      await server.publish(i, `e-${i}`)
    }
    assert.equal(server.socket.sent.at(-1).t, 4, 'the subscription is aborted')
    assert.deepEqual(await read(it, 2), [1, 2])
    await settle()
    const again = server.socket.sent.at(-1)
    assert.equal(again.p.u, '/subscribe')
    assert.equal(again.p.h['last-event-id'], 'e-4')
    await server.publish(5, 'e-5')
    await server.publish(6, 'e-6')
    assert.deepEqual(await read(it, 4), [3, 4, 5, 6])
    assert.equal(server.sockets.length, 1)
    it.close()
  })

  test('the buffer is bounded by size', async () => {
    const { it } = await open({ buffer: { size: 2_000 } })
    for (let i = 1; i <= 3; i++) {
      await server.publish('x'.repeat(900), `e-${i}`)
    }
    assert.equal(server.socket.sent.at(-1).t, 4)
    await read(it, 2)
    await settle()
    assert.equal(server.socket.sent.at(-1).p.h['last-event-id'], 'e-2')
    it.close()
  })
})

describe('messages', () => {
  for (const message of ['null', '5', '"x"', '[]', '{}', '{"i":1}', '{"i":"-9"}', '{"i":"-9","t":3}']) {
    test(`${message} changes nothing`, async () => {
      const { it } = await open()
      server.socket.receive(message)
      await server.publish('a', 'e-1')
      assert.deepEqual(await read(it, 1), ['a'])
      it.close()
    })
  }
})

describe('gaps', () => {
  for (const [name, resume, reason] of [
    ['a truncated resume', 'truncated', 'truncated'],
    ['a server that keeps nothing', 'off', 'no-resume'],
  ] as const) {
    test(`${name} throws, and reading goes on`, async () => {
      const { it } = await open()
      await server.publish('a', 'e-1')
      await read(it, 1)
      server.resume = resume
      server.socket.drop()
      await clock.advance(500)
      await server.accept()
      await server.publish('b', 'e-9')
      await assert.rejects(it.next(), (gap: GapError) => gap.reason === reason && gap.channel === 'room' && gap.lastEventId === 'e-1')
      assert.deepEqual(await read(it, 1), ['b'])
      it.close()
    })
  }

  test('onGap is called in order, and nothing is thrown', async () => {
    const seen: unknown[] = []
    const { it } = await open({ onGap: gap => seen.push(gap.reason) })
    await server.publish('a', 'e-1')
    server.resume = 'truncated'
    server.socket.drop()
    await clock.advance(500)
    await server.accept()
    await server.publish('b', 'e-9')
    seen.push(...await read(it, 2).then(values => values))
    assert.deepEqual(seen, ['truncated', 'a', 'b'])
    it.close()
  })

  test('a server of oRPC whose ids restart', async () => {
    server.resume = undefined
    const { it } = await open({ lastEventId: '40' })
    await server.publish('a', '1')
    await assert.rejects(it.next(), (gap: GapError) => gap.reason === 'reset')
    assert.deepEqual(await read(it, 1), ['a'])
    it.close()
  })
})

describe('an address', () => {
  for (const [name, url] of Object.entries({
    'that is none': 'ws://server:port/room',
    'that no socket can have': 'ftp://server/room',
    'whose function fails': () => Promise.reject(new Error('no address')),
  })) {
    test(`${name} is the error of a first connection`, async () => {
      const { WebSocket } = globalThis
      globalThis.WebSocket = class extends WebSocket {
        constructor(address: string | URL, protocols?: string | string[]) {
          if (!['ws:', 'wss:'].includes(new URL(address).protocol)) {
            throw new SyntaxError('no address of a socket') // as browsers do
          }
          super(address, protocols)
        }
      }
      const states: unknown[] = []
      const failed = assert.rejects(
        dial({ url, token: token(), connectTimeout: 3_000, onState: (_, error) => error && states.push(error) }),
        /invalid url|no address/i,
      )
      await clock.advance(3_000)
      await failed
      assert.ok(states.length > 1)
    })
  }
})

describe('the end', () => {
  test('by a signal is its reason, for next and for calls', async () => {
    const abort = new AbortController()
    const { it } = await open({ signal: abort.signal })
    const waiting = assert.rejects(it.next(), /enough/)
    abort.abort(new Error('enough'))
    await waiting
    assert.equal(server.socket.closedWith, 1000)
    assert.deepEqual(await it.next(), { done: true, value: undefined })
  })

  test('by return, in a loop that is left', async () => {
    const { it } = await open()
    await server.publish('a', 'e-1')
    for await (const value of it) {
      assert.equal(value, 'a')
      break
    }
    assert.equal(it.state, 'closed')
    assert.equal(server.socket.closedWith, 1000)
  })

  test('reconnect opens another socket at once', async () => {
    const { it } = await open()
    await server.publish('a', 'e-1')
    it.reconnect()
    await server.accept()
    assert.equal(server.sockets.length, 2)
    assert.equal(server.socket.sent[0].p.h['last-event-id'], 'e-1')
    it.close()
  })
})
