import { RefusedError } from './errors.js'

/**
 * httpToken returns a function that fetches tokens, for `dial`. The address answers as
 * `durableiterator.Iterator.ServeHTTP` does, or with the token as plain text. Any status but
 * 200 is a `RefusedError` with it: after 401, 403 and 404 the iterator ends, after others
 * the address is asked again. `init` has headers, credentials and so on; it may be a function
 * that is called for each fetch, as for an authorization that changes. The counterpart of
 * Go's `client.HTTPToken`.
 */
export function httpToken(address: string | URL, init?: RequestInit | (() => RequestInit | Promise<RequestInit>)): (signal: AbortSignal) => Promise<string> {
  return async (signal) => {
    const options = typeof init === 'function' ? await init() : init
    const response = await fetch(address, { cache: 'no-store', ...options, signal })
    const text = await response.text()
    if (response.status !== 200) {
      throw new RefusedError(response.status, '') // its text may be anything, and long
    }
    if (!response.headers.get('content-type')?.startsWith('application/json')) {
      return text.trim()
    }
    try {
      return JSON.parse(text).json
    }
    catch {
      throw new TypeError('the answer is no token') // JSON.parse would quote it
    }
  }
}
