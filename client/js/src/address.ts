import type { IteratorOptions } from './options.js'
import type { TokenPayload } from './token.js'

/** addressOf returns where the socket of a client is opened. */
export async function addressOf(option: IteratorOptions['url'], token: TokenPayload, id: string): Promise<URL> {
  const base = (globalThis as { location?: Location }).location?.href
  const url = new URL(typeof option === 'function' ? await option(token) : option, base)
  url.protocol = url.protocol.replace(/^http/, 'ws')
  url.searchParams.append('id', id)
  return url
}

/** isReachable reports whether there is a server behind the address of a socket, whatever it answers. */
export function isReachable(url: URL, timeout: number): Promise<boolean> {
  const plain = new URL(url)
  plain.protocol = plain.protocol.replace(/^ws/, 'http')
  plain.search = ''
  const signal = AbortSignal.timeout(timeout)
  return fetch(plain, { mode: 'no-cors', credentials: 'omit', cache: 'no-store', signal }).then(() => true, () => false)
}

/** randomId returns an id that nobody can guess. crypto.randomUUID is missing on pages without TLS. */
export function randomId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), byte => byte.toString(36)).join('')
}
