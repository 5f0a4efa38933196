import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
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
})
