// What a module, and a page, need of the client of that package. An iterator is described by
// its object, and by the names of those of its methods that may be called.

import type { AsyncIteratorClass, Client, ClientContext, NestedClient, ThrowableError } from '@orpc/client'
import type { StandardLinkOptions, StandardLinkPlugin } from '@orpc/client/standard'
import type { DurableIteratorObject } from './index.js'

type Allowed<T> = Exclude<
  { [K in keyof T]: T[K] extends (...args: any[]) => NestedClient<object> ? K : never }[keyof T],
  keyof AsyncIteratorClass<any>
> & string

/** The context of calls over the socket, which a page may add to. */
export interface ClientDurableIteratorRpcContext {
  retry?: number
}

type Callable<T extends NestedClient<object>> = T extends Client<any, infer Input, infer Output, any>
  ? Client<ClientDurableIteratorRpcContext, Input, Output, ThrowableError>
  : { [K in keyof T]: T[K] extends NestedClient<object> ? Callable<T[K]> : never }

export type ClientDurableIterator<T extends DurableIteratorObject<any>, Names extends Allowed<T>> =
  & AsyncIteratorClass<T extends DurableIteratorObject<infer Event> ? Event : never>
  & { [K in Names]: T[K] extends (...args: any[]) => (infer Methods extends NestedClient<object>) ? Callable<Methods> : never }

export class DurableIteratorLinkPlugin<C extends ClientContext> implements StandardLinkPlugin<C> {
  constructor(options: { url: string | URL })
  init(options: StandardLinkOptions<C>): void
}
