// Methods of a room, called over the socket of a subscription.
import assert from 'node:assert/strict'
import { ORPCError } from '@orpc/client'
import { addresses } from '../lib/arguments.mjs'
import { newRoom, subscribed } from '../lib/durable.mjs'
import { natives, plain } from '../lib/natives.mjs'
import { Proxy } from '../lib/proxy.mjs'
import { equal, failsWith, failure, until } from '../lib/suite.mjs'

export function checkCalls(suite) {
  const check = (name, run, input, options) => suite.check(`call: ${name}`, () => {
    return subscribed({ room: newRoom(), ...input }, run, options)
  })

  check('nested', async (iterator) => {
    equal(await iterator.call('routerClient.ping', { any: 1 }), 'pong')
    equal(await iterator.call('routerClient.echo', { text: 'é' }), 'Echo: é')
  })
  check('without input', async (iterator) => {
    equal(await iterator.call('routerClient.ping'), 'pong')
    equal(await iterator.call('toolbox.echo'), undefined)
  })
  check('single', async (iterator) => {
    equal(await iterator.call('singleClient', { message: 'm' }), undefined)
  })
  for (const [name, value] of Object.entries({ ...plain, ...natives })) {
    check(`echo: ${name}`, async (iterator) => {
      equal(await iterator.call('toolbox.echo', value), value)
    })
  }
  check('1 MiB', async (iterator) => {
    const text = 'x'.repeat(1 << 20)
    assert.ok(await iterator.call('toolbox.echo', text) === text)
  })
  check('socket and token of the caller', async (iterator) => {
    const { iat, exp, ...rest } = await iterator.call('toolbox.whoami')
    equal(rest, {
      id: iterator.id, chn: 'who', tags: ['a'], att: { at: 1 }, rpc: ['singleClient', 'routerClient', 'toolbox'],
    })
    equal(exp - iat, 60)
  }, { room: 'who', tags: ['a'], att: { at: 1 }, ttl: 60 })
  check('publish with metadata and natives', async (iterator) => {
    await iterator.call('toolbox.publish', { message: 'm', data: new Set([1n]) })
    equal(await iterator.next(), { message: 'm', data: new Set([1n]) })
  })
  check('200 at once', async (iterator) => {
    const inputs = Array.from({ length: 200 }, (_, i) => ({ i, big: BigInt(i) }))
    equal(await Promise.all(inputs.map(input => iterator.call('toolbox.echo', input))), inputs)
  })
  check('slow beside fast', async (iterator) => {
    const order = []
    const slow = iterator.call('toolbox.slow', { ms: 300, key: 'k' }).then(answer => order.push(answer))
    order.push(await iterator.call('routerClient.ping'))
    await slow
    equal(order, ['pong', 'done'])
  })
  check('abort reaches the method', async (iterator) => {
    const controller = new AbortController()
    const call = iterator.call('toolbox.slow', { ms: 60_000, key: 'k' }, { signal: controller.signal })
    await begun(iterator)
    equal(await iterator.call('toolbox.aborted', { key: 'k' }), 0)
    controller.abort(new Error('changed my mind'))
    equal((await failure(call)).message, 'changed my mind')
    await until(async () => await iterator.call('toolbox.aborted', { key: 'k' }) === 1)
  })
  check('a lost connection fails the call and reaches the method', async (iterator) => {
    const call = iterator.call('toolbox.slow', { ms: 60_000, key: 'k' })
    await begun(iterator)
    equal(await iterator.call('toolbox.aborted', { key: 'k' }), 0)
    iterator.socket.reconnect()
    equal((await failure(call)).name, 'AbortError')
    const context = { retry: 100, retryDelay: 20 } // while it connects
    await until(async () => await iterator.call('toolbox.aborted', { key: 'k' }, { context }) === 1)
  })
  suite.check('call: while the socket is down', async () => {
    const proxy = await Proxy.to(addresses.chat)
    await subscribed({ room: newRoom() }, async (iterator) => {
      proxy.cut()
      await until(() => iterator.socket.readyState === 3)
      equal((await failure(iterator.call('routerClient.ping'))).message, 'Cannot send message, WebSocket is not open.')
      proxy.mend()
      equal(await iterator.call('routerClient.ping', undefined, { context: { retry: 100, retryDelay: 20 } }), 'pong')
    }, { address: proxy.address })
    proxy.close()
  })
  check('retry', async (iterator) => {
    const context = { retry: 3, retryDelay: 1 }
    equal(await iterator.call('toolbox.flaky', { key: 'a', failures: 2 }, { context }), 3)
    await failsWith(iterator.call('toolbox.flaky', { key: 'b', failures: 1 }), { code: 'SERVICE_UNAVAILABLE', status: 503 })
    await failsWith(iterator.call('toolbox.flaky', { key: 'c', failures: 9 }, { context }), { code: 'SERVICE_UNAVAILABLE' })
    equal(await iterator.call('toolbox.flaky', { key: 'c', failures: 4 }), 5)
  })
  checkErrors(check)
}

/** Waits until the method has begun: it would not be run after its call has ended. */
function begun(iterator) {
  return until(async () => await iterator.call('toolbox.begun', { key: 'k' }) === 1)
}

function checkErrors(check) {
  check('validation error with issues', async (iterator) => {
    for (const input of [{}, { text: 1 }, undefined, null]) {
      const error = await failsWith(iterator.call('routerClient.echo', input), {
        defined: false, code: 'BAD_REQUEST', status: 400, message: 'Input validation failed',
      })
      assert.ok(error instanceof ORPCError)
      assert.ok(error.data.issues.length > 0)
    }
  })
  check('a declared error is not defined here', async (iterator) => {
    await failsWith(iterator.call('toolbox.fail', { kind: 'defined' }), {
      defined: false, code: 'TEAPOT', status: 418, message: 'I am a teapot', data: { kind: 'green' },
    })
  })
  check('error data with natives', async (iterator) => {
    await failsWith(iterator.call('toolbox.fail', { kind: 'orpc' }), {
      defined: false,
      code: 'CONFLICT',
      status: 409,
      message: 'already there',
      data: { id: 7n, at: new Date('2024-01-02T03:04:05.678Z') },
    })
  })
  check('code of the application', async (iterator) => {
    await failsWith(iterator.call('toolbox.fail', { kind: 'custom' }), {
      defined: false, code: 'MY_OWN_CODE', status: 460, message: 'own', data: [1, 2],
    })
  })
  check('other errors are hidden', async (iterator) => {
    const error = await failsWith(iterator.call('toolbox.fail', { kind: 'plain' }), {
      code: 'INTERNAL_SERVER_ERROR', status: 500, message: 'Internal server error', data: undefined,
    })
    assert.ok(!JSON.stringify(error).includes('secret'))
  })
  check('method that the token does not allow', async (iterator) => {
    for (const name of ['hiddenClient', 'nothing', 'publishEvent', 'constructor', '__proto__']) {
      await failsWith(iterator.call(name), {
        defined: false, code: 'FORBIDDEN', status: 403, message: `Method "${name}" is not allowed.`,
      })
    }
  })
  check('method that only this token allows', async (iterator) => {
    equal(await iterator.call('hiddenClient'), undefined)
    await failsWith(iterator.call('routerClient.ping'), { code: 'FORBIDDEN' })
  }, { rpc: ['hiddenClient'] })
  check('no method is allowed', async (iterator) => {
    await failsWith(iterator.call('singleClient', { message: 'm' }), { code: 'FORBIDDEN' })
  }, undefined, { procedure: 'onSeedMessage' })
  check('unknown path', async (iterator) => {
    for (const path of ['toolbox', 'toolbox.nothing', 'toolbox.constructor', 'toolbox.echo.more', 'routerClient.__proto__.toString']) {
      const { status } = await failsWith(iterator.call(path), {})
      assert.ok(status === 404 || status === 500, `${path}: ${status}`)
    }
    await failsWith(iterator.call('absent'), { code: 'FORBIDDEN' })
  })
  check('unknown procedure of the room', async (iterator) => {
    await failsWith(iterator.room.unsubscribe(), { code: 'NOT_FOUND', status: 404 })
  })
}
