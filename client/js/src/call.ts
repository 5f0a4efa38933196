import { callError } from './errors.js'
import type { Peer, PeerEvent, PeerResponse } from './peer.js'
import { isStream } from './peer.js'
import type { Serializer } from './serializer.js'
import { exchange } from './stream.js'

/** Options of a call of a method. */
export interface CallOptions {
  signal?: AbortSignal | undefined
  /** The event id after which a method that returns a stream continues. */
  lastEventId?: string | undefined
}

/** call calls a method of the room over the peer's socket. */
export async function call(peer: Peer, serializer: Serializer, path: readonly string[], input: unknown, { signal, lastEventId }: CallOptions = {}): Promise<unknown> {
  const headers = lastEventId === undefined ? undefined : { 'last-event-id': lastEventId }
  const body = encodeCall(serializer, path, input)
  const decodeEvent = ({ e, d }: PeerEvent): unknown => {
    const value = serializer.deserialize(d)
    if (e === 'error') {
      throw callError(500, value)
    }
    return value
  }
  return decodeAnswer(serializer, await exchange(handler => peer.open('/call', body, headers, handler), decodeEvent, signal))
}

function decodeAnswer(serializer: Serializer, { status, headers, body }: PeerResponse): unknown {
  if (isStream(headers)) {
    return body
  }
  if (headers['content-type'] !== undefined) {
    throw new TypeError('the answer holds a file: use the client of @orpc/client')
  }
  const output = serializer.deserialize(body)
  if (status < 200 || status >= 400) {
    throw callError(status, output)
  }
  return output
}

/** encodeCall encodes the input of `call`. Servers of oRPC require the key `input` even without an input. */
function encodeCall(serializer: Serializer, path: readonly string[], input: unknown): unknown {
  return input === undefined
    ? { json: { path, input: null }, meta: [[3, 'input']] }
    : serializer.serialize({ path, input })
}
