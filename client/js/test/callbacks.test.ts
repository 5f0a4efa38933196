import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { dial } from '../src/index.js'
import { settle } from './clock.js'
import { clock, open, server } from './harness.js'
import { token } from './server.js'

describe('a function of the page', () => {
  test('url that does not answer has dialTimeout, and is called again', async () => {
    let hangs = false
    const { it } = await open({ url: () => hangs ? new Promise(() => {}) : 'ws://server/room', dialTimeout: 3_000 })
    hangs = true
    server.socket.drop()
    await clock.advance(500)
    assert.equal(it.state, 'connecting')
    await clock.advance(3_000)
    assert.equal(it.state, 'waiting')
    hangs = false
    await clock.advance(1_000)
    await server.accept()
    assert.equal(it.state, 'live')
    it.close()
  })

  test('backoff that throws ends the iterator', async () => {
    const { it } = await open({ backoff: () => {
      throw new Error('no pause')
    } })
    server.socket.drop()
    await assert.rejects(it.next(), /no pause/)
    assert.equal(it.state, 'closed')
  })

  test('backoff that throws ends the iterator at a refresh', async () => {
    let fails = false
    const { it } = await open({
      token: async () => {
        if (fails) {
          throw new Error('no answer')
        }
        return token({ life: 60 })
      },
      refreshTokenBeforeExpireInSeconds: 10,
      backoff: () => {
        throw new Error('no pause')
      },
    })
    fails = true
    await clock.advance(50_000)
    await assert.rejects(it.next(), /no pause/)
  })

  test('backoff of Infinity waits for the page or the network', async () => {
    const { it } = await open({ backoff: () => Number.POSITIVE_INFINITY })
    server.socket.drop()
    await clock.advance(3_600_000)
    assert.equal(server.sockets.length, 1)
    it.close()
  })

  test('refreshTokenBeforeExpireInSeconds that throws is the error of dial, and leaves nothing', async () => {
    await assert.rejects(dial({ url: 'ws://server/room', token: token(), refreshTokenBeforeExpireInSeconds: () => {
      throw new Error('no time')
    } }), /no time/)
    assert.equal(server.sockets.length, 0)
  })

  test('onState may open another socket, and calls wait for it', async () => {
    let reconnect = (): void => {}
    const made = dial<any, any>({ url: 'ws://server/room', token: token(), backoff: () => 500, onState: (state) => {
      if (state === 'live') {
        const once = reconnect
        reconnect = () => {}
        once()
      }
    } })
    await server.accept()
    const it = await made
    reconnect = it.reconnect
    server.socket.drop()
    const answer = it.rpc.echo(1)
    await clock.advance(500)
    await server.accept()
    await server.accept()
    assert.deepEqual(await answer, { path: ['echo'], input: 1 })
    assert.equal(server.sockets.length, 3)
    it.close()
  })

  test('onState may close', async () => {
    let close = (): void => {}
    const made = dial<any, any>({ url: 'ws://server/room', token: token(), onState: state => state === 'waiting' && close() })
    await server.accept()
    const it = await made
    close = it.close
    server.socket.drop()
    await settle()
    assert.equal(it.state, 'closed')
    await clock.advance(10_000)
    assert.equal(server.sockets.length, 1)
  })
})
