// Our own client for TypeScript (client/js), as it was built, with oRPC's client and without.
import assert from 'node:assert/strict'
import { createORPCClient } from '@orpc/client'
import { RPCLink } from '@orpc/client/fetch'
import { WebSocket } from 'ws'
import { dial, DurableIteratorLinkPlugin } from '../../../client/js/dist/src/orpc.js'
import { addresses } from './lib/arguments.mjs'
import { newRoom } from './lib/durable.mjs'
import { Proxy } from './lib/proxy.mjs'
import { equal, failsWith, failure, pause, Suite, until } from './lib/suite.mjs'

/** How many messages have arrived. */
let received = 0

globalThis.WebSocket = class extends WebSocket {
  constructor(...options) {
    super(...options)
    this.addEventListener('message', () => received++)
  }
}

const plain = createORPCClient(new RPCLink({ url: addresses.rpc }))

/** Returns a client whose procedures resolve with iterators. */
function withPlugin(options = {}) {
  return createORPCClient(new RPCLink({
    url: addresses.rpc,
    plugins: [new DurableIteratorLinkPlugin({ url: addresses.chat, backoff: () => 50, ...options })],
  }))
}

const requestToken = input => plain.onMessage(input)

async function read(iterator, count) {
  const events = []
  while (events.length < count) {
    events.push((await iterator.next()).value)
  }
  return events
}

const suite = new Suite()

for (const subprotocol of [true, false]) {
  const how = subprotocol ? 'token in the subprotocol' : 'token in the address'
  suite.check(`events and calls, ${how}`, async () => {
    const room = newRoom()
    const iterator = await withPlugin({ subprotocol }).onMessage({ room })
    await plain.sendMessage({ room, message: 'hello', data: { at: new Date(0), n: 7n } })
    equal(await read(iterator, 1), [{ message: 'hello', data: { at: new Date(0), n: 7n } }])
    equal(await iterator.routerClient.ping(), 'pong')
    const file = await iterator.rpc.toolbox.download()
    equal(await file.file.text(), 'hello file')
    await failsWith(iterator.rpc.hiddenClient(), { code: 'FORBIDDEN', status: 403 })
    iterator.close()
  })
}

suite.check('dial, without oRPC', async () => {
  const room = newRoom()
  const iterator = await dial({ url: addresses.chat, token: () => requestToken({ room }) })
  await plain.sendMessage({ room, message: 'hello' })
  equal(await read(iterator, 1), [{ message: 'hello' }])
  equal(await iterator.rpc.toolbox.echo(new Map([[1, new Set([new Date(5)])]])), new Map([[1, new Set([new Date(5)])]]))
  const numbers = []
  for await (const { n } of await iterator.rpc.toolbox.count({ to: 3 })) {
    numbers.push(n)
  }
  equal(numbers, [1, 2, 3])
  await failsWith(iterator.rpc.toolbox.fail({ kind: 'orpc' }), { name: 'CallError', code: 'CONFLICT', status: 409 })
  iterator.close()
})

for (const [how, open] of Object.entries({
  'dial': input => dial({ url: addresses.chat, token: () => requestToken(input) }),
  'oRPC': input => withPlugin().onMessage(input),
})) {
  suite.check(`a stream that nobody reads is ended at the server, ${how}`, async () => {
    const iterator = await open({ room: newRoom() })
    const start = received
    const stream = await iterator.rpc.toolbox.count({ to: 1_000_000_000 })
    await until(() => received > start + 1_001) // with the answer one more than is kept
    await iterator.rpc.routerClient.ping() // the server has heard what was sent before
    const end = received
    await pause(100)
    equal(received, end)
    const numbers = await read(stream, 1_000)
    equal(numbers.map(({ n }) => n), Array.from({ length: 1_000 }, (_, i) => i + 1))
    await failsWith(stream.next(), { name: 'OverflowError' })
    equal((await stream.next()).done, true)
    iterator.close()
  })
}

suite.check('each event once and in order, over cuts of the connection', async () => {
  const room = newRoom()
  const proxy = await Proxy.to(addresses.chat)
  const iterator = await dial({ url: proxy.address, token: () => requestToken({ room }), backoff: () => 20 })
  const want = Array.from({ length: 60 }, (_, i) => ({ message: String(i) }))
  const publishing = (async () => {
    for (const [i, { message }] of want.entries()) {
      await plain.sendMessage({ room, message })
      if (i % 20 === 10) {
        proxy.cut()
        await pause(30)
        proxy.mend()
      }
    }
  })()
  equal(await read(iterator, want.length), want)
  await publishing
  iterator.close()
  proxy.close()
})

suite.check('a token that expires is replaced, and nothing is lost', async () => {
  const room = newRoom()
  let tokens = 0
  const iterator = await dial({
    url: addresses.chat,
    backoff: () => 20,
    token: () => {
      tokens++
      return requestToken({ room, ttl: 1.5 })
    },
  })
  await until(() => tokens === 2)
  await plain.sendMessage({ room, message: 'after' })
  equal(await read(iterator, 1), [{ message: 'after' }])
  iterator.close()
})

suite.check('a refresh in time keeps the socket', async () => {
  const room = newRoom()
  const states = []
  let tokens = 0
  const iterator = await dial({
    url: addresses.chat,
    refreshTokenBeforeExpireInSeconds: 2,
    refreshTokenDelayInSeconds: 0.2,
    onState: state => states.push(state),
    token: () => {
      tokens++
      return requestToken({ room, ttl: 3 })
    },
  })
  await until(() => tokens >= 4)
  equal(states, ['live'])
  iterator.close()
})

suite.check('a refused token is an error with its status, and is in no error', async () => {
  const token = (await requestToken({ room: newRoom() })).replace(/\.[^.]*$/, '.forged-signature-of-this-token')
  const error = await failure(dial({ url: addresses.chat, token, backoff: () => 20 }))
  assert.equal(error.status, 401)
  assert.equal(error.name, 'RefusedError')
  assert.ok(!String(error.stack).includes('forged'))
})

await suite.run()
