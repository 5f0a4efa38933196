import type { Connection } from './connection.js'
import type { GapError } from './errors.js'
import type { CallFunction } from './methods.js'
import type { Serializer } from './serializer.js'
import type { Credential, TokenPayload } from './token.js'

/**
 * - `connecting`: a socket is being opened, or a token fetched for one;
 * - `live`: events arrive as they are published, calls are sent at once;
 * - `waiting`: the connection is lost, and the next attempt is not due yet;
 * - `closed`: the iterator has ended.
 */
export type State = 'connecting' | 'live' | 'waiting' | 'closed'

/** Options that `dial` and the link plugin share. */
export interface IteratorOptions {
/**
 * The address of sockets, with the scheme `ws`, `wss`, `http` or `https`, or relative to the
 * page. A function is called for each connection, with the current token.
 */
  url: string | URL | ((token: TokenPayload) => string | URL | Promise<string | URL>)
  /** Returns the id of this client, which stays the same when it reconnects. Default: random. */
  createId?: (token: TokenPayload) => string
/**
 * Sends the token in the WebSocket's subprotocol, so that it is not part of addresses and
 * logs, and the server can report the status of a refusal. Default: true. Set it to false
 * for a server of oRPC, or behind a proxy that removes the header: the token is then in
 * the address.
 */
  subprotocol?: boolean
  /** How many seconds before its expiry a token is replaced. Default: it is replaced when it was refused. */
  refreshTokenBeforeExpireInSeconds?: number | ((token: TokenPayload) => number)
  /** The minimum number of seconds between two refreshes. Default: 2. */
  refreshTokenDelayInSeconds?: number
  /** How long a new iterator tries to connect, in milliseconds. Default: 30,000. */
  connectTimeout?: number
  /** How long one attempt, or the fetch of a token, may take, in milliseconds. Default: 10,000. */
  dialTimeout?: number
  /** The milliseconds of silence after which the connection is checked. Default: 25,000. */
  heartbeat?: number
/**
 * Limits of the events that have arrived and were not read. Further events are dropped, and
 * requested again later. Default: 1,000 events, 4 Mi characters. Streams of methods always
 * have the default limits.
 */
  buffer?: { events?: number, size?: number }
  /** Returns the pause in milliseconds before an attempt to connect again; the first attempt is 1. Default: see `spread`. */
  backoff?: (attempt: number) => number
  /** Called with each state, and with the error that led to it. */
  onState?: (state: State, error?: unknown) => void
  /** Called for a gap, in order with the events. Without it, `next` throws the gap, and can be called again. */
  onGap?: (gap: GapError) => void
}

/** Functions for an iterator, from `dial` or the link plugin. */
export interface Source {
  credential: Credential
  /** Fetches a token. */
  fetch: (signal: AbortSignal) => Promise<unknown>
  serializer: Serializer
  /** Returns the function that runs the calls of `rpc`. `live` resolves with an open connection. */
  calls: (live: (signal?: AbortSignal) => Promise<Connection>) => CallFunction
  lastEventId?: string | undefined
  signal?: AbortSignal | undefined
}

/** The longest delay of a timer, in milliseconds. A timer with a longer delay fires at once. */
export const MAX_TIMEOUT = 2 ** 31 - 1

/** dialTimeoutOf returns how long an attempt, or the fetch of a token, may take. */
export function dialTimeoutOf({ dialTimeout = 10_000 }: IteratorOptions): number {
  return Math.min(dialTimeout, MAX_TIMEOUT)
}
