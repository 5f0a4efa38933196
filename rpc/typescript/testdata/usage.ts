// What a page writes with the modules. It is compiled, and never run.
import { dial } from '@go-orpc/durable-iterator-client'
import { DurableIteratorLinkPlugin } from '@go-orpc/durable-iterator-client/orpc'
import { createORPCClient, isDefinedError, ORPCError, safe } from '@orpc/client'
import { RPCLink } from '@orpc/client/fetch'
import type { Inputs, Kinds, Outputs, RouterClient, TooLong, TooLongError, WatchMethods } from './kinds.js'
import { Level } from './kinds.js'
import type * as nonil from './nonil.js'
import type { Address, WatchIterator, WatchMethods as PlainMethods } from './plain.js'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const is = <T extends true>(): T => true as T

export const client: RouterClient<{ retry?: number }> = createORPCClient(new RPCLink<{ retry?: number }>({
  url: `${location.origin}/rpc`,
  plugins: [new DurableIteratorLinkPlugin({ url: '/room' })],
}))

export async function procedures(kinds: Kinds): Promise<void> {
  const { at, big, seen, byNumber, optional, later } = await client.echo(kinds)
  is<Equal<typeof at, Date>>()
  is<Equal<typeof big, bigint | null>>()
  is<Equal<typeof seen, Set<string> | null>>()
  is<Equal<typeof byNumber, Map<number, import('./kinds.js').Address | null> | null>>()
  at.getTime()
  optional?.street.trim()
  later?.getTime()
  await client.echo(kinds, { context: { retry: 3 }, signal: AbortSignal.timeout(1_000) })

  const level: Level = Level.High
  is<Equal<Level, -1 | 0 | 1>>()
  kinds.level = level
  kinds.state = 'open'
  // @ts-expect-error no such state
  kinds.state = 'ajar'
  // @ts-expect-error no such procedure
  await client.ecko(kinds)
  // @ts-expect-error a string is no date
  await client.echo({ ...kinds, at: '2026-01-01' })

  await client.users.find() // an id that is a pointer may be missing
  await client.upload({ content: new File(['hello'], 'hello.txt') })
  for await (const n of await client.count()) {
    n.toFixed()
  }
  const total = await client.import(async function* () {
    yield { street: 'Main Street' }
    return Level.Low
  }())
  total.toFixed()
}

export async function errors(): Promise<void> {
  const { error, data, isDefined } = await safe(client.users.find('u-1'))
  if (isDefined) {
    is<Equal<typeof error.code, 'TOO_LONG' | 'GONE'>>()
    if (error.code === 'TOO_LONG') {
      is<Equal<typeof error.data, TooLong>>()
    }
  }
  else if (!error) {
    data?.[0]?.street.trim()
  }
  const other = await safe(client.echo({} as Kinds))
  if (isDefinedError(other.error)) {
    is<Equal<typeof other.error, never>>()
  }
}

export async function iterators(): Promise<void> {
  const watched = await client.watch('u-1', { lastEventId: '0' })
  for await (const address of watched) {
    address.street.trim()
  }
  watched.close()
  await watched.say('hello')
  for await (const n of await watched.rpc.admin.numbers(3)) {
    n.toFixed()
  }
  // @ts-expect-error the input is missing
  await watched.say()
  try {
    await watched.rpc.say('too long')
  }
  catch (error) {
    if (error instanceof ORPCError && error.code === 'TOO_LONG') {
      (error as TooLongError).data.max.toFixed()
    }
  }
}

export async function dialed(): Promise<void> {
  const it: WatchIterator = await dial<Address, PlainMethods>({ url: '/room', token: 'token' })
  const { value } = await it.next()
  value?.street.trim()
  await it.rpc.say('hello')
  const other = await dial<Address, WatchMethods>({ url: '/room', token: 'token' })
  await other.say('hello')
  // @ts-expect-error no such method
  await other.rpc.sing('hello')
}

is<Equal<Inputs['users']['find'], string | null | undefined>>()
is<Equal<Outputs['import'], number>>()
is<Equal<Outputs['users']['find'], import('./kinds.js').Address[] | null>>()
is<Equal<nonil.Kinds['list'], string[]>>()
is<Equal<nonil.Kinds['pointer'], nonil.Address | null>>()
