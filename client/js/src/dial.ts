import { call } from './call.js'
import { DurableIterator } from './iterator.js'
import type { Methods } from './methods.js'
import { withMethods } from './methods.js'
import type { IteratorOptions } from './options.js'
import { dialTimeoutOf } from './options.js'
import type { CustomSerializer } from './serializer.js'
import { newSerializer } from './serializer.js'
import { fetchCredential } from './token.js'

/** Options of `dial`. */
export interface DialOptions extends IteratorOptions {
  /** A token, or a function that fetches one. It is called for the first token and whenever a new one is needed. */
  token: string | ((signal: AbortSignal) => Promise<string>)
  /** The last event that an earlier iterator has read. */
  lastEventId?: string
  /** Ends the iterator; its reason is thrown by `next` and by calls. */
  signal?: AbortSignal
  /** Serializers of the application's own types. The server needs the same. */
  customJsonSerializers?: readonly CustomSerializer[]
}

/**
 * dial connects to a durable iterator, without oRPC. It resolves when the iterator is
 * live. To call a method that returns files, use the client of `@orpc/client`.
 */
export async function dial<T, M = Methods>(options: DialOptions): Promise<DurableIterator<T, M> & Omit<M, keyof DurableIterator<T, M>>> {
  const { token, signal } = options
  const fetchToken = async (signal: AbortSignal): Promise<unknown> => typeof token === 'function' ? token(signal) : token
  const serializer = newSerializer(options.customJsonSerializers)
  const credential = await fetchCredential(fetchToken, signal ?? new AbortController().signal, dialTimeoutOf(options))
  signal?.throwIfAborted()
  const iterator = new DurableIterator<T, M>(options, {
    credential,
    fetch: fetchToken,
    serializer,
    calls: live => async (path, input, options) => call((await live(options?.signal)).peer, serializer, path, input, options),
    lastEventId: options.lastEventId,
    signal,
  })
  await iterator.opened
  return withMethods(iterator, () => iterator.token.rpc) as DurableIterator<T, M> & Omit<M, keyof DurableIterator<T, M>>
}
