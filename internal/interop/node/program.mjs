// The client for TypeScript (client/js), as a program that does and prints the same as
// ../wasm does. Its argument is a config as JSON.
import { WebSocket } from 'ws'
import { dial } from '../../../client/js/dist/src/index.js'

globalThis.WebSocket ??= WebSocket

const { Socket, Token, Place, Ping } = JSON.parse(process.argv[2])
const oneLine = error => String(error.message).replaceAll('\n', ' ')

const inURL = 1
const nanoseconds = 1e6

try {
  const iterator = await dial({
    url: Socket,
    subprotocol: Place !== inURL,
    ...Ping > 0 && { heartbeat: Ping / nanoseconds },
    token: async signal => (await fetch(Token, { signal })).text(),
    backoff: () => 50,
    onState: (state, error) => console.log('state', state, error ? oneLine(error) : ''),
    onGap: gap => console.log('gap', oneLine(gap)),
  })
  console.log(await iterator.ping())
  for await (const number of iterator) {
    if (number < 0) {
      break
    }
    console.log('event', number)
  }
}
catch (error) {
  console.log('error', oneLine(error))
}
console.log('end')
