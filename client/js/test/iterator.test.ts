import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import type { DialOptions, GapError, State } from '../src/index.js'
import { CallError, dial, DisconnectedError, RefusedError } from '../src/index.js'
import { Clock, settle } from './clock.js'
import { Server, token } from './server.js'

let clock: Clock
let server: Server

beforeEach(() => {
  clock = new Clock()
  server = new Server()
})

afterEach(() => {
  assert.equal(clock.timers, 0, 'a timer is left')
  clock.restore()
})

/** Attempts come at the middle of each window: after 0.5 s, 1.5 s, 2.5 s... */
const inTheMiddle = (attempt: number): number => attempt === 1 ? 500 : 1_000

interface Opened {
  it: Awaited<ReturnType<typeof dial<any, any>>>
  states: State[]
  errors: unknown[]
  tokens: number
}

async function open(options: Partial<DialOptions> = {}): Promise<Opened> {
  const opened = { states: [], errors: [], tokens: 0 } as unknown as Opened
  const made = dial<any, any>({
    url: 'ws://server/room',
    backoff: inTheMiddle,
    ...options,
    token: async (signal) => {
      opened.tokens++
      return typeof options.token === 'function' ? options.token(signal) : options.token ?? token()
    },
    onState: (state, error) => {
      opened.states.push(state)
      if (error !== undefined) {
        opened.errors.push(error)
      }
    },
  })
  await server.accept()
  opened.it = await made
  return opened
}

async function read(it: AsyncIterator<unknown>, count: number): Promise<unknown[]> {
  const values: unknown[] = []
  while (values.length < count) {
    const { value, done } = await it.next()
    assert.equal(done, false)
    values.push(value)
  }
  return values
}

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

  test('a first connection is tried for connectTimeout, and says what went wrong', async () => {
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

  test('an event that cannot be read is a gap, not a loop', async () => {
    const { it } = await open()
    const { i } = server.socket.sent[0]
    server.socket.receive({ i, t: 3, p: { e: 'message', d: { json: 'x', meta: [[0, 'nowhere']] }, m: { id: 'e-1' } } })
    await server.publish('b', 'e-2')
    await assert.rejects(it.next(), (gap: GapError) => gap.reason === 'unreadable')
    assert.deepEqual(await read(it, 1), ['b'])
    assert.equal(server.sockets.length, 1)
    it.close()
  })

  test('a server of oRPC that counts anew', async () => {
    server.resume = undefined
    const { it } = await open({ lastEventId: '40' })
    await server.publish('a', '1')
    await assert.rejects(it.next(), (gap: GapError) => gap.reason === 'reset')
    assert.deepEqual(await read(it, 1), ['a'])
    it.close()
  })
})

describe('codes', () => {
  for (const code of [1000, 1001, 1005, 1006, 1009, 1011, 1012, 1013, 3000, 4001, 4404, 4500, 4503]) {
    test(`${code} on an open socket comes back with the same token`, async () => {
      const opened = await open()
      server.socket.drop(code)
      await settle()
      assert.deepEqual(opened.states, ['live', 'waiting'])
      await clock.advance(500)
      await server.accept()
      assert.equal(opened.it.state, 'live')
      assert.equal(opened.tokens, 1)
      opened.it.close()
    })
  }

  for (const [code, reason] of [[1008, 'Token expired'], [4401, 'Invalid Token']] as const) {
    test(`${code} ${reason} fetches a token`, async () => {
      const opened = await open()
      server.socket.drop(code, reason)
      await clock.advance(500)
      await server.accept()
      assert.equal(opened.it.state, 'live')
      assert.equal(opened.tokens, 2)
      opened.it.close()
    })

    test(`${code} ${reason}, again before any was accepted, ends`, async () => {
      const opened = await open()
      server.socket.drop(code, reason)
      await clock.advance(500)
      server.answers = false
      server.socket.open()
      server.socket.drop(code, reason)
      await assert.rejects(opened.it.next(), (error: RefusedError) => error instanceof RefusedError && error.status === 401)
      assert.equal(opened.it.state, 'closed')
    })
  }

  for (const status of [403, 410]) {
    test(`4${status} ends at any time`, async () => {
      const opened = await open()
      server.socket.drop(4000 + status, 'sent away')
      await assert.rejects(opened.it.next(), (error: RefusedError) => error.status === status)
    })
  }

  for (const status of [400, 403, 404, 410, 426]) {
    test(`4${status} ends a first connection`, async () => {
      const made = dial({ url: 'ws://server/room', token: token() })
      const failed = assert.rejects(made, (error: RefusedError) => error.status === status)
      await settle()
      server.answers = false
      server.socket.open()
      server.socket.drop(4000 + status, 'no')
      await failed
    })
  }

  for (const status of [408, 425, 429, 500, 503]) {
    test(`4${status} is tried again at first`, async () => {
      const made = dial({ url: 'ws://server/room', token: token(), backoff: inTheMiddle })
      await settle()
      server.answers = false
      server.socket.open()
      server.socket.drop(4000 + status, 'later')
      server.answers = true
      await clock.advance(500)
      await server.accept()
      ;(await made).close()
    })
  }

  test('a source that refuses ends the iterator', async () => {
    let refuse = false
    const opened = await open({ token: async () => {
      if (refuse) {
        throw Object.assign(new Error('gone'), { status: 403 })
      }
      return token()
    } })
    refuse = true
    server.socket.drop(4401, 'Invalid Token')
    await clock.advance(500)
    await assert.rejects(opened.it.next(), /gone/)
  })

  test('a source that fails is asked again', async () => {
    let fail = false
    const opened = await open({ token: async () => {
      if (fail) {
        throw new Error('no answer')
      }
      return token()
    } })
    fail = true
    server.socket.drop(4401, 'Invalid Token')
    await clock.advance(500)
    fail = false
    await clock.advance(1_000)
    await server.accept()
    assert.equal(opened.it.state, 'live')
    opened.it.close()
  })
})

describe('refresh', () => {
  test('on the open socket, in time, by the token\'s own two times', async () => {
    for (const skew of [-3600, 0, 3600]) {
      const opened = await open({ token: async () => token({ life: 60, skew }), refreshTokenBeforeExpireInSeconds: 10 })
      const { socket } = server
      await clock.advance(49_000)
      assert.equal(opened.tokens, 1, `skew ${skew}`)
      await clock.advance(2_000)
      assert.equal(opened.tokens, 2, `skew ${skew}`)
      assert.equal(server.calls.at(-1).u, '/updateToken')
      await clock.advance(50_000)
      assert.equal(opened.tokens, 3, `skew ${skew}`)
      assert.equal(server.socket, socket)
      opened.it.close()
    }
  })

  test('with other tags another socket is opened', async () => {
    let tags = ['a']
    const opened = await open({ token: async () => token({ life: 60, tags }), refreshTokenBeforeExpireInSeconds: 10 })
    tags = ['b']
    await clock.advance(51_000)
    assert.equal(server.sockets.length, 2)
    await server.accept()
    assert.equal(opened.it.state, 'live')
    opened.it.close()
  })

  test('tokens that live too short cause no storm', async () => {
    const opened = await open({ token: async () => token({ life: 1 }), refreshTokenBeforeExpireInSeconds: 600 })
    await clock.advance(20_000)
    assert.ok(opened.tokens <= 12, `${opened.tokens} tokens in 20 s`)
    opened.it.close()
  })

  test('a refresh that fails is tried again', async () => {
    let fail = false
    const opened = await open({ token: async () => {
      if (fail) {
        throw new Error('no answer')
      }
      return token({ life: 60 })
    }, refreshTokenBeforeExpireInSeconds: 10 })
    fail = true
    await clock.advance(51_000)
    fail = false
    await clock.advance(3_000)
    assert.equal(server.calls.at(-1).u, '/updateToken')
    opened.it.close()
  })
})

describe('signs of life', () => {
  test('a dead connection is found within 40 s', async () => {
    const { it, states } = await open()
    server.answers = false
    await clock.advance(36_000)
    assert.equal(states.includes('waiting'), true)
    it.close()
  })

  test('a quiet connection is kept', async () => {
    const { it } = await open()
    await clock.advance(600_000)
    assert.equal(server.sockets.length, 1)
    it.close()
  })
})

describe('pages', () => {
  let page: EventTarget

  beforeEach(() => {
    page = new EventTarget()
    for (const name of ['addEventListener', 'removeEventListener'] as const) {
      ;(globalThis as any)[name] = page[name].bind(page)
    }
  })

  afterEach(() => {
    delete (globalThis as any).addEventListener
    delete (globalThis as any).removeEventListener
  })

  test('offline is seen at once, online does not wait', async () => {
    const { it, states } = await open({ backoff: () => 60_000 })
    page.dispatchEvent(new Event('offline'))
    assert.deepEqual(states, ['live', 'waiting'])
    page.dispatchEvent(new Event('online'))
    await server.accept()
    assert.equal(it.state, 'live')
    it.close()
  })

  test('a page that is put away leaves, and catches up', async () => {
    const { it } = await open()
    await server.publish('a', 'e-1')
    page.dispatchEvent(new Event('pagehide'))
    assert.equal(server.socket.closedWith, 1000)
    await clock.advance(3_600_000)
    assert.equal(server.sockets.length, 1)
    page.dispatchEvent(new Event('pageshow'))
    await server.accept()
    assert.equal(server.socket.sent[0].p.h['last-event-id'], 'e-1')
    it.close()
  })

  test('a page that is back does not trust its connection', async () => {
    const { it, states } = await open()
    server.answers = false
    page.dispatchEvent(new Event('pageshow'))
    await clock.advance(6_000)
    assert.equal(states.includes('waiting'), true)
    it.close()
  })
})

describe('calls', () => {
  test('of methods in groups, with and without input', async () => {
    const { it } = await open({ token: async () => token({ rpc: ['echo', 'chat'] }) })
    assert.deepEqual(await it.rpc.chat.say({ text: 'hi' }), { path: ['chat', 'say'], input: { text: 'hi' } })
    assert.deepEqual(await it.echo(), { path: ['echo'], input: null })
    assert.deepEqual(server.calls.at(-1).b.meta, [[3, 'input']])
    assert.equal(it.other, undefined, 'the token does not allow it')
    it.close()
  })

  test('an error of the method', async () => {
    const { it } = await open()
    server.onCall = () => ({ s: 403, b: { json: { defined: false, code: 'MUTED', status: 403, message: 'muted', data: { until: 1 } } } })
    await assert.rejects(it.rpc.say('x'), (error: CallError) => error.code === 'MUTED' && error.status === 403 && error.message === 'muted')
    it.close()
  })

  test('wait for a connection, and fail with it', async () => {
    const { it } = await open()
    server.onCall = () => undefined
    const running = assert.rejects(it.rpc.say('x'), DisconnectedError)
    await settle()
    server.socket.drop()
    await running
    server.onCall = input => ({ b: { json: input } })
    const waiting = it.rpc.say('y')
    await clock.advance(500)
    await server.accept()
    assert.deepEqual(await waiting, { path: ['say'], input: 'y' })
    it.close()
    await assert.rejects(it.rpc.say('z'), DisconnectedError)
  })

  test('are aborted', async () => {
    const { it } = await open()
    server.onCall = () => undefined
    const abort = new AbortController()
    const running = assert.rejects(it.rpc.say('x', { signal: abort.signal }), /enough/)
    await settle()
    abort.abort(new Error('enough'))
    await running
    assert.equal(server.socket.sent.at(-1).t, 4)
    it.close()
  })

  test('that return a stream', async () => {
    const { it } = await open()
    server.onCall = () => ({ h: { 'content-type': 'text/event-stream' } })
    const stream = await it.rpc.count()
    const { i } = server.socket.sent.at(-1)
    server.socket.receive({ i, t: 3, p: { e: 'message', d: { json: 1 } } })
    server.socket.receive({ i, t: 3, p: { e: 'message', d: { json: 2 } } })
    server.socket.receive({ i, t: 3, p: { e: 'done', d: { json: 'end' } } })
    assert.deepEqual(await stream.next(), { done: false, value: 1 })
    assert.deepEqual(await stream.next(), { done: false, value: 2 })
    assert.deepEqual(await stream.next(), { done: true, value: 'end' })
    it.close()
  })
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
