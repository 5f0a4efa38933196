import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { dial, RefusedError } from '../src/index.js'
import { settle } from './clock.js'
import { clock, inTheMiddle, open, server } from './harness.js'
import { token } from './server.js'

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
