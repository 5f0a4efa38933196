import { spread } from './backoff.js'
import type { Connection } from './connection.js'
import { isRefusal } from './errors.js'
import type { IteratorOptions, Source } from './options.js'
import { dialTimeoutOf, MAX_TIMEOUT } from './options.js'
import type { Credential } from './token.js'
import { fetchCredential, now, remaining, sameSocket } from './token.js'

/** The minimum time between refreshes that depend on the clock of this machine. */
const BLIND_DELAY = 60_000

/** The functions of an iterator for its `Refresher`. */
export interface RefreshHooks {
  /** Returns the connection if it is live. */
  live: () => Connection | undefined
  /** Opens another socket. */
  reconnect: () => void
  /** Called when the source refuses to return a token. */
  refused: (error: unknown) => void
}

/** Holds the current token, replaces it in time, and sends new ones on the open socket. */
export class Refresher {
  credential: Credential
  /** Set when the server has refused the current token. */
  needsNew = false

  readonly #first: Credential
  readonly #delay: number
  readonly #backoff: (attempt: number) => number
  #renewing: Promise<void> | undefined
  #sharing = false
  #failures = 0 // since the last fetch that was answered
  #untaken = 0 // tokens since the server has last known the current one
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(
    private readonly options: IteratorOptions,
    private readonly source: Source,
    private readonly signal: AbortSignal,
    private readonly hooks: RefreshHooks,
  ) {
    this.credential = this.#first = source.credential
    this.#delay = (options.refreshTokenDelayInSeconds ?? 2) * 1_000
    this.#backoff = options.backoff ?? spread()
    signal.addEventListener('abort', () => clearTimeout(this.#timer))
  }

  /** awake sets the timer of the next refresh again, since timers stop while a machine sleeps. */
  awake(): void {
    if (this.#failures + this.#untaken === 0) {
      this.schedule()
    }
  }

  /** schedule sets the timer of the next refresh. */
  schedule(): void {
    const { credential } = this
    const option = this.options.refreshTokenBeforeExpireInSeconds
    const before = typeof option === 'function' ? option(credential.payload) : option
    if (before === undefined || !Number.isFinite(before)) {
      return
    }
    const delay = credential === this.#first ? 0 : this.#delay
    const least = credential.receivedAt + Math.max(delay, credential.isBlind ? BLIND_DELAY : 0) - now()
    const wait = Math.max(least, remaining(credential) - before * 1_000)
    this.#after(wait, () => wait > MAX_TIMEOUT ? this.schedule() : this.#refresh())
  }

  /** renew fetches a token. Calls at the same time share one fetch. */
  renew(): Promise<void> {
    return this.#renewing ??= this.#fetch().finally(() => this.#renewing = undefined)
  }

  /** share sends a token on the open socket if it is newer than the one that the server knows. */
  async share(): Promise<void> {
    const connection = this.hooks.live()
    const { credential } = this
    if (!connection || this.#sharing) {
      return
    }
    if (connection.credential === credential) {
      this.#untaken = 0
      return
    }
    if (!sameSocket(connection.credential.payload, credential.payload)) {
      this.hooks.reconnect()
      return
    }
    this.#sharing = true
    const replace = (): void => {
      if (connection === this.hooks.live()) {
        this.hooks.reconnect()
      }
    }
    const timer = setTimeout(replace, dialTimeoutOf(this.options))
    try {
      const input = this.source.serializer.serialize({ token: credential.token })
      const { status } = await connection.peer.request('/updateToken', input)
      if (status === 200) {
        connection.credential = credential
      }
      else if (![403, 503].includes(status)) {
        replace()
      }
      else if (credential === this.credential) {
        this.#refreshLater(++this.#untaken) // another socket would be refused too, and this one still has a valid token
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
    void this.share() // there may be a newer one
  }

  async #fetch(): Promise<void> {
    this.credential = await fetchCredential(this.source.fetch, this.signal, dialTimeoutOf(this.options))
    this.needsNew = false
    this.#failures = 0
    this.schedule()
  }

  #refresh(): void {
    this.renew().then(() => this.share(), error => isRefusal(error) ? this.hooks.refused(error) : this.#refreshLater(++this.#failures))
      .catch(this.hooks.refused) // backoff has thrown
  }

  #refreshLater(failures: number): void {
    this.#after(Math.max(this.#delay, this.#backoff(failures)), () => this.#refresh())
  }

  #after(wait: number, next: () => void): void {
    clearTimeout(this.#timer)
    if (!this.signal.aborted) {
      this.#timer = setTimeout(next, Math.min(wait, MAX_TIMEOUT))
    }
  }
}
