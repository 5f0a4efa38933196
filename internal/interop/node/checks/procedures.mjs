// Calls procedures over HTTP or over a WebSocket. What is the same over both.
import assert from 'node:assert/strict'
import { isDefinedError, ORPCError } from '@orpc/client'
import { equal, failsWith, failure } from '../lib/suite.mjs'
import { natives, plain } from '../lib/natives.mjs'

export function checkProcedures(suite, client) {
  suite.check('nested procedure', async () => {
    equal(await client.nested.ping(), 'pong')
  })
  suite.check('undefined', async () => {
    equal(await client.echo(undefined), undefined)
    equal(await client.echo(), undefined)
  })
  for (const [name, value] of Object.entries({ ...plain, ...natives })) {
    suite.check(`echo: ${name}`, async () => {
      equal(await client.echo(value), value)
    })
  }
  suite.check('echo: everything at once', async () => {
    const all = { plain, natives: Object.values(natives) }
    equal(await client.echo(all), all)
  })
  suite.check('echo: 1 MiB of text', async () => {
    const text = 'é'.repeat(1 << 19)
    assert.ok(await client.echo(text) === text)
  })
  suite.check('undefined members vanish', async () => {
    equal(await client.echo({ a: undefined, b: 1 }), { b: 1 })
  })
  suite.check('void output is undefined', async () => {
    equal(await client.sendMessage({ message: 'nobody listens' }), undefined)
  })
  suite.check('200 calls at once', async () => {
    const inputs = Array.from({ length: 200 }, (_, i) => ({ i, big: BigInt(i) }))
    equal(await Promise.all(inputs.map(input => client.echo(input))), inputs)
  })
  suite.check('last event id', async () => {
    equal(await client.lastEventId(undefined, { lastEventId: 'event-7' }), 'event-7')
    equal(await client.lastEventId(), null)
  })
  suite.check('signal that has fired', async () => {
    await failure(client.echo(1, { signal: AbortSignal.abort() }))
    equal(await client.echo(2), 2)
  })
  checkErrors(suite, client)
}

function checkErrors(suite, client) {
  suite.check('validation error with issues', async () => {
    for (const input of [{}, { message: 1 }, undefined, null]) {
      const error = await failsWith(client.sendMessage(input), {
        defined: false, code: 'BAD_REQUEST', status: 400, message: 'Input validation failed',
      })
      assert.ok(error instanceof ORPCError)
      assert.ok(error.data.issues.length > 0)
      for (const issue of error.data.issues) {
        equal(typeof issue.message, 'string')
      }
    }
  })
  suite.check('validation issue names the member', async () => {
    const { data } = await failure(client.sendMessage({}))
    equal(data.issues.map(issue => issue.path), [['message']])
  })
  suite.check('declared error', async () => {
    const error = await failsWith(client.fail({ kind: 'defined' }), {
      defined: true, code: 'TEAPOT', status: 418, message: 'I am a teapot', data: { kind: 'green' },
    })
    assert.ok(isDefinedError(error))
  })
  suite.check('error data with natives', async () => {
    await failsWith(client.fail({ kind: 'orpc' }), {
      defined: false,
      code: 'CONFLICT',
      status: 409,
      message: 'already there',
      data: { id: 7n, at: new Date('2024-01-02T03:04:05.678Z') },
    })
  })
  suite.check('code of the application', async () => {
    await failsWith(client.fail({ kind: 'custom' }), {
      defined: false, code: 'MY_OWN_CODE', status: 460, message: 'own', data: [1, 2],
    })
  })
  suite.check('other errors are hidden', async () => {
    const error = await failsWith(client.fail({ kind: 'plain' }), {
      defined: false, code: 'INTERNAL_SERVER_ERROR', status: 500, message: 'Internal server error', data: undefined,
    })
    assert.ok(!JSON.stringify(error).includes('secret'))
  })
  suite.check('unknown procedure', async () => {
    await failsWith(client.nothing.here(), { code: 'NOT_FOUND', status: 404 })
    await failsWith(client.nested(), { code: 'NOT_FOUND', status: 404 })
    await failsWith(client.nested.ping.more(), { code: 'NOT_FOUND', status: 404 })
  })
  suite.check('retry plugin', async () => {
    const attempts = []
    const context = { retry: 2, retryDelay: 1, onRetry: ({ attemptIndex }) => void attempts.push(attemptIndex) }
    await failsWith(client.fail({ kind: 'custom' }, { context }), { code: 'MY_OWN_CODE' })
    equal(attempts, [0, 1])
  })
}
