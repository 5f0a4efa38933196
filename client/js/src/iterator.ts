import { spread } from './backoff.js'
import type { ConnectionOptions, Loss } from './connection.js'
import { Connection } from './connection.js'
import type { GapError } from './errors.js'
import { callError, closedError, DisconnectedError, RefusedError, statusOf } from './errors.js'
import type { CallFunction, Methods } from './methods.js'
import { methods } from './methods.js'
import { watchPage } from './page.js'
import type { PeerResponse } from './peer.js'
import { DEFAULT_LIMITS, EventQueue } from './queue.js'
import type { Serializer } from './serializer.js'
import { Subscription } from './subscription.js'
import type { Credential, TokenPayload } from './token.js'
import { fetchCredential, now, remaining, sameSocket } from './token.js'

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

const MAX_TIMEOUT = 2 ** 31 - 1
const STABLE_AFTER = 10_000
const MAX_HINT = 5 * 60_000
/** The shortest time between refreshes that only the clock of this machine asks for. */
const BLIND_DELAY = 60_000
/** Closes of 4000 plus one of these are final at any time: the client was sent away. */
const FINAL = [403, 410]

/**
 * The events of a channel, typed, each once and in order, over as many connections as
 * it takes. Create one with `dial`, or with the link plugin.
 */
export class DurableIterator<T, M = Methods> implements AsyncIterableIterator<T, undefined> {
  /** The methods of the room. */
  readonly rpc: M
  /** What the room knows this client by. */
  readonly id: string
  /** Resolves when the iterator is live for the first time; rejects with the reason why it never was. */
  readonly opened: Promise<void>

  readonly #options: IteratorOptions
  readonly #dialTimeout: number
  readonly #heartbeat: number
  readonly #subprotocol: boolean
  readonly #source: Source
  readonly #queue: EventQueue<T>
  readonly #stopping = new AbortController()
  readonly #backoff: (attempt: number) => number
  #opening!: { resolve: () => void, reject: (error: unknown) => void }
  #state: State = 'connecting'
  #lastError: unknown

  // The connection. What belongs to an earlier attempt, or was going on at the end, finds another number.
  #attempt = 0
  #connection: Connection | undefined
  #subscription: Subscription<T> | undefined
  #live = false
  #everLive = false
  #legacy = false
  #liveSince = 0
  #parked = false
  #failures = 0
  #hint = 0
  #waiters = new Set<{ resolve: (connection: Connection) => void, reject: (error: unknown) => void }>()

  // The token.
  #credential: Credential
  #needNewToken = false
  #refused = false // a token was refused, and none accepted since
  #renewing: Promise<void> | undefined
  #sharing = false
  #refreshFailures = 0 // since the server has last known the current token
  readonly #refreshBackoff: (attempt: number) => number

  #retryTimer: ReturnType<typeof setTimeout> | undefined
  #refreshTimer: ReturnType<typeof setTimeout> | undefined
  #connectTimer: ReturnType<typeof setTimeout> | undefined

  constructor(options: IteratorOptions, source: Source) {
    this.#options = options
    this.#dialTimeout = dialTimeoutOf(options)
    this.#heartbeat = Math.min(options.heartbeat ?? 25_000, MAX_TIMEOUT)
    this.#subprotocol = options.subprotocol ?? true
    this.#source = source
    this.#credential = source.credential
    this.#backoff = options.backoff ?? spread()
    this.#refreshBackoff = options.backoff ?? spread()
    this.id = options.createId?.(source.credential.payload) ?? randomId()
    this.#queue = new EventQueue<T>(
      { events: options.buffer?.events ?? DEFAULT_LIMITS.events, size: options.buffer?.size ?? DEFAULT_LIMITS.size },
      options.onGap,
      () => this.#resubscribe(),
      source.lastEventId || undefined,
    )
    this.opened = new Promise((resolve, reject) => this.#opening = { resolve, reject })
    this.opened.catch(() => {})
    this.rpc = methods(source.calls(signal => this.#whenLive(signal))) as M
    const { signal } = this.#stopping
    source.signal?.addEventListener('abort', () => this.#stop(source.signal!.reason, true), { signal })
    watchPage({
      onBack: () => this.#hurry(),
      onOffline: () => this.#leave('the network is offline', false),
      onHidden: () => this.#leave('the page is put away', true),
    }, signal)
    this.#limitConnecting()
    this.#scheduleRefresh()
    void this.#connect()
  }

  get state(): State {
    return this.#state
  }

  /** The last event that was read: kept somewhere, another page can go on behind it. */
  get lastEventId(): string | undefined {
    return this.#queue.cursor
  }

  /** The claims of the current token. */
  get token(): TokenPayload {
    return this.#credential.payload
  }

  /** next waits for an event. It throws a `GapError` in place of missing ones, unless there is `onGap`. */
  next(): Promise<IteratorResult<T, undefined>> {
    return this.#queue.next()
  }

  async return(): Promise<IteratorResult<T, undefined>> {
    this.close()
    return { done: true, value: undefined }
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  /** close ends the iterator: its socket is closed, and `next` returns done. */
  close(): void {
    this.#stop(undefined, true)
  }

  /** reconnect opens another socket at once, with the token that is current. Nothing is lost. */
  reconnect(): void {
    if (!this.#ended) {
      this.#disconnect()
      this.#failures = 0
      void this.#connect()
    }
  }

  /** #limitConnecting ends the iterator, unless it is live within connectTimeout from now. */
  #limitConnecting(): void {
    this.#connectTimer = setTimeout(
      () => this.#stop(this.#lastError ?? new DisconnectedError('connecting timed out')),
      Math.min(this.#options.connectTimeout ?? 30_000, MAX_TIMEOUT),
    )
  }

  get #ended(): boolean {
    return this.#state === 'closed'
  }

  #setState(state: State, error?: unknown): void {
    if (this.#ended || (this.#state === state && error === undefined)) {
      return
    }
    this.#state = state
    try {
      this.#options.onState?.(state, error)
    }
    catch (thrown) {
      reportError(thrown)
    }
  }

  // ---- one attempt to connect

  async #connect(): Promise<void> {
    const attempt = ++this.#attempt
    clearTimeout(this.#retryTimer)
    this.#parked = false
    this.#setState('connecting')
    let url: URL
    try {
      if (this.#needNewToken) {
        await this.#renew()
      }
      url = await this.#address()
    }
    catch (error) {
      if (attempt === this.#attempt) {
        this.#tokenFailed(error)
      }
      return
    }
    if (attempt === this.#attempt) {
      this.#dial(url)
    }
  }

  async #address(): Promise<URL> {
    const { url: option } = this.#options
    const base = (globalThis as { location?: Location }).location?.href
    const url = new URL(typeof option === 'function' ? await option(this.#credential.payload) : option, base)
    url.protocol = url.protocol.replace(/^http/, 'ws')
    url.searchParams.append('id', this.id)
    return url
  }

  #tokenFailed(error: unknown): void {
    const status = statusOf(error)
    const final = [401, 403, 404].includes(status) || (!this.#everLive && isFinal(status))
    final ? this.#stop(error) : this.#wait(error)
  }

  #dial(url: URL): void {
    const options: ConnectionOptions = {
      subprotocol: this.#subprotocol,
      dialTimeout: this.#dialTimeout,
      heartbeat: this.#heartbeat,
      onOpen: () => this.#queue.full ? this.#setLive(connection) : this.#subscribe(connection),
      onLost: loss => connection === this.#connection && void this.#lost(connection, url, loss),
    }
    const connection: Connection = new Connection(url, this.#credential, options)
    this.#connection = connection
  }

  #subscribe(connection: Connection): void {
    if (this.#legacy) {
      this.#queue.rewind() // such a server replays by the last event that was read
    }
    const subscription = new Subscription<T>(this.#queue, this.#source.serializer, {
      channel: this.token.chn,
      answeredBefore: this.#everLive,
      onFull: () => {
        subscription.stop()
        this.#resubscribe() // if the events were read meanwhile
      },
      onEnded: reason => connection.fail(1006, reason),
      onRetry: milliseconds => this.#hint = Math.min(milliseconds, MAX_HINT),
    })
    this.#subscription = subscription
    subscription.start(connection.peer, this.#heartbeat, (response) => {
      if (response.status !== 200) {
        this.#subscriptionRefused(connection, response)
        return
      }
      this.#legacy = !subscription.extended
      this.#setLive(connection)
    })
  }

  #subscriptionRefused(connection: Connection, response: PeerResponse): void {
    let body: unknown
    try {
      body = this.#source.serializer.deserialize(response.body)
    }
    catch {
      // The status is enough.
    }
    const error = callError(response.status, body)
    this.#disconnect()
    this.#refusedWith(error.status, error, connection.credential)
  }

  #setLive(connection: Connection): void {
    connection.watch()
    this.#live = true
    this.#refused = false
    this.#liveSince = now()
    clearTimeout(this.#connectTimer)
    this.#everLive = true
    this.#setState('live')
    this.#opening.resolve()
    for (const waiter of this.#waiters) {
      waiter.resolve(connection)
    }
    this.#waiters.clear()
    void this.#share()
  }

  /** #resubscribe asks for the events again that there was no room for. */
  #resubscribe(): void {
    const idle = this.#live && this.#connection?.isOpen && (this.#subscription === undefined || this.#subscription.stopped)
    if (idle && this.#queue.full && this.#queue.halfEmpty) {
      this.#subscribe(this.#connection!)
    }
  }

  // ---- losing the connection

  async #lost(connection: Connection, url: URL, loss: Loss): Promise<void> {
    const { code, reason, opened } = loss
    this.#disconnect()
    const attempt = this.#attempt
    const status = code >= 4400 && code <= 4599 ? code - 4000 : 0
    const error = status > 0
      ? new RefusedError(status, reason)
      : new DisconnectedError(`${opened ? 'the connection is lost' : 'cannot connect'}: ${code} ${reason}`.trim())
    if (status > 0) {
      this.#refusedWith(status, error, connection.credential)
      return
    }
    if (code === 1008 && reason === 'Token expired') {
      this.#refusedWith(401, error, connection.credential)
      return
    }
    if (!opened && !this.#subprotocol && connection.credential === this.#credential && await this.#isReachable(url)) {
      // Mostly a refusal, of which a page learns nothing. Asking for a token is answered with a status.
      this.#needNewToken = true
    }
    if (attempt === this.#attempt) {
      this.#wait(error)
    }
  }

  /** #refusedWith goes on after the server has refused the client with an HTTP status. */
  #refusedWith(status: number, error: Error, credential: Credential): void {
    if (status === 401) {
      if (credential !== this.#credential) {
        this.#wait(error) // there is a newer one
        return
      }
      const isOutlived = credential.life > 0 && remaining(credential) <= 0
      if (this.#refused && !isOutlived) {
        this.#stop(error instanceof RefusedError ? error : new RefusedError(401, 'a new token was refused', { cause: error }))
        return
      }
      this.#refused = this.#needNewToken = true
    }
    else if ((!this.#everLive && isFinal(status)) || (error instanceof RefusedError && FINAL.includes(status))) {
      this.#stop(error)
      return
    }
    this.#wait(error)
  }

  #isReachable(url: URL): Promise<boolean> {
    const plain = new URL(url)
    plain.protocol = plain.protocol.replace(/^ws/, 'http')
    plain.search = ''
    const signal = AbortSignal.timeout(this.#dialTimeout)
    return fetch(plain, { mode: 'no-cors', credentials: 'omit', cache: 'no-store', signal }).then(() => true, () => false)
  }

  #wait(error: unknown): void {
    if (this.#liveSince > 0 && now() - this.#liveSince >= STABLE_AFTER) {
      this.#failures = 0
    }
    this.#liveSince = 0
    this.#lastError = error
    clearTimeout(this.#retryTimer)
    if (this.#parked) {
      clearTimeout(this.#connectTimer) // it would be late when the page is back
    }
    else {
      this.#retryTimer = setTimeout(() => this.#connect(), this.#hint + this.#backoff(++this.#failures))
    }
    this.#setState('waiting', error)
  }

  #disconnect(): void {
    this.#attempt++
    const connection = this.#connection
    this.#connection = this.#subscription = undefined
    this.#live = false
    connection?.close()
  }

  #leave(reason: string, park: boolean): void {
    if (!this.#parked) {
      this.#parked = park
      this.#disconnect()
      this.#wait(new DisconnectedError(reason))
    }
  }

  #hurry(): void {
    if (this.#parked && !this.#everLive) {
      this.#limitConnecting()
    }
    if (this.#state === 'waiting') {
      void this.#connect()
    }
    else {
      this.#connection?.verify()
    }
    if (this.#refreshFailures === 0) {
      this.#scheduleRefresh() // timers of a sleeping machine stand still
    }
  }

  // ---- tokens

  #scheduleRefresh(): void {
    clearTimeout(this.#refreshTimer)
    const option = this.#options.refreshTokenBeforeExpireInSeconds
    const before = typeof option === 'function' ? option(this.token) : option
    if (this.#ended || before === undefined || !Number.isFinite(before)) {
      return
    }
    const credential = this.#credential
    const delay = credential === this.#source.credential ? 0 : this.#refreshDelay
    const least = credential.receivedAt + Math.max(delay, credential.isBlind ? BLIND_DELAY : 0) - now()
    const wait = Math.max(least, remaining(credential) - before * 1_000)
    this.#refreshTimer = wait > MAX_TIMEOUT
      ? setTimeout(() => this.#scheduleRefresh(), MAX_TIMEOUT)
      : setTimeout(() => this.#refresh(), wait)
  }

  get #refreshDelay(): number {
    return (this.#options.refreshTokenDelayInSeconds ?? 2) * 1_000
  }

  #refresh(): void {
    this.#renew().then(() => this.#share(), (error) => {
      if ([401, 403, 404].includes(statusOf(error))) {
        this.#stop(error)
      }
      else {
        this.#refreshLater()
      }
    })
  }

  /** #refreshLater fetches a token after a pause that grows, since the last was not taken, or there was none. */
  #refreshLater(): void {
    clearTimeout(this.#refreshTimer)
    if (!this.#ended) {
      this.#refreshTimer = setTimeout(() => this.#refresh(), Math.max(this.#refreshDelay, this.#refreshBackoff(++this.#refreshFailures)))
    }
  }

  /** #renew fetches a token, once for all who ask at the same time. */
  #renew(): Promise<void> {
    return this.#renewing ??= this.#fetch().finally(() => this.#renewing = undefined)
  }

  async #fetch(): Promise<void> {
    this.#credential = await fetchCredential(this.#source.fetch, this.#stopping.signal, this.#dialTimeout)
    this.#needNewToken = false
    this.#scheduleRefresh()
  }

  /** #share tells the server of an open socket about a token that is newer than the one it knows. */
  async #share(): Promise<void> {
    const connection = this.#connection
    const credential = this.#credential
    if (!connection || !this.#live || this.#sharing) {
      return
    }
    if (connection.credential === credential) {
      this.#refreshFailures = 0
      return
    }
    if (!sameSocket(connection.credential.payload, credential.payload)) {
      this.reconnect()
      return
    }
    this.#sharing = true
    const replace = (): void => {
      if (connection === this.#connection) {
        this.reconnect()
      }
    }
    const timer = setTimeout(replace, this.#dialTimeout)
    try {
      const input = this.#source.serializer.serialize({ token: credential.token })
      const { status } = await connection.peer.request('/updateToken', input)
      if (status === 200) {
        connection.credential = credential
      }
      else if (![403, 503].includes(status)) {
        replace()
      }
      else if (credential === this.#credential) {
        this.#refreshLater() // another socket would be refused, too, and this one has a token that is good
        return
      }
    }
    catch {
      replace() // unless the connection is lost; the next one is opened with the new token
    }
    finally {
      clearTimeout(timer)
      this.#sharing = false
    }
    void this.#share() // if there is a newer one by now
  }

  // ---- calls, and the end

  #whenLive(signal?: AbortSignal): Promise<Connection> {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted()
      if (this.#ended) {
        throw closedError(this.#lastError)
      }
      if (this.#live && this.#connection) {
        resolve(this.#connection)
        return
      }
      const waiter = { resolve, reject }
      this.#waiters.add(waiter)
      signal?.addEventListener('abort', () => {
        this.#waiters.delete(waiter)
        reject(signal.reason)
      }, { once: true })
    })
  }

  #stop(error: unknown, atOnce = false): void {
    if (this.#ended) {
      return
    }
    this.#disconnect()
    this.#setState('closed', error)
    this.#lastError = error
    this.#stopping.abort()
    for (const timer of [this.#retryTimer, this.#refreshTimer, this.#connectTimer]) {
      clearTimeout(timer)
    }
    const closed = error ?? closedError()
    this.#opening.reject(closed)
    for (const waiter of this.#waiters) {
      waiter.reject(closed)
    }
    this.#waiters.clear()
    atOnce ? this.#queue.drop(error) : this.#queue.finish(error)
  }
}

/** dialTimeoutOf returns how long an attempt, or the fetch of a token, may take. */
export function dialTimeoutOf({ dialTimeout = 10_000 }: IteratorOptions): number {
  return Math.min(dialTimeout, MAX_TIMEOUT)
}

/** isFinal reports whether a first attempt that is answered so is not repeated. */
function isFinal(status: number): boolean {
  return status >= 400 && status < 500 && ![401, 408, 425, 429].includes(status)
}

/** randomId returns an id that nobody can guess. crypto.randomUUID is missing on pages without TLS. */
function randomId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), byte => byte.toString(36)).join('')
}

/** reportError lets an error of a callback be seen without breaking what called it. */
function reportError(error: unknown): void {
  queueMicrotask(() => {
    throw error
  })
}
