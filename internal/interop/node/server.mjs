// A server of @orpc/server, over HTTP and over WebSockets. It prints its addresses as
// one line of JSON when it is ready, and ends on SIGTERM.
import { createServer } from 'node:http'
import { getEventMeta, implement, ORPCError, withEventMeta } from '@orpc/server'
import { RPCHandler as HTTPHandler } from '@orpc/server/node'
import { BatchHandlerPlugin } from '@orpc/server/plugins'
import { RPCHandler as WebsocketHandler } from '@orpc/server/ws'
import { WebSocketServer } from 'ws'
import { contract } from './lib/contract.mjs'
import { pause } from './lib/suite.mjs'

const os = implement(contract)

const router = os.router({
  echo: os.echo.handler(({ input }) => input),
  fail: os.fail.handler(({ input, errors }) => {
    switch (input.kind) {
      case 'defined':
        throw errors.TEAPOT({ data: { kind: 'green' } })
      case 'orpc':
        throw new ORPCError('CONFLICT', {
          message: 'already there', data: { id: 7n, at: new Date('2024-01-02T03:04:05.678Z') },
        })
      case 'custom':
        throw new ORPCError('MY_OWN_CODE', { status: 460, message: 'own', data: [1, 2] })
      default:
        throw new Error('a secret that must not reach the client')
    }
  }),
  readable: os.readable.handler(({ input }) => ({ got: input })),
  nested: { ping: os.nested.ping.handler(() => 'pong') },
  lastEventId: os.lastEventId.handler(({ lastEventId }) => lastEventId ?? null),
  sendMessage: os.sendMessage.handler(() => {}),
  count: os.count.handler(async function* ({ input: { to, failAt, ms } }) {
    for (let n = 1; n <= to; n++) {
      if (n > 1 && ms) {
        await pause(ms)
      }
      if (n === failAt) {
        throw new ORPCError('CONFLICT', { message: `stopped at ${n}` })
      }
      yield withEventMeta({ n }, { id: `n-${n}`, retry: 1234 })
    }
    return { total: to }
  }),
  collect: os.collect.handler(async ({ input }) => {
    const all = { numbers: [], ids: [], total: 0 }
    for (;;) {
      const { done, value } = await input.next()
      if (done) {
        return { ...all, total: value?.total ?? 0 }
      }
      if (value.n < 0) {
        await input.return()
        return all
      }
      all.numbers.push(value.n)
      const { id } = getEventMeta(value) ?? {}
      if (id) {
        all.ids.push(id)
      }
    }
  }),
  twice: os.twice.handler(async function* ({ input }) {
    let total = 0
    for await (const { n } of input) {
      yield { n: 2 * n }
      total++
    }
    return { total }
  }),
  upload: os.upload.handler(async ({ input: { file } }) => {
    return { name: file.name, type: file.type, size: file.size, text: await file.text() }
  }),
  download: os.download.handler(() => ({ file: new File(['hello file'], 'hello.txt', { type: 'text/plain' }) })),
})

const overHTTP = new HTTPHandler(router, { plugins: [new BatchHandlerPlugin()] })
// A client that comes back to its connection shall find it open, however slow the machine.
const server = createServer({ keepAliveTimeout: 600_000 }, async (request, response) => {
  const { matched } = await overHTTP.handle(request, response, { prefix: '/rpc' })
  if (!matched) {
    response.writeHead(404, { 'content-type': 'text/plain' }).end('Not Found')
  }
})

const overWebsocket = new WebsocketHandler(router)
const sockets = new WebSocketServer({ server, path: '/rpc-ws' })
sockets.on('connection', socket => overWebsocket.upgrade(socket))

server.listen(0, '127.0.0.1', () => {
  const host = `127.0.0.1:${server.address().port}`
  console.log(JSON.stringify({ rpc: `http://${host}/rpc`, rpcWebsocket: `ws://${host}/rpc-ws` }))
})

process.on('SIGTERM', () => process.exit(0))
