import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { beforeEach, describe, test } from 'node:test'
import { createORPCClient, getEventMeta, ORPCError } from '@orpc/client'
import { RPCLink } from '@orpc/client/fetch'
import { CallError, DisconnectedError, OverflowError } from '../src/index.js'
import { DurableIteratorLinkPlugin } from '../src/orpc.js'
import { settle } from './clock.js'
import { open, read, server } from './harness.js'
import { token } from './server.js'

const MIB = 1 << 20

/** An iterator whose methods return streams. */
type Rooms = Record<'dial' | 'oRPC', () => Promise<any>>

const rooms: Rooms = {
  'dial': async () => (await open()).it,
  'oRPC': async () => {
    const client: any = createORPCClient(new RPCLink({
      url: 'http://server/rpc',
      fetch: async () => new Response(JSON.stringify({ json: token() }), {
        headers: { 'content-type': 'application/json', 'x-orpc-durable-iterator': '1' },
      }),
      plugins: [new DurableIteratorLinkPlugin({ url: 'ws://server/room', backoff: () => 500 })],
    }))
    const made = client.onMessage()
    await server.accept()
    return made
  },
}

/** send sends an event of the newest stream. */
async function send(json: unknown, e = 'message', m?: unknown): Promise<void> {
  const { i } = server.socket.sent.findLast(frame => frame.p?.u === '/call')
  server.socket.receive({ i, t: 3, p: { e, d: { json }, m } })
}

async function sendMany(count: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    await send(n)
  }
  await settle()
}

const aborts = (): unknown[] => server.socket.sent.filter(frame => frame.t === 4)

for (const [name, newRoom] of Object.entries(rooms)) {
  describe(`a stream of a method, ${name}`, () => {
    beforeEach(() => {
      server.onCall = () => ({ h: { 'content-type': 'text/event-stream' } })
    })

    test('has events and a return value', async () => {
      const it = await newRoom()
      const stream = await it.rpc.count()
      await send({ n: 1 }, 'message', { id: 'e-1', retry: 5 })
      await send({ n: 2 })
      await send({ to: 2 }, 'done')
      await send('too late')
      const first = await stream.next()
      assert.deepEqual(first, { done: false, value: { n: 1 } })
      assert.deepEqual(getEventMeta(first.value), name === 'oRPC' ? { id: 'e-1', retry: 5 } : undefined)
      assert.deepEqual(await stream.next(), { done: false, value: { n: 2 } })
      assert.deepEqual(await stream.next(), { done: true, value: { to: 2 } })
      assert.deepEqual(await stream.next(), { done: true, value: undefined })
      await stream.return()
      assert.deepEqual(aborts(), [])
      it.close()
    })

    test('fails with the error of the method', async () => {
      const it = await newRoom()
      const stream = await it.rpc.count()
      await send(1)
      await send({ defined: false, code: 'CONFLICT', status: 409, message: 'no' }, 'error')
      assert.deepEqual(await read(stream, 1), [1])
      const failure: any = await stream.next().catch((error: unknown) => error)
      assert.ok(failure instanceof (name === 'oRPC' ? ORPCError : CallError))
      assert.deepEqual([failure.code, failure.status], ['CONFLICT', 409])
      assert.equal((await stream.next()).done, true)
      assert.deepEqual(aborts(), [])
      it.close()
    })

    test('that nobody reads is bounded in events, and the server told to stop', async () => {
      const it = await newRoom()
      const { signal } = new AbortController()
      const stream = await it.rpc.count(undefined, { signal })
      await sendMany(1_000)
      assert.deepEqual(aborts(), [])
      await sendMany(10)
      assert.equal(aborts().length, 1)
      assert.equal(getEventListeners(signal, 'abort').length, 0)
      assert.deepEqual(await read(stream, 1_000), Array.from({ length: 1_000 }, (_, n) => n))
      await assert.rejects(stream.next(), OverflowError)
      assert.equal((await stream.next()).done, true)
      assert.equal(it.state, 'live')
      it.close()
    })

    test('that nobody reads is bounded in size', async () => {
      const it = await newRoom()
      const stream = await it.rpc.count()
      for (let n = 0; n < 5; n++) {
        await send('x'.repeat(MIB - 100))
      }
      assert.equal(aborts().length, 1)
      assert.equal((await read(stream, 4)).length, 4)
      await assert.rejects(stream.next(), OverflowError)
      it.close()
    })

    test('that nobody reads is bounded in size, also in binary messages', async () => {
      const it = await newRoom()
      const stream = await it.rpc.count()
      const { i } = server.socket.sent.findLast(frame => frame.p?.u === '/call')
      const bytes = new TextEncoder().encode(JSON.stringify({ i, t: 3, p: { e: 'message', d: { json: 'x'.repeat(MIB - 100) } } }))
      for (let n = 0; n < 5; n++) {
        server.socket.receive(bytes.buffer)
      }
      assert.equal(aborts().length, 1)
      assert.equal((await read(stream, 4)).length, 4)
      await assert.rejects(stream.next(), OverflowError)
      it.close()
    })

    for (const [what, frame] of Object.entries({
      'an event': { t: 3, p: { e: 'message', d: { json: 1 } } },
      'the end of events': { t: 3, p: { e: 'done', d: { json: 1 } } },
    })) {
      test(`of which ${what} comes before the answer fails the call`, async () => {
        const it = await newRoom()
        server.onCall = () => undefined
        const failed = assert.rejects(it.rpc.count())
        await settle()
        const { i } = server.socket.sent.findLast(sent => sent.p?.u === '/call')
        server.socket.receive({ i, ...frame })
        await failed
        assert.equal(it.state, 'live')
        it.close()
      })
    }

    test('that is answered twice fails', async () => {
      const it = await newRoom()
      const stream = await it.rpc.count()
      await send(1)
      const { i } = server.socket.sent.findLast(sent => sent.p?.u === '/call')
      server.socket.receive({ i, p: { b: { json: 'an answer' } } })
      assert.deepEqual(await read(stream, 1), [1])
      await assert.rejects(stream.next(), TypeError)
      it.close()
    })

    test('may have an event that is larger than all that it may hold', async () => {
      const it = await newRoom()
      const stream = await it.rpc.count()
      await send('x'.repeat(5 * MIB))
      assert.equal((await read(stream, 1) as string[])[0]!.length, 5 * MIB)
      assert.deepEqual(aborts(), [])
      it.close()
    })

    test('that is read has no end', async () => {
      const it = await newRoom()
      const stream = await it.rpc.count()
      for (let n = 0; n < 3; n++) {
        await sendMany(1_000)
        await read(stream, 1_000)
      }
      assert.deepEqual(aborts(), [])
      it.close()
    })

    test('is complete if its end comes when it is full', async () => {
      const it = await newRoom()
      const stream = await it.rpc.count()
      await sendMany(1_000)
      await send('end', 'done')
      await read(stream, 1_000)
      assert.deepEqual(await stream.next(), { done: true, value: 'end' })
      it.close()
    })

    test('is bounded as each other is', async () => {
      const it = await newRoom()
      const first = await it.rpc.count()
      await sendMany(1_000)
      const second = await it.rpc.count()
      await sendMany(1_000)
      assert.equal((await read(first, 1_000)).length, 1_000)
      assert.equal((await read(second, 1_000)).length, 1_000)
      assert.deepEqual(aborts(), [])
      it.close()
    })

    test('drops what it holds when it is closed', async () => {
      const it = await newRoom()
      const stream = await it.rpc.count()
      await sendMany(1_001)
      await stream.return()
      assert.deepEqual(await stream.next(), { done: true, value: undefined })
      assert.equal(aborts().length, 1)
      it.close()
    })

    test('has what has arrived before the connection was lost', async () => {
      const it = await newRoom()
      const stream = await it.rpc.count()
      await sendMany(2)
      server.socket.drop()
      assert.deepEqual(await read(stream, 2), [0, 1])
      await assert.rejects(stream.next(), DisconnectedError)
      it.close()
    })

    test('has what has arrived before its signal', async () => {
      const it = await newRoom()
      const abort = new AbortController()
      const stream = await it.rpc.count(undefined, { signal: abort.signal })
      await sendMany(2)
      abort.abort(new Error('enough'))
      await settle()
      assert.equal(aborts().length, 1)
      assert.deepEqual(await read(stream, 2), [0, 1])
      await assert.rejects(stream.next(), /enough/)
      it.close()
    })

    test('ends with an event that cannot be read', async () => {
      const it = await newRoom()
      const stream = await it.rpc.count()
      await send(1)
      const { i } = server.socket.sent.findLast(frame => frame.p?.u === '/call')
      server.socket.receive({ i, t: 3, p: { e: 'message', d: { json: 1, meta: [[1, 'nowhere']] } } })
      await settle()
      assert.deepEqual(await read(stream, 1), [1])
      await assert.rejects(stream.next())
      await settle()
      assert.equal((await stream.next()).done, true)
      assert.equal(aborts().length, 1)
      it.close()
    })
  })
}
