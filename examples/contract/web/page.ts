import { DurableIteratorLinkPlugin } from '@go-orpc/durable-iterator-client/orpc'
import { createORPCClient, safe } from '@orpc/client'
import { RPCLink } from '@orpc/client/fetch'
import type { RouterClient } from './tickets.js'

const client: RouterClient = createORPCClient(new RPCLink({
  url: `${location.origin}/rpc`,
  plugins: [new DurableIteratorLinkPlugin({ url: '/board' })],
}))

const sales = await client.onSale()
console.log('the board says', await sales.ping())

const { error, isDefined } = await safe(client.buy({ name: 'ann', seats: 4 }))
if (isDefined) {
  console.log('only', error.data.left, 'seats are left')
}
for await (const { name, seats } of sales) {
  console.log(name, 'has', seats)
}
