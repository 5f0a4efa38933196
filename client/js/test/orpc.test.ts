import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'node:test'
import { createORPCClient, ORPCError } from '@orpc/client'
import { RPCLink } from '@orpc/client/fetch'
import { ClientRetryPlugin } from '@orpc/client/plugins'
import { setGlobalOtelConfig } from '@orpc/shared'
import type { DurableIteratorLinkPluginOptions } from '../src/orpc.js'
import { DurableIteratorLinkPlugin } from '../src/orpc.js'
import { Clock, settle } from './clock.js'
import { Server, token } from './server.js'

let clock: Clock
let server: Server
let requests: Request[]
let answer: () => { output: unknown, marked?: boolean }

beforeEach(() => {
  clock = new Clock()
  server = new Server()
  requests = []
  answer = () => ({ output: token({ rpc: ['echo'] }) })
})

afterEach(() => clock.restore())

function client(options: Partial<DurableIteratorLinkPluginOptions<any>> = {}): any {
  return createORPCClient(new RPCLink({
    url: 'http://server/rpc',
    fetch: async (request) => {
      requests.push(request)
      const { output, marked = true } = answer()
      return new Response(JSON.stringify({ json: output }), {
        headers: { 'content-type': 'application/json', ...(marked && { 'x-orpc-durable-iterator': '1' }) },
      })
    },
    plugins: [new DurableIteratorLinkPlugin({ url: 'ws://server/room', backoff: () => 500, ...options })],
  }))
}

test('a procedure resolves with the iterator', async () => {
  const made = client().onMessage({ room: 'a' })
  await server.accept()
  const it = await made
  await server.publish({ text: 'hi', at: 1 }, 'e-1')
  assert.deepEqual(await it.next(), { done: false, value: { text: 'hi', at: 1 } })
  it.close()
})

test('other answers are handed through', async () => {
  answer = () => ({ output: 'plain', marked: false })
  assert.equal(await client().plain(), 'plain')
})

test('an answer that is no token', async () => {
  answer = () => ({ output: 'secret' })
  await assert.rejects(client().chat.onMessage(), /Expected valid token for procedure chat\.onMessage/)
})

test('options get the token and the call', async () => {
  const seen: unknown[] = []
  const made = client({
    url: (token, call) => {
      seen.push(token.chn, call.lastEventId)
      return 'ws://elsewhere/room'
    },
    createId: () => 'me',
  }).onMessage(undefined, { lastEventId: 'e-4' })
  await server.accept()
  const it = await made
  assert.deepEqual(seen, ['room', 'e-4'])
  assert.equal(server.socket.url.href, 'ws://elsewhere/room?id=me')
  assert.equal(server.socket.sent[0].p.h['last-event-id'], 'e-4')
  it.close()
})

test('methods go through oRPC, over the same socket, under ids of their own', async () => {
  const made = client().onMessage()
  await server.accept()
  const it = await made
  assert.deepEqual(await it.echo({ n: 1 }), { path: ['echo'], input: { n: 1 } })
  assert.deepEqual(await it.rpc.echo(), { path: ['echo'], input: null })
  const ids = server.socket.sent.map(frame => frame.i)
  assert.equal(new Set(ids).size, ids.length)
  server.onCall = () => ({ s: 404, b: { json: { defined: false, code: 'NOT_FOUND', status: 404, message: 'no' } } })
  await assert.rejects(it.rpc.other(), (error: unknown) => error instanceof ORPCError && error.code === 'NOT_FOUND')
  it.close()
})

test('interceptors and plugins of the iterator see its calls', async () => {
  const paths: string[] = []
  const made = client({
    interceptors: [async (call: any) => {
      paths.push(call.path.join('.'))
      return call.next()
    }],
    plugins: [new ClientRetryPlugin()],
  }).onMessage()
  await server.accept()
  const it = await made
  let failures = 2
  server.onCall = input => failures-- > 0 ? { s: 503, b: { json: { defined: false, code: 'SERVICE_UNAVAILABLE', status: 503, message: 'no' } } } : { b: { json: input } }
  const answered = it.rpc.echo(1, { context: { retry: 3, retryDelay: 0 } })
  await clock.advance(10)
  assert.deepEqual(await answered, { path: ['echo'], input: 1 })
  assert.ok(paths.includes('call'))
  it.close()
})

test('a token is fetched by the same call', async () => {
  const made = client().onMessage({ room: 'a' })
  await server.accept()
  const it = await made
  server.socket.drop(1008, 'Token expired')
  await clock.advance(500)
  await server.accept()
  assert.equal(it.state, 'live')
  assert.equal(requests.length, 2)
  assert.equal(requests[0]!.url, requests[1]!.url)
  await settle()
  it.close()
})

test('a call that is under way when the connection is lost fails', async () => {
  const made = client().onMessage()
  await server.accept()
  const it = await made
  server.onCall = () => undefined
  const running = assert.rejects(it.rpc.echo(1), { name: 'DisconnectedError' })
  await settle()
  server.socket.drop()
  await running
  it.close()
})

test('calls carry the trace that is active', async () => {
  const made = client().onMessage()
  await server.accept()
  const it = await made
  const inject = (context: string, headers: Record<string, string>): unknown => headers['traceparent'] = context
  setGlobalOtelConfig({ context: { active: () => 'here' }, trace: { getActiveSpan: () => undefined }, propagation: { inject } } as never)
  try {
    await it.echo(1, { lastEventId: 'e-1' })
  }
  finally {
    setGlobalOtelConfig(undefined)
  }
  assert.deepEqual(server.calls.at(-1).h, { 'last-event-id': 'e-1', 'traceparent': 'here' })
  await it.echo(1)
  assert.equal(server.calls.at(-1).h, undefined)
  it.close()
})

test('files go both ways', async () => {
  const made = client().onMessage()
  await server.accept()
  const it = await made
  const answered = it.echo(new File(['a file'], 'a.txt', { type: 'text/plain' }))
  for (let i = 0; i < 100 && server.socket.sent.length < 2; i++) {
    await settle() // until the file was read
  }
  const bytes = new Uint8Array(server.socket.sent[1])
  const end = bytes.indexOf(255)
  const { i, p } = JSON.parse(new TextDecoder().decode(bytes.subarray(0, end)))
  assert.match(p.h['content-type'], /^multipart\/form-data/)
  const head = new TextEncoder().encode(JSON.stringify({ i, p: { h: p.h } }))
  server.socket.receive(Uint8Array.from([...head, ...bytes.subarray(end)]).buffer)
  const { path, input } = await answered
  assert.deepEqual(path, ['echo'])
  assert.equal(await input.text(), 'a file')
  it.close()
})
