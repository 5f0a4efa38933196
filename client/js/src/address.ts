import type { IteratorOptions } from './options.js'
import type { TokenPayload } from './token.js'

/** addressOf returns the address at which the socket of a client is opened. */
export async function addressOf(option: IteratorOptions['url'], token: TokenPayload, id: string): Promise<URL> {
  const base = (globalThis as { location?: Location }).location?.href
  const url = new URL(typeof option === 'function' ? await option(token) : option, base)
  url.protocol = url.protocol.replace(/^http/, 'ws')
  url.searchParams.append('id', id)
  return url
}

/** isReachable reports whether a server answers at the address of a socket, with any status. */
export function isReachable(url: URL, timeout: number): Promise<boolean> {
  const plain = new URL(url)
  plain.protocol = plain.protocol.replace(/^ws/, 'http')
  plain.search = ''
  const signal = AbortSignal.timeout(timeout)
  return fetch(plain, { mode: 'no-cors', credentials: 'omit', cache: 'no-store', signal }).then(() => true, () => false)
}

/** randomId returns an id that cannot be guessed. Pages without TLS do not have crypto.randomUUID. */
export function randomId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), byte => byte.toString(36)).join('')
}
