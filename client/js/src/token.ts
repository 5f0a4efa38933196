/** The claims of a token. The client reads them; only the server can verify them. */
export interface TokenPayload {
  /** The channel, which is the name of the object that the socket connects to. */
  chn: string
  tags?: string[]
  /** The attachment, visible to the client. */
  att?: unknown
  /** The methods that the holder may call. */
  rpc?: string[]
  /** When the token was issued, in Unix seconds of the server's clock. */
  iat: number
  /** When it expires, in Unix seconds of the server's clock. */
  exp: number
}

/** A token and the time of its arrival, in milliseconds of a monotonic clock. */
export interface Credential {
  token: string
  payload: TokenPayload
  receivedAt: number
  /** How long it is valid from then on. */
  life: number
  /** Reports whether this was computed with the clock of this machine, which may be wrong. */
  isBlind: boolean
}

/** The longest lifetime that is plausible, a leap year in milliseconds. */
const LONGEST_LIFE = 366 * 86_400_000

/** now returns the milliseconds of a monotonic clock. */
export const now = (): number => performance.now()

/** parseToken reads a token without verifying it. It throws if `value` is not a token. */
export function parseToken(value: unknown): TokenPayload {
  let payload: Partial<TokenPayload> | null | undefined
  try {
    payload = typeof value === 'string' ? JSON.parse(value.slice(0, value.lastIndexOf('.'))) : undefined
  }
  catch {
    // The error of JSON.parse quotes its input, which is secret.
  }
  if (
    typeof payload?.chn !== 'string' || typeof payload.iat !== 'number' || typeof payload.exp !== 'number'
    || !isStrings(payload.tags) || !isStrings(payload.rpc)
  ) {
    throw new TypeError('invalid token payload')
  }
  return payload as TokenPayload
}

function isStrings(value: unknown): boolean {
  return value === undefined || (Array.isArray(value) && value.every(item => typeof item === 'string'))
}

/**
 * newCredential reads a token that has just arrived. Its lifetime is the difference of the
 * server's two times, since the clock of this machine may be wrong. If the clock agrees it
 * is used, since it is more exact: `iat` is rounded down to the second. It is also used if
 * the lifetime is not plausible.
 */
export function newCredential(token: unknown): Credential {
  const payload = parseToken(token)
  const life = (payload.exp - payload.iat) * 1_000
  const left = payload.exp * 1_000 - Date.now()
  const isBlind = !(life > 0 && life <= LONGEST_LIFE)
  const isExact = left > life - 1_000 && left < life
  return { token: token as string, payload, receivedAt: now(), life: isBlind || isExact ? left : life, isBlind }
}

/** fetchCredential fetches a token, within `timeout` and until the signal fires. */
export async function fetchCredential(fetch: (signal: AbortSignal) => Promise<unknown>, signal: AbortSignal, timeout: number): Promise<Credential> {
  const either = AbortSignal.any([signal, AbortSignal.timeout(timeout)])
  either.throwIfAborted()
  return newCredential(await until(either, fetch(either)))
}

/** until returns the result of a promise, or throws the reason of the signal if that fires first. */
export function until<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason))
    promise.then(resolve, reject)
  })
}

/** remaining returns the remaining lifetime of a token in milliseconds. */
export function remaining({ life, receivedAt }: Credential): number {
  return receivedAt + life - now()
}

/** sameSocket reports whether a socket that was opened with one token can continue with the other. */
export function sameSocket(a: TokenPayload, b: TokenPayload): boolean {
  return a.chn === b.chn && JSON.stringify(a.tags) === JSON.stringify(b.tags)
}

/** base64url encodes the UTF-8 bytes of a string, without padding. */
export function base64url(text: string): string {
  const bytes = Array.from(new TextEncoder().encode(text), byte => String.fromCharCode(byte))
  return btoa(bytes.join('')).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '')
}
