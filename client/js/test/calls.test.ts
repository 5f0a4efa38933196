import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { describe, test } from 'node:test'
import { CallError, DisconnectedError } from '../src/index.js'
import { settle } from './clock.js'
import { clock, open, server } from './harness.js'
import { token } from './server.js'

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

  test('that wait leave nothing behind at a signal that lives longer', async () => {
    const { it } = await open()
    const { signal } = new AbortController()
    server.socket.drop()
    const waiting = [it.rpc.say('a', { signal }), it.rpc.say('b', { signal })]
    await settle()
    await clock.advance(500)
    await server.accept()
    await Promise.all(waiting)
    assert.equal(getEventListeners(signal, 'abort').length, 0)
    server.socket.drop()
    const ended = assert.rejects(it.rpc.say('c', { signal }), DisconnectedError)
    it.close()
    await ended
    assert.equal(getEventListeners(signal, 'abort').length, 0)
  })

  test('that wait end with the reason why the iterator does', async () => {
    const abort = new AbortController()
    const { it } = await open({ signal: abort.signal })
    server.socket.drop()
    const waiting = assert.rejects(it.rpc.say('a'), /enough/)
    abort.abort(new Error('enough'))
    await waiting
  })

  test('are aborted while they wait', async () => {
    const { it } = await open()
    server.socket.drop()
    const abort = new AbortController()
    const waiting = assert.rejects(it.rpc.say('a', { signal: abort.signal }), /enough/)
    abort.abort(new Error('enough'))
    await waiting
    await clock.advance(500)
    await server.accept()
    assert.deepEqual(server.calls, [])
    it.close()
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

  test('leave nothing behind at a signal that lives longer', async () => {
    const { it } = await open()
    const { signal } = new AbortController()
    await it.rpc.say('x', { signal })
    server.onCall = () => ({ s: 500, b: { json: {} } })
    await assert.rejects(it.rpc.say('x', { signal }))
    server.onCall = () => ({ h: { 'content-type': 'text/event-stream' } })
    const ended = await it.rpc.count(undefined, { signal })
    server.socket.receive({ i: server.socket.sent.at(-1).i, t: 3, p: { e: 'done', d: { json: 'end' } } })
    await ended.next()
    const left = await it.rpc.count(undefined, { signal })
    await left.return()
    const lost = await it.rpc.count(undefined, { signal })
    server.socket.drop()
    await assert.rejects(lost.next(), DisconnectedError)
    assert.equal(getEventListeners(signal, 'abort').length, 0)
    it.close()
  })

  test('that are answered with a file', async () => {
    const { it } = await open()
    server.onCall = () => undefined
    const running = assert.rejects(it.rpc.download(), /use the client of @orpc\/client/)
    await settle()
    const { i } = server.socket.sent.at(-1)
    const head = JSON.stringify({ i, p: { h: { 'content-type': 'text/plain', 'content-disposition': 'attachment; filename="\ufffd.txt"' } } })
    server.socket.receive(Uint8Array.from([...new TextEncoder().encode(head), 255, 0, 255, 1]).buffer)
    await running
    assert.equal(it.state, 'live')
    it.close()
  })
})
