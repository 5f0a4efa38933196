import { RefusedError } from './errors.js'

/**
 * httpToken returns a function that fetches tokens, for `dial`. The server at the address
 * responds as `durableiterator.Subscription.ServeHTTP` does, or with the token as plain text.
 * Any status except 200 is thrown as a `RefusedError`: after 401, 403 and 404 the iterator
 * ends, after others the token is fetched again. `init` has headers, credentials and so
 * on; it may be a function that is called for each fetch, for example if the authorization
 * changes. It is the counterpart of Go's `client.HTTPToken`.
 */
export function httpToken(address: string | URL, init?: RequestInit | (() => RequestInit | Promise<RequestInit>)): (signal: AbortSignal) => Promise<string> {
  return async (signal) => {
    const options = typeof init === 'function' ? await init() : init
    const response = await fetch(address, { cache: 'no-store', ...options, signal })
    const text = await response.text()
    if (response.status !== 200) {
      throw new RefusedError(response.status, '') // its body may be anything, and long
    }
    if (!response.headers.get('content-type')?.startsWith('application/json')) {
      return text.trim()
    }
    try {
      return JSON.parse(text).json
    }
    catch {
      throw new TypeError('the answer is no token') // the error of JSON.parse would quote it
    }
  }
}
