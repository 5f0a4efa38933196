// The RPC link of @orpc/client over a WebSocket.
import { once } from 'node:events'
import { addresses, features } from './lib/arguments.mjs'
import { websocketClient } from './lib/links.mjs'
import { equal, failure, Suite } from './lib/suite.mjs'
import { checkEvents } from './checks/events.mjs'
import { checkInputs } from './checks/inputs.mjs'
import { checkFiles } from './checks/files.mjs'
import { checkProcedures } from './checks/procedures.mjs'

const suite = new Suite()
const { client, socket } = await websocketClient(addresses.rpcWebsocket)

checkProcedures(suite, client)

suite.check('procedure declared with GET', async () => {
  equal(await client.readable({ at: new Date(0) }), { got: { at: new Date(0) } })
})

suite.check('messages that cannot be read do no harm', async () => {
  socket.send('garbage')
  socket.send('{"i":"x1","p":{"u":"/echo","b":{"json":1,"meta":[[0]]}}}')
  socket.send(new Uint8Array([0xFF, 0xFF]))
  equal(await client.nested.ping(), 'pong')
})

suite.check('connections are apart', async () => {
  const other = await websocketClient(addresses.rpcWebsocket)
  const calls = [client.echo('mine'), other.client.echo('yours'), client.echo('mine too')]
  equal(await Promise.all(calls), ['mine', 'yours', 'mine too'])
  other.socket.close()
  await once(other.socket, 'close')
  equal(await client.nested.ping(), 'pong')
})

suite.check('lost connection fails the calls', async () => {
  const other = await websocketClient(addresses.rpcWebsocket)
  const call = other.client.echo('late')
  other.socket.terminate()
  await failure(call)
  await failure(other.client.echo('later'))
})

suite.check('close is answered', async () => {
  const other = await websocketClient(addresses.rpcWebsocket)
  other.socket.close(1000)
  const [code] = await once(other.socket, 'close')
  equal(code, 1000)
})

if (features.includes('events')) {
  checkEvents(suite, client)
}
if (features.includes('socket inputs')) {
  checkInputs(suite, client)
}
if (features.includes('files')) {
  checkFiles(suite, client)
}

await suite.run()
