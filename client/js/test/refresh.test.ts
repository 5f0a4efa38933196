import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { dial } from '../src/index.js'
import { settle } from './clock.js'
import { clock, open, server } from './harness.js'
import { token } from './server.js'

describe('refresh', () => {
  test('on the open socket, in time, by the token\'s own two times', async () => {
    for (const skew of [-3600, 0, 3600]) {
      const opened = await open({ token: async () => token({ life: 60, skew }), refreshTokenBeforeExpireInSeconds: 10 })
      const { socket } = server
      await clock.advance(49_000)
      assert.equal(opened.tokens, 1, `skew ${skew}`)
      await clock.advance(2_000)
      assert.equal(opened.tokens, 2, `skew ${skew}`)
      assert.equal(server.calls.at(-1).u, '/updateToken')
      await clock.advance(50_000)
      assert.equal(opened.tokens, 3, `skew ${skew}`)
      assert.equal(server.socket, socket)
      opened.it.close()
    }
  })

  test('with other tags another socket is opened', async () => {
    let tags = ['a']
    const opened = await open({ token: async () => token({ life: 60, tags }), refreshTokenBeforeExpireInSeconds: 10 })
    tags = ['b']
    await clock.advance(51_000)
    assert.equal(server.sockets.length, 2)
    await server.accept()
    assert.equal(opened.it.state, 'live')
    opened.it.close()
  })

  test('tokens that live too short cause no storm', async () => {
    const opened = await open({ token: async () => token({ life: 1 }), refreshTokenBeforeExpireInSeconds: 600 })
    await clock.advance(20_000)
    assert.ok(opened.tokens <= 12, `${opened.tokens} tokens in 20 s`)
    opened.it.close()
  })

  test('a refresh that fails is tried again', async () => {
    let fail = false
    const opened = await open({ token: async () => {
      if (fail) {
        throw new Error('no answer')
      }
      return token({ life: 60 })
    }, refreshTokenBeforeExpireInSeconds: 10 })
    fail = true
    await clock.advance(51_000)
    fail = false
    await clock.advance(3_000)
    assert.equal(server.calls.at(-1).u, '/updateToken')
    opened.it.close()
  })

  test('a token is fetched once for all who need it', async () => {
    let hang = false
    let answer = (_: string): void => {}
    const opened = await open({
      token: () => hang ? new Promise<string>(resolve => answer = resolve) : Promise.resolve(token({ life: 60 })),
      refreshTokenBeforeExpireInSeconds: 10,
    })
    hang = true
    await clock.advance(51_000) // the refresh
    server.socket.drop(1008, 'Token expired')
    await clock.advance(1_000)
    assert.equal(opened.tokens, 2)
    answer(token())
    await server.accept()
    assert.equal(opened.it.state, 'live')
    assert.equal(opened.tokens, 2)
    opened.it.close()
  })

  test('the server is sent one token at a time, and the last one', async () => {
    const opened = await open({ token: async () => token({ life: 60 }), refreshTokenBeforeExpireInSeconds: 58 })
    server.onCall = () => undefined
    await clock.advance(5_000)
    assert.equal(opened.tokens, 3)
    assert.equal(server.calls.length, 1, 'the first is not answered')
    server.onCall = () => ({ b: { json: null } })
    const { i } = server.socket.sent.at(-1)
    server.socket.receive({ i, p: { b: { json: null } } })
    await settle()
    assert.equal(server.calls.length, 2)
    assert.deepEqual(server.calls.at(-1).b.json.token.includes(JSON.stringify(opened.it.token).slice(1, -1)), true)
    opened.it.close()
  })

  test('a token that came while a socket was opened is sent on it', async () => {
    const opened = await open({ token: async () => token({ life: 60 }), refreshTokenBeforeExpireInSeconds: 10 })
    await clock.advance(49_400)
    server.socket.drop()
    await clock.advance(1_000) // the attempt comes, then the refresh
    assert.equal(opened.tokens, 2)
    await server.accept()
    assert.deepEqual(server.calls.map(({ u }) => u), ['/updateToken'])
    opened.it.close()
  })

  for (const [name, answer] of [
    ['that answers 401', { s: 401, b: { json: null } }],
    ['whose answer cannot be read', '{'],
    ['that does not answer', undefined],
  ] as const) {
    test(`a server ${name} to a token gets another socket`, async () => {
      const opened = await open({ token: async () => token({ life: 60 }), refreshTokenBeforeExpireInSeconds: 30 })
      server.onCall = () => undefined
      await clock.advance(30_000)
      assert.equal(server.calls.length, 1)
      if (answer) {
        server.socket.receive(answer === '{' ? answer : { i: server.socket.sent.at(-1).i, p: answer })
      }
      await clock.advance(answer ? 0 : 10_000)
      assert.equal(server.sockets.length, 2)
      await server.accept()
      assert.equal(opened.it.state, 'live')
      assert.equal(server.calls.length, 1, 'the socket was opened with the token')
      assert.equal(opened.tokens, 2)
      opened.it.close()
    })
  }

  for (const status of [403, 503]) {
    test(`a server that answers ${status} to a token keeps its socket, and gets others after pauses`, async () => {
      const opened = await open({
        token: async () => token({ life: 60 }), refreshTokenBeforeExpireInSeconds: 30, backoff: attempt => attempt * 4_000,
      })
      server.onCall = () => ({ s: status, b: { json: null } })
      await clock.advance(30_000)
      for (const [pause, tokens] of [[4_000, 3], [8_000, 4], [12_000, 5]] as const) {
        await clock.advance(pause - 1)
        assert.equal(opened.tokens, tokens - 1)
        await clock.advance(1)
        assert.equal(opened.tokens, tokens)
      }
      assert.equal(server.calls.length, 4)
      assert.equal(server.sockets.length, 1)
      assert.equal(opened.it.state, 'live', 'with the token that is good')
      server.onCall = () => ({ b: { json: null } })
      await clock.advance(16_000)
      assert.equal(server.calls.length, 5)
      await clock.advance(29_000)
      assert.equal(opened.tokens, 6, 'taken')
      opened.it.close()
    })
  }

  test('a refresh that fails is tried again after pauses that grow', async () => {
    let fail = false
    const opened = await open({ token: async () => {
      if (fail) {
        throw new Error('no answer')
      }
      return token({ life: 3600 })
    }, refreshTokenBeforeExpireInSeconds: 1_800, backoff: attempt => attempt * 1_000 })
    fail = true
    await clock.advance(1_800_000)
    assert.equal(opened.tokens, 2)
    for (const [pause, tokens] of [[2_000, 3], [2_000, 4], [3_000, 5], [4_000, 6]] as const) {
      await clock.advance(pause - 1)
      assert.equal(opened.tokens, tokens - 1)
      await clock.advance(1)
      assert.equal(opened.tokens, tokens)
    }
    fail = false
    await clock.advance(5_000)
    assert.equal(server.calls.at(-1).u, '/updateToken')
    fail = true
    await clock.advance(1_800_000)
    assert.equal(opened.tokens, 8)
    await clock.advance(2_000)
    assert.equal(opened.tokens, 9, 'the pauses begin with the first')
    opened.it.close()
  })

  for (const [name, change] of Object.entries({
    'without the time of its issue': { iat: 0 },
    'issued after it expires': { iat: 4_000_000_000 },
    'for two years': { iat: 1_700_000_000, exp: 1_763_072_000 },
  })) {
    for (const skew of [-3600, 0, 3600]) {
      test(`a token ${name} is replaced by the clock, which is ${skew} s wrong, and once a minute at most`, async () => {
        const tokenOf = (): string => {
          const [payload] = token({ life: 1_000, skew }).split('.signature')
          return `${JSON.stringify({ ...JSON.parse(payload!), ...change })}.signature`
        }
        const opened = await open({ token: async () => tokenOf(), refreshTokenBeforeExpireInSeconds: 100 })
        const left = opened.it.token.exp - Date.now() / 1_000 - 100
        const due = Math.max(left, 60) * 1_000
        await clock.advance(Math.min(due, 2_000_000) - 2_000)
        assert.equal(opened.tokens, 1)
        if (due < 2_000_000) {
          await clock.advance(4_000)
          assert.equal(opened.tokens, 2)
          await clock.advance(50_000)
          assert.equal(opened.tokens, 2)
        }
        opened.it.close()
      })
    }
  }

  test('by a clock that agrees the part of a second counts before iat was issued', async () => {
    await clock.advance(800)
    const opened = await open({ token: async () => token({ life: 60 }), refreshTokenBeforeExpireInSeconds: 10 })
    await clock.advance(49_199)
    assert.equal(opened.tokens, 1)
    await clock.advance(1)
    assert.equal(opened.tokens, 2)
    opened.it.close()
  })

  test('a refusal of an older token than the current one costs none', async () => {
    const opened = await open({ token: async () => token({ life: 60 }), refreshTokenBeforeExpireInSeconds: 10 })
    server.onCall = () => undefined
    await clock.advance(51_000)
    assert.equal(opened.tokens, 2)
    server.socket.drop(1008, 'Token expired')
    await clock.advance(500)
    await server.accept()
    assert.equal(opened.it.state, 'live')
    assert.equal(opened.tokens, 2)
    opened.it.close()
  })

  test('a token that expires unused is replaced', async () => {
    const opened = await open({ token: async () => token({ life: 60 }) })
    server.socket.drop(4401, 'Invalid Token')
    for (let i = 0; i < 70; i++) { // the server is away
      await clock.advance(1_000)
      server.socket.drop()
    }
    assert.equal(opened.tokens, 2)
    await clock.advance(1_000)
    server.answers = false
    server.socket.open()
    server.socket.drop(4401, 'Invalid Token')
    server.answers = true
    await clock.advance(1_000)
    await server.accept()
    assert.equal(opened.it.state, 'live')
    assert.equal(opened.tokens, 3)
    opened.it.close()
  })

  for (const [name, reachable, tokens] of [['is there', true, 2], ['is away', false, 1]] as const) {
    test(`without the subprotocol, an attempt that fails while the server ${name}`, async () => {
      const asked: URL[] = []
      const { fetch } = globalThis
      globalThis.fetch = async (address) => {
        asked.push(new URL(String(address)))
        return reachable ? new Response() : Promise.reject(new TypeError('Failed to fetch'))
      }
      const opened = await open({ token: async () => token(), subprotocol: false })
      server.socket.drop()
      await clock.advance(500)
      server.socket.drop() // a page does not see why
      await clock.advance(1_000)
      await server.accept()
      assert.equal(opened.tokens, tokens)
      assert.deepEqual(asked.map(({ href }) => href), ['http://server/room'], 'the token is in no address')
      globalThis.fetch = fetch
      opened.it.close()
    })
  }
})

describe('a source', () => {
  const never = (): Promise<string> => new Promise(() => {})

  test('has dialTimeout for the first token', async () => {
    const failed = assert.rejects(dial({ url: 'ws://server/room', token: never, dialTimeout: 3_000 }), { name: 'TimeoutError' })
    await clock.advance(3_000)
    await failed
    assert.equal(server.sockets.length, 0)
  })

  test('has dialTimeout for others, and is asked again', async () => {
    let hang = false
    const opened = await open({ token: () => hang ? never() : Promise.resolve(token()), dialTimeout: 3_000 })
    hang = true
    server.socket.drop(1008, 'Token expired')
    await clock.advance(500 + 3_000)
    assert.equal(opened.it.state, 'waiting')
    hang = false
    await clock.advance(1_000)
    await server.accept()
    assert.equal(opened.it.state, 'live')
    assert.equal(opened.tokens, 3)
    opened.it.close()
  })

  test('that does not heed the signal does not keep dial from it', async () => {
    const abort = new AbortController()
    const failed = assert.rejects(dial({ url: 'ws://server/room', token: never, signal: abort.signal }), /enough/)
    await settle()
    abort.abort(new Error('enough'))
    await failed
  })

  test('is not asked after the signal', async () => {
    let asked = 0
    const token = async (): Promise<string> => String(++asked)
    await assert.rejects(dial({ url: 'ws://server/room', token, signal: AbortSignal.abort(new Error('enough')) }), /enough/)
    assert.equal(asked, 0)
  })
})
