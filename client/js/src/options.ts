import type { Connection } from './connection.js'
import type { GapError } from './errors.js'
import type { CallFunction } from './methods.js'
import type { Serializer } from './serializer.js'
import type { Credential, TokenPayload } from './token.js'

/**
 * - `connecting`: a socket is being opened, or a token fetched for one;
 * - `live`: events arrive as they are published, calls are sent at once;
 * - `waiting`: the connection is lost, and it is too early to try again;
 * - `closed`: the iterator has ended.
 */
export type State = 'connecting' | 'live' | 'waiting' | 'closed'

/** Options that `dial` and the link plugin share. */
export interface IteratorOptions {
  /**
   * Where sockets are opened, of the scheme `ws`, `wss`, `http` or `https`, or relative to the
   * page. A function is called for each connection, with the current token.
   */
  url: string | URL | ((token: TokenPayload) => string | URL | Promise<string | URL>)
  /** Returns the id of this client, the same over its reconnections. Default: random. */
  createId?: (token: TokenPayload) => string
  /**
   * Sends the token in the WebSocket's subprotocol, out of addresses and logs, and lets the
   * server name the status of a refusal. Default: true. Set it to false for a server of
   * oRPC, or behind a proxy that removes the header: the token is then in the address.
   */
  subprotocol?: boolean
  /** How long before it expires a token is replaced. Default: never; it is replaced once it was refused. */
  refreshTokenBeforeExpireInSeconds?: number | ((token: TokenPayload) => number)
  /** The least time between two refreshes. Default: 2. */
  refreshTokenDelayInSeconds?: number
  /** How long a first connection is tried, in milliseconds. Default: 30,000. */
  connectTimeout?: number
  /** How long one attempt, or the fetch of a token, may take, in milliseconds. Default: 10,000. */
  dialTimeout?: number
  /** After how many milliseconds of silence the server is asked for a sign of life. Default: 25,000. */
  heartbeat?: number
  /**
   * Bounds of what has arrived and was not read. Beyond, events are asked for again later. Default:
   * 1,000 events, 4 Mi characters. Streams of methods always have the bounds of the default.
   */
  buffer?: { events?: number, size?: number }
  /** Returns the pause before an attempt to connect again, from 1, in milliseconds. Default: see `spread`. */
  backoff?: (attempt: number) => number
  /** Called with each state, and with the error that led to it. */
  onState?: (state: State, error?: unknown) => void
  /** Called for a gap, in order with the events. Without it, `next` throws the gap, and can be called again. */
  onGap?: (gap: GapError) => void
}

/** What an iterator needs of those who create it. */
export interface Source {
  credential: Credential
  /** Fetches a token. */
  fetch: (signal: AbortSignal) => Promise<unknown>
  serializer: Serializer
  /** Makes the function behind `rpc`. `live` resolves with an open connection. */
  calls: (live: (signal?: AbortSignal) => Promise<Connection>) => CallFunction
  lastEventId?: string | undefined
  signal?: AbortSignal | undefined
}

/** The longest that a timer can wait, in milliseconds. One that is to wait longer fires at once. */
export const MAX_TIMEOUT = 2 ** 31 - 1

/** dialTimeoutOf returns how long an attempt, or the fetch of a token, may take. */
export function dialTimeoutOf({ dialTimeout = 10_000 }: IteratorOptions): number {
  return Math.min(dialTimeout, MAX_TIMEOUT)
}
