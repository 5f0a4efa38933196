// What a page on oRPC's own package writes with a module. It is compiled, and never run.
import { createORPCClient } from '@orpc/client'
import { RPCLink } from '@orpc/client/fetch'
import { DurableIteratorLinkPlugin } from '@orpc/experimental-durable-iterator/client'
import type { Address, LobbyIterator, RouterClient, WatchIterator } from './original.js'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const is = <T extends true>(): T => true as T

export const client: RouterClient<{ user?: string }> = createORPCClient(new RPCLink<{ user?: string }>({
  url: `${location.origin}/rpc`,
  plugins: [new DurableIteratorLinkPlugin({ url: '/room' })],
}))

export async function iterators(lobby: LobbyIterator): Promise<void> {
  const watched = await client.watch('u-1', { context: { user: 'ann' } })
  is<Equal<typeof watched, WatchIterator>>()
  for await (const address of watched) {
    is<Equal<typeof address, Address>>()
  }
  await watched.say('hello', { context: { retry: 3 } })
  for await (const n of await watched.admin.numbers(3)) {
    n.toFixed()
  }
  // @ts-expect-error the input is missing
  await watched.say()
  // @ts-expect-error no such method
  await watched.sing('hello')
  for await (const { street } of lobby) {
    street.trim()
  }
  // @ts-expect-error it has no methods
  await lobby.say('hello')
}
