// Calls the procedure count, whose output is an event iterator, over HTTP or over a
// WebSocket, or as the method of a room.
import { getEventMeta } from '@orpc/client'
import { equal, failure, failsWith } from '../lib/suite.mjs'

export function checkEvents(suite, client) {
  suite.check('event iterator: events, metadata, return value', async () => {
    const iterator = await client.count({ to: 3 })
    for (let n = 1; n <= 3; n++) {
      const { done, value } = await iterator.next()
      const { id, retry } = getEventMeta(value)
      equal({ done, value, id, retry }, { done: false, value: { n }, id: `n-${n}`, retry: 1234 })
    }
    equal(await iterator.next(), { done: true, value: { total: 3 } })
    equal(await iterator.next(), { done: true, value: undefined })
  })
  suite.check('event iterator: no events', async () => {
    const iterator = await client.count({ to: 0 })
    equal(await iterator.next(), { done: true, value: { total: 0 } })
  })
  suite.check('event iterator: many events', async () => {
    const seen = []
    for await (const { n } of await client.count({ to: 1000 })) {
      seen.push(n)
    }
    equal(seen, Array.from({ length: 1000 }, (_, i) => i + 1))
  })
  suite.check('event iterator: failure', async () => {
    const iterator = await client.count({ to: 5, failAt: 3 })
    equal((await iterator.next()).value, { n: 1 })
    equal((await iterator.next()).value, { n: 2 })
    await failsWith(iterator.next(), { code: 'CONFLICT', status: 409, message: 'stopped at 3' })
    equal((await iterator.next()).done, true)
  })
  suite.check('event iterator: events as they come', async () => {
    const iterator = await client.count({ to: 1000, ms: 50 })
    equal((await iterator.next()).value, { n: 1 }) // 50 s before the last one
    await iterator.return()
    equal((await iterator.next()).done, true)
  })
  suite.check('event iterator: stopped by its signal', async () => {
    const controller = new AbortController()
    const iterator = await client.count({ to: 1000, ms: 50 }, { signal: controller.signal })
    equal((await iterator.next()).value, { n: 1 })
    controller.abort(new Error('enough'))
    await failure((async () => {
      for await (const _ of iterator);
    })())
  })
  suite.check('event iterator: several at once', async () => {
    const totals = await Promise.all(Array.from({ length: 20 }, async (_, to) => {
      const iterator = await client.count({ to })
      let result = await iterator.next()
      while (!result.done) {
        result = await iterator.next()
      }
      return result.value.total
    }))
    equal(totals, Array.from({ length: 20 }, (_, to) => to))
  })
}
