import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, test } from 'node:test'
import type { DisconnectedError } from '../src/index.js'
import { dial } from '../src/index.js'
import { settle } from './clock.js'
import { clock, open, read, server } from './harness.js'
import { FakePage } from './page.js'
import { token } from './server.js'

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

  test('a server that answers late, but does, is kept', async () => {
    const { it } = await open()
    server.answers = false
    await clock.advance(34_000)
    await server.publish('a')
    server.answers = true
    await clock.advance(60_000)
    assert.equal(server.sockets.length, 1)
    it.close()
  })

  test('a server with heartbeats is not asked', async () => {
    const { it } = await open()
    const { i, p } = server.socket.sent[0]
    const seconds = Number(p.h['x-durable-iterator-heartbeat'])
    assert.equal(seconds, 20, 'before the client would ask')
    for (let count = 0; count < 10; count++) {
      await clock.advance(seconds * 1_000)
      server.socket.receive({ i, t: 3, p: { e: 'message' } })
    }
    assert.equal(server.socket.sent.length, 1)
    it.close()
  })

  test('heartbeat is the silence after which a server is asked', async () => {
    const { it } = await open({ heartbeat: 5_000 })
    assert.equal(server.socket.sent[0].p.h['x-durable-iterator-heartbeat'], '4')
    await clock.advance(5_000)
    assert.equal(server.socket.sent.at(-1).p.u, '/ping')
    it.close()
  })
})

describe('pages', () => {
  let page: FakePage

  beforeEach(() => {
    page = new FakePage()
  })

  afterEach(() => page.restore())

  test('offline is seen at once, online does not wait', async () => {
    const { it, states, errors } = await open({ backoff: () => 60_000 })
    page.tell('offline')
    assert.deepEqual(states, ['live', 'waiting'])
    assert.match((errors[0] as DisconnectedError).message, /offline/)
    assert.equal(server.socket.closedWith, 1000)
    page.tell('online')
    await server.accept()
    assert.equal(it.state, 'live')
    it.close()
  })

  for (const [away, back] of [['pagehide', 'pageshow'], ['freeze', 'resume']] as const) {
    test(`${away} leaves, and ${back} catches up`, async () => {
      const { it, states } = await open()
      await server.publish('a', 'e-1')
      page.tell(away)
      page.tell('freeze') // some browsers send it, too
      assert.equal(server.socket.closedWith, 1000, 'before the page stands still')
      assert.deepEqual(states, ['live', 'waiting'])
      await clock.advance(3_600_000)
      assert.equal(server.sockets.length, 1)
      page.tell(back)
      await server.accept()
      assert.equal(server.socket.sent[0].p.h['last-event-id'], 'e-1')
      await server.publish('b', 'e-2')
      assert.deepEqual(await read(it, 2), ['a', 'b'])
      it.close()
    })
  }

  for (const back of ['pageshow', 'resume', 'visible', 'online'] as const) {
    test(`${back} does not trust the connection`, async () => {
      const { it, states } = await open()
      page.tell('hidden')
      server.answers = false
      page.tell(back)
      await clock.advance(5_000)
      assert.deepEqual(states, ['live', 'waiting'])
      it.close()
    })

    test(`${back} does not wait for the next attempt`, async () => {
      const { it } = await open({ backoff: () => 60_000 })
      page.tell('hidden')
      server.socket.drop()
      page.tell(back)
      await server.accept()
      assert.equal(it.state, 'live')
      it.close()
    })

    test(`${back} keeps a connection that is alive`, async () => {
      const { it, states } = await open()
      page.tell('hidden')
      page.tell(back)
      await clock.advance(5_000)
      assert.deepEqual(states, ['live'])
      assert.equal(server.sockets.length, 1)
      it.close()
    })
  }

  test('coming back costs no token before its time', async () => {
    const opened = await open({ token: async () => token({ life: 30 }), refreshTokenBeforeExpireInSeconds: 60, refreshTokenDelayInSeconds: 5 })
    await clock.advance(0)
    assert.equal(opened.tokens, 2, 'the first is due at once')
    for (let n = 0; n < 4; n++) {
      page.tell('hidden')
      page.tell('visible')
      await clock.advance(1_000)
    }
    assert.equal(opened.tokens, 2)
    clock.sleep(5_000)
    page.tell('visible')
    await clock.advance(0)
    assert.equal(opened.tokens, 3, 'timers of a sleeping machine stand still')
    opened.it.close()
  })

  test('a page that is put away while it waits does not try again', async () => {
    const { it, states } = await open()
    server.socket.drop()
    page.tell('pagehide')
    page.tell('offline')
    await clock.advance(3_600_000)
    assert.equal(server.sockets.length, 1)
    assert.deepEqual(states, ['live', 'waiting', 'waiting'])
    it.close()
  })

  test('a hidden page stays connected', async () => {
    const { it, states } = await open()
    page.tell('hidden')
    await clock.advance(600_000)
    assert.deepEqual(states, ['live'])
    it.close()
  })

  test('a page that is put away while it connects has all the time when it is back', async () => {
    const made = dial({ url: 'ws://server/room', token: token() })
    await settle()
    page.tell('pagehide')
    assert.equal(server.socket.closedWith, 1000)
    await clock.advance(3_600_000)
    page.tell('pageshow')
    await clock.advance(20_000) // of 30
    await server.accept()
    const it = await made
    assert.equal(it.state, 'live')
    it.close()
  })

  test('a page that never connects receives an error, also if it was put away', async () => {
    const failed = assert.rejects(dial({ url: 'ws://server/room', token: token() }), /cannot connect|timed out/)
    await settle()
    page.tell('pagehide')
    await clock.advance(3_600_000)
    page.tell('pageshow')
    await clock.advance(30_000)
    await failed
  })

  test('a page that wakes up refreshes a token that is due', async () => {
    const opened = await open({ token: async () => token({ life: 60 }), refreshTokenBeforeExpireInSeconds: 10 })
    clock.sleep(55_000)
    page.tell('visible')
    await clock.advance(1)
    assert.equal(opened.tokens, 2)
    opened.it.close()
  })

  test('a page that is put away while a token is fetched connects when it is back', async () => {
    let answer: ((token: string) => void) | undefined
    const { it, states } = await open({ token: () => answer ? new Promise<string>(resolve => answer = resolve) : Promise.resolve(token()) })
    answer = () => {}
    server.socket.drop(4401, 'Invalid Token')
    await clock.advance(500)
    page.tell('pagehide')
    answer(token())
    await clock.advance(3_600_000)
    assert.deepEqual(states, ['live', 'waiting', 'connecting', 'waiting'])
    assert.equal(server.sockets.length, 1)
    page.tell('pageshow')
    await server.accept()
    assert.equal(it.state, 'live')
    it.close()
  })

  test('an iterator that has ended hears nothing any more', async () => {
    const { it, states } = await open()
    it.close()
    assert.equal(page.listeners, 0)
    for (const name of ['offline', 'online', 'pagehide', 'pageshow', 'freeze', 'resume', 'hidden', 'visible'] as const) {
      page.tell(name)
    }
    await settle()
    assert.deepEqual(states, ['live', 'closed'])
    assert.equal(server.sockets.length, 1)
  })
})
