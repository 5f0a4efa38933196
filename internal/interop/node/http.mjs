// The RPC link of @orpc/client over HTTP.
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { addresses, features } from './lib/arguments.mjs'
import { httpClient } from './lib/links.mjs'
import { equal, failsWith, Suite } from './lib/suite.mjs'
import { checkEvents } from './checks/events.mjs'
import { checkFiles } from './checks/files.mjs'
import { checkUploads } from './checks/uploads.mjs'
import { checkProcedures } from './checks/procedures.mjs'

const suite = new Suite()
const requests = []
const client = httpClient(addresses.rpc, (request, response) => requests.push({ request, response }))

checkProcedures(suite, client)

suite.check('GET: input in the query', async () => {
  const input = { text: 'a&b=c + é', at: new Date(0), ids: new Set([1n]) }
  equal(await client.readable(input), { got: input })
  equal(requests.at(-1).request.method, 'GET')
  equal(await client.readable(), {})
})

suite.check('GET: a long input is sent with POST', async () => {
  const input = 'x'.repeat(3000)
  equal(await client.readable(input), { got: input })
  equal(requests.at(-1).request.method, 'POST')
})

suite.check('GET: refused if it is not declared', async () => {
  const response = await fetch(`${addresses.rpc}/nested/ping`)
  equal(response.status, 405)
  equal(await response.json(), {
    json: { defined: false, code: 'METHOD_NOT_SUPPORTED', status: 405, message: 'Method Not Supported' },
  })
})

suite.check('malformed bodies', async () => {
  const bodies = ['{', 'null', '{"json":"x","meta":[[0]]}', '{"json":{},"meta":[[1,"__proto__"]]}']
  for (const body of bodies) {
    const response = await fetch(`${addresses.rpc}/echo`, {
      method: 'POST', body, headers: { 'content-type': 'application/json' },
    })
    equal(response.status, 400, body)
    const { json } = await response.json()
    equal(json.code, 'BAD_REQUEST')
    assert.match(json.message, /^Malformed request\. Ensure the request body is properly formatted/)
  }
})

suite.check('answers are not durable iterators', async () => {
  await client.nested.ping()
  equal(requests.at(-1).response.headers.get('x-orpc-durable-iterator'), null)
})

if ('chat' in addresses) {
  suite.check('token of a durable iterator', async () => {
    const before = Date.now() / 1000
    const token = await client.onMessage({ room: 'a room', tags: ['x.y', 'é'], att: { role: 'admin' }, rpc: ['singleClient'], ttl: 60 })
    equal(requests.at(-1).response.headers.get('x-orpc-durable-iterator'), '1')
    const dot = token.lastIndexOf('.')
    equal(token.slice(dot + 1), createHmac('sha256', 'secret-key').update(token.slice(0, dot)).digest('base64url'))
    const { iat, exp, ...rest } = JSON.parse(token.slice(0, dot))
    equal(rest, { chn: 'a room', tags: ['x.y', 'é'], att: { role: 'admin' }, rpc: ['singleClient'] })
    assert.ok(Number.isInteger(iat) && iat >= Math.floor(before) && iat <= before + 5, `iat ${iat}`)
    equal(exp, iat + 60)
  })

  suite.check('token by default', async () => {
    const { iat, exp, ...rest } = JSON.parse((await client.onMessage()).replace(/\.[^.]*$/, ''))
    equal(rest, { chn: 'some-room', rpc: ['singleClient', 'routerClient', 'toolbox'] })
    equal(exp, iat + 86400)
  })

  suite.check('metadata that no event can have', async () => {
    for (const meta of [{ retry: -1 }, { retry: 0.5 }, { comments: ['a\nb'] }]) {
      const { status } = await failsWith(client.sendMessage({ message: 'm', meta }), {})
      assert.ok(status >= 400, `status ${status}`)
    }
  })
}

if (features.includes('events')) {
  checkEvents(suite, client)
}
if (features.includes('inputs')) {
  checkUploads(suite, addresses.rpc)
}
if (features.includes('files')) {
  checkFiles(suite, client)
}

await suite.run()
