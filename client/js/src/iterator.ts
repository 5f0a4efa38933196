import { addressOf, isReachable, randomId } from './address.js'
import { spread } from './backoff.js'
import type { ConnectionOptions, Loss } from './connection.js'
import { Connection } from './connection.js'
import { callError, closedError, DisconnectedError, isFinal, isRefusal, RefusedError, reportError, statusOf } from './errors.js'
import type { Methods } from './methods.js'
import { methods } from './methods.js'
import type { IteratorOptions, Source, State } from './options.js'
import { dialTimeoutOf, MAX_TIMEOUT } from './options.js'
import { watchPage } from './page.js'
import type { PeerResponse } from './peer.js'
import { DEFAULT_LIMITS, EventQueue } from './queue.js'
import { Refresher } from './refresh.js'
import { Subscription } from './subscription.js'
import type { Credential, TokenPayload } from './token.js'
import { now, remaining, until } from './token.js'

const STABLE_AFTER = 10_000
const MAX_HINT = 5 * 60_000
/** Close codes of 4000 plus one of these are final at any time: the server has disconnected the client. */
const FINAL = [403, 410]

/**
 * The events of a channel, typed, each once and in order, over as many connections as
 * necessary. Create it with `dial`, or with the link plugin.
 */
export class DurableIterator<T, M = Methods> implements AsyncIterableIterator<T, undefined> {
  /** The methods of the room. */
  readonly rpc: M
  /** The id by which the room knows this client. */
  readonly id: string
  /** Resolves when the iterator is live for the first time; rejects with the reason why it never was. */
  readonly opened: Promise<void>

  readonly #options: IteratorOptions
  readonly #dialTimeout: number
  readonly #heartbeat: number
  readonly #source: Source
  readonly #queue: EventQueue<T>
  readonly #stopping = new AbortController()
  readonly #backoff: (attempt: number) => number
  #opening!: { resolve: () => void, reject: (error: unknown) => void }
  #state: State = 'connecting'
  #lastError: unknown

  // The current connection. Callbacks of an earlier attempt find another number.
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
  #waiters = new Set<(connection?: Connection) => void>()

  readonly #tokens: Refresher
  #refused = false // a token was refused, and none accepted since
  #retryTimer: ReturnType<typeof setTimeout> | undefined
  #connectTimer: ReturnType<typeof setTimeout> | undefined

  constructor(options: IteratorOptions, source: Source) {
    this.#options = options
    this.#dialTimeout = dialTimeoutOf(options)
    this.#heartbeat = Math.min(options.heartbeat ?? 25_000, MAX_TIMEOUT)
    this.#source = source
    this.#backoff = options.backoff ?? spread()
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
    this.#tokens = new Refresher(options, source, signal, {
      live: () => this.#live ? this.#connection : undefined,
      reconnect: () => this.reconnect(),
      refused: error => this.#stop(error),
    })
    this.#tokens.schedule()
    watchPage({
      onBack: () => this.#hurry(),
      onOffline: () => this.#leave('the network is offline', false),
      onHidden: () => this.#leave('the page is put away', true),
    }, signal)
    this.#limitConnecting()
    void this.#connect()
  }

  get state(): State {
    return this.#state
  }

  /** The id of the last event that was read. Another page can continue after it. */
  get lastEventId(): string | undefined {
    return this.#queue.cursor
  }

  /** The claims of the current token. */
  get token(): TokenPayload {
    return this.#tokens.credential.payload
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

  /** reconnect opens another socket at once, with the current token. No event is lost. */
  reconnect(): void {
    if (!this.#ended) {
      this.#disconnect()
      this.#failures = 0
      void this.#connect()
    }
  }

  /** #limitConnecting ends the iterator, unless it is live within connectTimeout from now. */
  #limitConnecting(): void {
    const stop = (): void => this.#stop(this.#lastError ?? new DisconnectedError('connecting timed out'))
    this.#connectTimer = setTimeout(stop, Math.min(this.#options.connectTimeout ?? 30_000, MAX_TIMEOUT))
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
    try {
      if (this.#tokens.needsNew) {
        await this.#tokens.renew()
      }
      const url = await until(AbortSignal.timeout(this.#dialTimeout), addressOf(this.#options.url, this.token, this.id))
      if (attempt === this.#attempt) {
        this.#dial(url)
      }
    }
    catch (error) {
      if (attempt !== this.#attempt) {
        return
      }
      const ends = isRefusal(error) || (!this.#everLive && isFinal(statusOf(error)))
      ends ? this.#stop(error) : this.#wait(error)
    }
  }

  #dial(url: URL): void {
    const options: ConnectionOptions = {
      subprotocol: this.#options.subprotocol !== false,
      dialTimeout: this.#dialTimeout,
      heartbeat: this.#heartbeat,
      onOpen: () => this.#queue.full ? this.#setLive(connection) : this.#subscribe(connection),
      onLost: loss => connection === this.#connection && void this.#lost(connection, url, loss),
    }
    const connection = this.#connection = new Connection(url, this.#tokens.credential, options)
  }

  #subscribe(connection: Connection): void {
    if (this.#legacy) {
      this.#queue.rewind() // such a server replays after the last event that was read
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
    this.#disconnect()
    this.#refusedWith(response.status, callError(response.status, body), connection.credential)
  }

  #setLive(connection: Connection): void {
    connection.watch()
    this.#live = true
    this.#refused = false
    this.#liveSince = now()
    clearTimeout(this.#connectTimer)
    this.#everLive = true
    this.#opening.resolve()
    this.#setState('live')
    if (connection === this.#connection) { // which onState may have ended
      this.#answerWaiters(connection)
      void this.#tokens.share()
    }
  }

  /** #resubscribe requests the events again that were dropped for lack of room. */
  #resubscribe(): void {
    const idle = this.#live && this.#connection?.isOpen && (this.#subscription === undefined || this.#subscription.stopped)
    if (idle && this.#queue.full && this.#queue.halfEmpty) {
      this.#subscribe(this.#connection!)
    }
  }

  // ---- losing the connection

  async #lost(connection: Connection, url: URL, { code, reason, opened }: Loss): Promise<void> {
    this.#disconnect()
    const attempt = this.#attempt
    const refusal = code >= 4400 && code <= 4599 ? code - 4000 : 0
    const error = refusal > 0
      ? new RefusedError(refusal, reason)
      : new DisconnectedError(`${opened ? 'the connection is lost' : 'cannot connect'}: ${code} ${reason}`.trim())
    const status = code === 1008 && reason === 'Token expired' ? 401 : refusal
    if (status > 0) {
      this.#refusedWith(status, error, connection.credential)
      return
    }
    if (!opened && this.#options.subprotocol === false && connection.credential === this.#tokens.credential && await isReachable(url, this.#dialTimeout)) {
      // Usually a refusal, which a page cannot distinguish. Fetching a token returns a status.
      this.#tokens.needsNew = true
    }
    if (attempt === this.#attempt) {
      this.#wait(error)
    }
  }

  /** #refusedWith handles a refusal by the server with an HTTP status. */
  #refusedWith(status: number, error: Error, credential: Credential): void {
    if (status === 401) {
      if (credential !== this.#tokens.credential) {
        this.#wait(error) // there is a newer one
        return
      }
      const isOutlived = credential.life > 0 && remaining(credential) <= 0
      if (this.#refused && !isOutlived) {
        this.#stop(error instanceof RefusedError ? error : new RefusedError(401, 'a new token was refused', { cause: error }))
        return
      }
      this.#refused = this.#tokens.needsNew = true
    }
    else if ((!this.#everLive && isFinal(status)) || (error instanceof RefusedError && FINAL.includes(status))) {
      this.#stop(error)
      return
    }
    this.#wait(error)
  }

  #wait(error: unknown): void {
    if (this.#liveSince > 0 && now() - this.#liveSince >= STABLE_AFTER) {
      this.#failures = 0
    }
    this.#liveSince = 0
    this.#lastError = error
    clearTimeout(this.#retryTimer)
    if (this.#parked) {
      clearTimeout(this.#connectTimer) // it would fire when the page is back
    }
    else {
      try {
        const pause = this.#hint + this.#backoff(++this.#failures)
        this.#retryTimer = setTimeout(() => this.#connect(), Math.min(pause, MAX_TIMEOUT))
      }
      catch (thrown) {
        this.#stop(thrown)
      }
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
    this.#tokens.awake()
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
      const onAbort = (): void => {
        this.#waiters.delete(waiter)
        reject(signal!.reason)
      }
      const waiter = (connection?: Connection): void => {
        signal?.removeEventListener('abort', onAbort)
        connection ? resolve(connection) : reject(this.#lastError ?? closedError())
      }
      this.#waiters.add(waiter)
      signal?.addEventListener('abort', onAbort)
    })
  }

  #answerWaiters(connection?: Connection): void {
    for (const answer of this.#waiters) {
      answer(connection)
    }
    this.#waiters.clear()
  }

  #stop(error: unknown, atOnce = false): void {
    if (this.#ended) {
      return
    }
    this.#disconnect()
    this.#setState('closed', error)
    this.#lastError = error
    this.#stopping.abort()
    clearTimeout(this.#retryTimer)
    clearTimeout(this.#connectTimer)
    this.#opening.reject(error ?? closedError())
    this.#answerWaiters()
    atOnce ? this.#queue.drop(error) : this.#queue.finish(error)
  }
}
