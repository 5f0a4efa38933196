// Tokens: at the upgrade, when they are replaced, and when they expire.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { get } from 'node:http'
import WebSocket from 'ws'
import { addresses } from '../lib/arguments.mjs'
import { DurableIterator, newRoom, publish, requestToken, server, subscribed } from '../lib/durable.mjs'
import { equal, failsWith, pause, until } from '../lib/suite.mjs'

export function checkTokens(suite) {
  checkUpgrade(suite)
  checkUpdate(suite)
  checkExpiry(suite)
}

/** Returns status and text of the answer to an upgrade that is refused. */
async function refusal(query) {
  const socket = new WebSocket(`${addresses.chat}?${new URLSearchParams(query)}`)
  const answer = await new Promise((resolve, reject) => {
    socket.on('unexpected-response', (_, response) => resolve(response))
    socket.on('open', () => reject(new Error('it was not refused')))
    socket.on('error', reject)
  })
  return { status: answer.statusCode, text: (await answer.toArray()).join('').trim() }
}

function checkUpgrade(suite) {
  suite.check('upgrade: a plain request', async () => {
    const query = new URLSearchParams({ id: 'a', token: await requestToken() })
    const [response] = await once(get(`${addresses.chat.replace('ws:', 'http:')}?${query}`), 'response')
    equal(response.statusCode, 426)
    equal((await response.toArray()).join('').trim(), 'Expected WebSocket upgrade')
  })
  suite.check('upgrade: no id, no token', async () => {
    equal(await refusal({}), { status: 401, text: 'ID is required' })
    equal(await refusal({ token: await requestToken() }), { status: 401, text: 'ID is required' })
    equal(await refusal({ id: '', token: await requestToken() }), { status: 401, text: 'ID is required' })
    equal(await refusal({ id: 'a' }), { status: 401, text: 'Token is required' })
    equal(await refusal({ id: 'a', token: '' }), { status: 401, text: 'Token is required' })
  })
  suite.check('upgrade: bad tokens', async () => {
    const good = await requestToken()
    const dot = good.lastIndexOf('.')
    const bad = {
      'no token': 'garbage',
      'no signature': good.slice(0, dot + 1),
      'another signature': `${good.slice(0, dot + 1)}${'A'.repeat(43)}`,
      'another payload': good.replace('some-room', 'own-room'),
      'a JWT': 'eyJhbGciOiJIUzI1NiJ9.eyJjaG4iOiJhIn0.AAAA',
      'expired': await requestToken({ ttl: -5 }),
    }
    for (const [name, token] of Object.entries(bad)) {
      equal(await refusal({ id: 'a', token }), { status: 401, text: 'Invalid Token' }, name)
    }
  })
  suite.check('upgrade: the first call gets through once the token is good', async () => {
    const room = newRoom()
    const iterator = new DurableIterator('garbage')
    const subscription = iterator.subscribe()
    await until(() => iterator.socket.retryCount > 1)
    iterator.token = await requestToken({ room })
    await subscription
    await publish(room, 'm')
    equal(await iterator.messages(1), ['m'])
    iterator.close()
  })
}

function checkUpdate(suite) {
  suite.check('refresh: on the same socket, at once', async () => {
    const room = newRoom()
    await subscribed({ room, tags: ['a', 'b'] }, async (iterator) => {
      await iterator.update(await requestToken({ room, tags: ['a', 'b'], att: { role: 'admin' }, rpc: ['toolbox', 'hiddenClient'] }))
      const { att, rpc } = await iterator.call('toolbox.whoami')
      equal({ att, rpc }, { att: { role: 'admin' }, rpc: ['toolbox', 'hiddenClient'] })
      equal(await iterator.call('hiddenClient'), undefined)
      await failsWith(iterator.call('routerClient.ping'), { code: 'FORBIDDEN' })
      await publish(room, 'for admins', { role: 'admin' })
      equal(await iterator.messages(1), ['for admins'])
      equal(iterator.closes, [])
    })
  })
  suite.check('refresh: refused tokens change nothing', async () => {
    const room = newRoom()
    await subscribed({ room, tags: ['a', 'b'] }, async (iterator) => {
      const refuses = async (token, message) => {
        await failsWith(iterator.update(token), { defined: false, code: 'UNAUTHORIZED', status: 401, message })
      }
      await refuses('garbage', 'Invalid Token')
      await refuses(await requestToken({ room, tags: ['a', 'b'], ttl: -5 }), 'Invalid Token')
      const channel = 'Updated token must have the same channel with the original token'
      await refuses(await requestToken({ room: newRoom(), tags: ['a', 'b'] }), channel)
      const tags = 'Updated token must have the exact same tags with the original token'
      await refuses(await requestToken({ room, tags: ['b', 'a'] }), tags)
      await refuses(await requestToken({ room, tags: [] }), tags)
      await refuses(await requestToken({ room }), tags)
      await failsWith(iterator.room.updateToken({}), { code: 'BAD_REQUEST', message: 'Input validation failed' })
      equal((await iterator.call('toolbox.whoami')).tags, ['a', 'b'])
      await publish(room, 'm')
      equal(await iterator.messages(1), ['m'])
    })
  })
  suite.check('refresh: other tags by another connection', async () => {
    const room = newRoom()
    await subscribed({ room, tags: ['a'] }, async (iterator) => {
      await publish(room, 'a', { tags: ['a'] })
      equal(await iterator.messages(1), ['a'])
      iterator.token = await requestToken({ room, tags: ['b'] })
      await publish(room, 'a, no more', { tags: ['a'] })
      await publish(room, 'b, before', { tags: ['b'] })
      iterator.socket.reconnect()
      await publish(room, 'b, after', { tags: ['b'] })
      equal(await iterator.messages(2), ['b, before', 'b, after'])
    })
  })
}

function checkExpiry(suite) {
  suite.check('expiry: closed with 1008', async () => {
    const token = await requestToken({ room: newRoom(), ttl: 3 })
    const socket = new WebSocket(`${addresses.chat}?${new URLSearchParams({ id: 'a', token })}`)
    const [code, reason] = await once(socket, 'close')
    equal({ code, reason: String(reason) }, { code: 1008, reason: 'Token expired' })
    const { exp } = JSON.parse(token.slice(0, token.lastIndexOf('.')))
    const late = Date.now() / 1000 - exp
    assert.ok(late > -0.1 && late < 5, `${late} s after its end`)
  })
  suite.check('expiry: a refresh in time keeps the socket', async () => {
    const room = newRoom()
    await subscribed({ room, ttl: 3 }, async (iterator) => {
      await iterator.update(await requestToken({ room, ttl: 60 }))
      await pause(3500)
      await publish(room, 'm')
      equal(await iterator.messages(1), ['m'])
      equal(iterator.closes, [])
    })
  })
  suite.check('expiry: goes on with a new token, where it was', async () => {
    const room = newRoom()
    await subscribed({ room, ttl: 3 }, async (iterator) => {
      await publish(room, 'before')
      equal(await iterator.messages(1), ['before'])
      await until(() => iterator.closes.length > 0)
      equal(iterator.closes[0], { code: 1008, reason: 'Token expired' })
      await publish(room, 'meanwhile')
      iterator.token = await server.onMessage({ room })
      equal(await iterator.messages(1), ['meanwhile'])
    })
  })
}
