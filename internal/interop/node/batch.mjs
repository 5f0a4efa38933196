// The batch plugin of @orpc/client.
import assert from 'node:assert/strict'
import { BatchLinkPlugin } from '@orpc/client/plugins'
import { addresses } from './lib/arguments.mjs'
import { httpClient } from './lib/links.mjs'
import { equal, failsWith, Suite } from './lib/suite.mjs'
import { natives, plain } from './lib/natives.mjs'
import { checkProcedures } from './checks/procedures.mjs'

const suite = new Suite()
const groups = [{ condition: () => true, context: {} }]

for (const mode of ['streaming', 'buffered']) {
  const requests = []
  const watch = (request, response) => requests.push({ request, response })
  const client = httpClient(addresses.rpc, watch, {
    plugins: [new BatchLinkPlugin({ groups, mode })],
    headers: (_, path) => ({ 'x-common': 'all', 'x-path': path.join('.') }),
  })
  const check = (name, run) => suite.check(`${mode}: ${name}`, async () => {
    requests.length = 0
    await run()
  })

  check('calls made together are one request', async () => {
    const values = [...Object.values(plain), ...Object.values(natives)].slice(0, 8)
    const answers = await Promise.all([...values.map(value => client.echo(value)), client.nested.ping(), client.sendMessage({ message: 'm' })])
    equal(answers, [...values, 'pong', undefined])
    equal(requests.map(({ request, response }) => [request.method, request.headers.get('x-orpc-batch'), response.status]), [['POST', mode, 207]])
  })

  check('more than ten', async () => {
    const inputs = Array.from({ length: 25 }, (_, i) => i)
    equal(await Promise.all(inputs.map(input => client.echo(input))), inputs)
    assert.ok(requests.length > 2 && requests.length < 6, `${requests.length} requests`)
  })

  check('GET', async () => {
    equal(await Promise.all([client.readable({ ids: new Set([1n]) }), client.readable('a&b=c + é'), client.readable()]),
      [{ got: { ids: new Set([1n]) } }, { got: 'a&b=c + é' }, {}])
    equal(requests.map(({ request }) => request.method), ['GET'])
  })

  check('GET: what is too long for one address is sent as several', async () => {
    const inputs = ['a', 'b', 'c', 'd'].map(letter => letter.repeat(500))
    equal(await Promise.all(inputs.map(input => client.readable(input))), inputs.map(got => ({ got })))
    equal(requests.map(({ request }) => request.method), ['GET', 'GET'])
  })

  check('each call has its own outcome', async () => {
    const [good] = await Promise.all([
      client.echo(1),
      failsWith(client.nothing.here(), { code: 'NOT_FOUND', status: 404 }),
      failsWith(client.fail({ kind: 'defined' }), { defined: true, code: 'TEAPOT', status: 418, data: { kind: 'green' } }),
      failsWith(client.fail({ kind: 'plain' }), { code: 'INTERNAL_SERVER_ERROR', status: 500, message: 'Internal server error' }),
      failsWith(client.sendMessage({}), { code: 'BAD_REQUEST', message: 'Input validation failed' }),
      // Neither fits into a batch.
      failsWith(client.count({ to: 1 }), { code: 'INTERNAL_SERVER_ERROR', status: 500 }),
      failsWith(client.download(), { code: 'INTERNAL_SERVER_ERROR', status: 500 }),
    ])
    equal(good, 1)
    equal(requests.length, 1)
  })

  check('last event ids', async () => {
    equal(await Promise.all([client.lastEventId(undefined, { lastEventId: 'a' }), client.lastEventId(), client.lastEventId(undefined, { lastEventId: 'b' })]),
      ['a', null, 'b'])
    equal(requests.length, 1)
  })

  check('a call that is given up leaves the others alone', async () => {
    const controller = new AbortController()
    const given = client.echo(1, { signal: controller.signal }).catch(error => error)
    const kept = client.echo(2)
    await Promise.resolve()
    controller.abort()
    equal(await kept, 2)
    await given
  })

  if ('chat' in addresses) {
    check('token of a durable iterator', async () => {
      const headers = []
      const own = httpClient(addresses.rpc, watch, {
        plugins: [new BatchLinkPlugin({ groups, mode }), {
          // The batch plugin comes later by its order: this sees the calls, not the batch.
          init: (options) => {
            options.clientInterceptors ??= []
            options.clientInterceptors.push(async (call) => {
              const response = await call.next()
              headers.push(response.headers['x-orpc-durable-iterator'])
              return response
            })
          },
        }],
      })
      const [token, pong] = await Promise.all([own.onMessage(), own.nested.ping()])
      assert.match(token, /^\{"chn":"some-room"/)
      equal(pong, 'pong')
      equal(headers.sort(), ['1', undefined])
      equal(requests.length, 1)
    })
  }
}

// Whatever is called one after another goes through the plugin too.
checkProcedures(suite, httpClient(addresses.rpc, () => {}, { plugins: [new BatchLinkPlugin({ groups })] }))

suite.check('batches that are none', async () => {
  const post = async (body, headers = {}) => {
    const response = await fetch(`${addresses.rpc}/x`, {
      method: 'POST', body, headers: { 'content-type': 'application/json', 'x-orpc-batch': 'buffered', ...headers },
    })
    return { status: response.status, body: await response.json() }
  }
  const invalid = { status: 400, body: 'Invalid batch request, this could be caused by a malformed request body or a missing header' }
  for (const body of ['{}', '', '[', '[1]', '[{"url":"/rpc/echo"}]']) {
    equal(await post(body), invalid, body)
  }
  const one = { url: 'http://elsewhere.test/rpc/nested/ping', body: {} }
  equal(await post(JSON.stringify(Array(11).fill(one))), { status: 413, body: 'Batch request size exceeds the maximum allowed size' })
  equal(await post(JSON.stringify([one])), { status: 207, body: [{ index: 0, status: 200, body: { json: 'pong' } }] })
  equal(await post(JSON.stringify([{ url: 'http://elsewhere.test/other' }])), { status: 207, body: [{ index: 0, status: 404, body: 'No procedure matched' }] })
  const items = JSON.stringify([{ url: 'http://h/rpc/nested/ping', method: 'POST' }])
  const response = await fetch(`${addresses.rpc}/x?batch=${encodeURIComponent(items)}`, { headers: { 'x-orpc-batch': 'buffered' } })
  if ('chat' in addresses) { // the original runs it
    equal((await response.json())[0].status, 405)
  }
})

await suite.run()
