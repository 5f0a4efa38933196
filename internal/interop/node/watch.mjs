// Clients that watch channels of a cluster, each with a token of its own, and print what they
// see as lines of JSON. They connect to any of the addresses.
import { addresses as input } from './lib/arguments.mjs'
import { DurableIterator } from './lib/durable.mjs'

function address() {
  return input.addresses[Math.floor(Math.random() * input.addresses.length)]
}

function print(line) {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

async function watch(token, client) {
  const iterator = await new DurableIterator(token, { address, reconnect: 200, retry: 200 }).subscribe('0')
  for (;;) {
    print({ client, event: (await iterator.next()).text })
  }
}

for (const [client, token] of input.tokens.entries()) {
  watch(token, client).catch(error => print({ client, error: String(error) }))
}
