import assert from 'node:assert/strict'
import { afterEach, describe, test } from 'node:test'
import { dial, httpToken, RefusedError } from '../src/index.js'
import { settle } from './clock.js'
import { clock, server } from './harness.js'
import { token } from './server.js'

const { fetch } = globalThis
let requests: Request[] = []

/** answer answers fetches until the test ends. */
function answer(body: () => string, init: ResponseInit = {}): void {
  globalThis.fetch = async (address, init_) => {
    requests.push(new Request(new URL(String(address), 'http://server'), init_))
    return new Response(body(), init)
  }
}

const json = { headers: { 'content-type': 'application/json' } }

describe('httpToken', () => {
  afterEach(() => {
    globalThis.fetch = fetch
    requests = []
  })

  test('takes plain text, and what a durable iterator in Go answers', async () => {
    const { signal } = new AbortController()
    const want = token()
    answer(() => `${want}\n`, { headers: { 'content-type': 'text/plain' } })
    assert.equal(await httpToken('/token')(signal), want)
    answer(() => JSON.stringify({ json: want }), json)
    assert.equal(await httpToken('/token')(signal), want)
    assert.equal(requests[0]!.cache, 'no-store')
  })

  test('is the token of dial', async () => {
    answer(() => JSON.stringify({ json: token() }), json)
    const made = dial({ url: 'ws://server/room', token: httpToken('/token') })
    await settle()
    await server.accept()
    ;(await made).close()
  })

  test('has options for each fetch', async () => {
    answer(() => token())
    let count = 0
    const fetchToken = httpToken(new URL('http://server/token'), async () => ({ method: 'POST', headers: { authorization: `Bearer ${++count}` } }))
    await fetchToken(AbortSignal.timeout(1))
    await fetchToken(AbortSignal.timeout(1))
    assert.deepEqual(requests.map(({ method, headers }) => [method, headers.get('authorization')]), [['POST', 'Bearer 1'], ['POST', 'Bearer 2']])
    await httpToken('/token', { headers: { accept: 'text/plain' } })(AbortSignal.timeout(1))
    assert.equal(requests[2]!.headers.get('accept'), 'text/plain')
  })

  for (const status of [401, 403, 404]) {
    test(`${status} ends the iterator`, async () => {
      answer(() => token())
      const made = dial({ url: 'ws://server/room', token: httpToken('/token'), backoff: () => 500 })
      await settle()
      await server.accept()
      const it = await made
      answer(() => 'who are you?', { status })
      server.socket.drop(4401, 'Invalid Token')
      await clock.advance(500)
      await assert.rejects(it.next(), (error: RefusedError) => error instanceof RefusedError && error.status === status)
      assert.equal(it.state, 'closed')
    })
  }

  test('other statuses are asked again', async () => {
    answer(() => token())
    const made = dial({ url: 'ws://server/room', token: httpToken('/token'), backoff: () => 500 })
    await settle()
    await server.accept()
    const it = await made
    answer(() => token(), { status: 503 })
    server.socket.drop(4401, 'Invalid Token')
    await clock.advance(500)
    assert.equal(it.state, 'waiting')
    answer(() => token())
    await clock.advance(500)
    await server.accept()
    assert.equal(it.state, 'live')
    it.close()
  })

  for (const [name, body] of Object.entries({ 'JSON of another form': '{"token":"secret"}', 'no JSON': '{"json":"secret', 'null': 'null' })) {
    test(`${name} is no token, and is not in the error`, async () => {
      answer(() => body, json)
      await assert.rejects(dial({ url: 'ws://server/room', token: httpToken('/token') }), (error: Error) =>
        error instanceof TypeError && !String(error.stack).includes('secret'))
    })
  }
})
