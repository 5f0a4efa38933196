import type { ClientContext, ClientOptions, NestedClient } from '@orpc/client'
import { ErrorEvent, withEventMeta } from '@orpc/client'
import type { StandardLinkOptions, StandardLinkPlugin, StandardRPCCustomJsonSerializer, StandardRPCLinkOptions } from '@orpc/client/standard'
import { StandardRPCJsonSerializer, StandardRPCLink, StandardRPCSerializer } from '@orpc/client/standard'
import { getGlobalOtelConfig, isTypescriptObject } from '@orpc/shared'
import { decodeResponseMessage, encodeRequestMessage, MessageType } from '@orpc/standard-server-peer'
import type { Connection } from './connection.js'
import { DurableIterator } from './iterator.js'
import type { CallFunction } from './methods.js'
import { withMethods } from './methods.js'
import type { IteratorOptions } from './options.js'
import type { PeerEvent } from './peer.js'
import { isStream } from './peer.js'
import { exchange } from './stream.js'
import type { Credential, TokenPayload } from './token.js'
import { newCredential } from './token.js'

export * from './index.js'

/** The result of a procedure that returns a durable iterator: its events, and the methods that its token allows. */
export type ClientDurableIterator<T, M extends NestedClient<any>> = DurableIterator<T, M> & Omit<M, keyof DurableIterator<T, M>>

/** Options of {@link DurableIteratorLinkPlugin}: those of oRPC's own plugin, and ours. */
export interface DurableIteratorLinkPluginOptions<C extends ClientContext>
  extends Omit<IteratorOptions, 'url' | 'createId' | 'refreshTokenBeforeExpireInSeconds'>,
  Pick<StandardRPCLinkOptions<C>, 'interceptors' | 'clientInterceptors' | 'plugins'> {
  /** The address of sockets: see `IteratorOptions.url`. */
  url: string | URL | ((token: TokenPayload, options: ClientOptions<C>) => string | URL | Promise<string | URL>)
  /** Returns the id of a client, which stays the same when it reconnects. Default: random. */
  createId?: (token: TokenPayload, options: ClientOptions<C>) => string
  /** How many seconds before its expiry a token is replaced. Default: it is replaced when it was refused. */
  refreshTokenBeforeExpireInSeconds?: number | ((token: TokenPayload, options: ClientOptions<C>) => number)
  /** Serializers of the application's own types, in events and calls. The server needs the same. */
  customJsonSerializers?: readonly StandardRPCCustomJsonSerializer[]
}

const MARK = Symbol('durable iterator')

/** Converts the token of a durable iterator that a procedure returns to the iterator. Pass it to the link of `@orpc/client/fetch`. */
export class DurableIteratorLinkPlugin<C extends ClientContext> implements StandardLinkPlugin<C> {
  /** Inside of retries, outside of plugins that read responses. */
  readonly order = 2_100_000
  readonly #options: DurableIteratorLinkPluginOptions<C>

  constructor(options: DurableIteratorLinkPluginOptions<C>) {
    this.#options = options
  }

  init(link: StandardLinkOptions<C>): void {
    link.clientInterceptors = [...link.clientInterceptors ?? [], async (call) => {
      const response = await call.next()
      const mark = (call.context as Record<symbol, { found: boolean } | undefined>)[MARK]
      if (mark) {
        mark.found = [response.headers['x-orpc-durable-iterator']].flat().join(', ').trim() === '1'
      }
      return response
    }]
    link.interceptors = [...link.interceptors ?? [], async ({ next, ...call }) => {
      const ask = async (signal: AbortSignal | undefined): Promise<{ output: unknown, isIterator: boolean }> => {
        const mark = { found: false }
        const output = await next({ ...call, signal: signal as AbortSignal, context: { ...call.context, [MARK]: mark } })
        return { output, isIterator: mark.found }
      }
      const { output, isIterator } = await ask(call.signal)
      return isIterator ? this.#open(output, call, async signal => (await ask(signal)).output) : output
    }]
  }

  async #open(output: unknown, call: ClientOptions<C> & { path: readonly string[] }, fetch: (signal: AbortSignal) => Promise<unknown>): Promise<unknown> {
    let credential: Credential
    try {
      credential = newCredential(output)
    }
    catch (cause) {
      throw new Error(`Expected valid token for procedure ${call.path.join('.')}`, { cause })
    }
    call.signal?.throwIfAborted()
    const { url, createId, refreshTokenBeforeExpireInSeconds: before } = this.#options
    const iterator = new DurableIterator<unknown, any>({
      ...this.#options,
      url: typeof url === 'function' ? token => url(token, call) : url,
      ...(createId && { createId: token => createId(token, call) }),
      ...(typeof before === 'function' && { refreshTokenBeforeExpireInSeconds: token => before(token, call) }),
    } as IteratorOptions, {
      credential,
      fetch,
      serializer: new StandardRPCSerializer(new StandardRPCJsonSerializer(this.#options)) as never,
      calls: live => this.#calls(live),
      lastEventId: call.lastEventId,
      signal: call.signal,
    })
    await iterator.opened
    return withMethods(iterator, () => iterator.token.rpc)
  }

  #calls(live: (signal?: AbortSignal) => Promise<Connection>): CallFunction {
    const { interceptors = [], clientInterceptors = [], plugins = [], customJsonSerializers = [] } = this.#options
    const linkOptions = { interceptors, clientInterceptors, plugins, customJsonSerializers }
    const link = new StandardRPCLink<C>({
      call: async ({ signal, ...request }) => {
        const { peer } = await live(signal)
        const id = peer.newId()
        const encoded = await encodeRequestMessage(id, MessageType.REQUEST, {
          ...request, headers: traced(request.headers), body: withInput(request.body),
        })
        const { status, headers, body, message } = await exchange(handler => peer.start(id, encoded, handler), eventValue, signal)
        const output: any = isStream(headers) ? body : ((await decodeResponseMessage(message))[2] as { body: unknown }).body
        return { status, headers, body: async () => output }
      },
    }, {
      url: 'http://orpc',
      ...linkOptions,
    })
    return (path, input, options) => link.call(['call'], { path, input }, { context: {} as C, ...options } as ClientOptions<C>)
  }
}

/** traced returns the headers with the active trace, if the page uses tracing. */
function traced<H extends object>(headers: H): H {
  const all = { ...headers }
  const tracing = getGlobalOtelConfig()
  tracing?.propagation.inject(tracing.context.active(), all)
  return all
}

/** eventValue returns the value of an event with its metadata, like oRPC's serializer. */
function eventValue({ e, d, m }: PeerEvent): unknown {
  const failed = e === 'error'
  const plain = failed ? new ErrorEvent({ data: d }) : d
  const value = m && isTypescriptObject(plain) ? withEventMeta(plain, m) : plain
  if (failed) {
    throw value
  }
  return value
}

/** withInput adds the key `input` to a call without input: servers of oRPC refuse it otherwise. */
function withInput(body: unknown): any {
  const { json, meta = [] } = (body ?? {}) as { json?: { path?: unknown, input?: unknown }, meta?: unknown[] }
  return json?.path && json.input === undefined ? { json: { ...json, input: null }, meta: [...meta, [3, 'input']] } : body
}
