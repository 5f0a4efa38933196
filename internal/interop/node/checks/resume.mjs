// Connections that are lost, and subscriptions that go on.
import assert from 'node:assert/strict'
import { getEventMeta } from '@orpc/client'
import { addresses } from '../lib/arguments.mjs'
import { newRoom, publish, server, subscribed } from '../lib/durable.mjs'
import { Proxy } from '../lib/proxy.mjs'
import { equal, until } from '../lib/suite.mjs'

/** As subscribed, through a proxy, which use gets too. */
async function subscribedThroughProxy(input, use, { address = addresses.chat, ...options } = {}) {
  const proxy = await Proxy.to(address)
  try {
    return await subscribed(input, iterator => use(iterator, proxy), { ...options, address: proxy.address })
  }
  finally {
    proxy.close()
  }
}

function numbered(from, to) {
  return Array.from({ length: to - from + 1 }, (_, i) => `m${from + i}`)
}

async function publishAll(room, messages) {
  for (const message of messages) {
    await publish(room, message)
  }
}

export function checkResume(suite) {
  suite.check('drop: each event once and in order', async () => {
    const room = newRoom()
    await subscribedThroughProxy({ room }, async (iterator, proxy) => {
      // Past 9 and 10, which as texts are in another order.
      await publishAll(room, numbered(1, 3))
      equal(await iterator.messages(3), numbered(1, 3))
      proxy.cut()
      await publishAll(room, numbered(4, 25))
      proxy.mend()
      equal(await iterator.messages(22), numbered(4, 25))
      await publishAll(room, numbered(26, 28))
      equal(await iterator.messages(3), numbered(26, 28))
    })
  })

  suite.check('drop: with the pauses of the original', async () => {
    const room = newRoom()
    await subscribedThroughProxy({ room }, async (iterator, proxy) => {
      await publish(room, 'before')
      equal(await iterator.messages(1), ['before'])
      proxy.drop()
      await publish(room, 'meanwhile')
      equal(await iterator.messages(1), ['meanwhile'])
    }, { reconnect: 3000, retry: 2000 })
  })

  suite.check('drop: again and again, while events come', async () => {
    const room = newRoom()
    await subscribedThroughProxy({ room }, async (iterator, proxy) => {
      const messages = numbered(1, 60)
      const publishing = (async () => {
        for (const [i, message] of messages.entries()) {
          await publish(room, message)
          if (i % 20 === 10) {
            proxy.drop()
          }
        }
      })()
      equal(await iterator.messages(60), messages)
      await publishing
    })
  })

  suite.check('drop: what was received but not read comes again', async () => {
    const room = newRoom()
    await subscribedThroughProxy({ room }, async (iterator, proxy) => {
      await publishAll(room, numbered(1, 5))
      equal(await iterator.messages(2), numbered(1, 2))
      proxy.drop()
      equal(await iterator.messages(3), numbered(3, 5))
    })
  })

  suite.check('drop: close by the client, and reconnect', async () => {
    const room = newRoom()
    await subscribed({ room }, async (iterator) => {
      await publish(room, 'before')
      equal(await iterator.messages(1), ['before'])
      iterator.socket.reconnect()
      await publish(room, 'after')
      equal(await iterator.messages(1), ['after'])
    })
  })

  suite.check('drop: the pause that an event asks for', async () => {
    const room = newRoom()
    await subscribedThroughProxy({ room }, async (iterator, proxy) => {
      await publish(room, 'hint', { meta: { retry: 400 } })
      equal(await iterator.messages(1), ['hint'])
      const start = Date.now()
      proxy.drop()
      await publish(room, 'after')
      equal(await iterator.messages(1), ['after'])
      assert.ok(Date.now() - start >= 390)
    })
  })

  suite.check('drop: tags and ids are checked again', async () => {
    const room = newRoom()
    await subscribedThroughProxy({ room, tags: ['a'] }, async (iterator, proxy) => {
      await publish(room, 'before')
      equal(await iterator.messages(1), ['before'])
      proxy.cut()
      await publish(room, 'a', { tags: ['a'] })
      await publish(room, 'b', { tags: ['b'] })
      await subscribed({ room }, async (other) => {
        await publish(room, 'for another', { targetIds: [other.id] })
        equal(await other.messages(1), ['for another'])
      })
      await publish(room, 'end')
      proxy.mend()
      equal(await iterator.messages(2), ['a', 'end'])
    })
  })

  suite.check('replay: a target is known by its id', async () => {
    const room = newRoom()
    const id = await subscribed({ room, att: { welcome: true } }, async (iterator) => {
      equal(await iterator.messages(1), ['welcome'])
      return iterator.id
    })
    await publish(room, 'end')
    await subscribed({ room }, async (iterator) => {
      equal(await iterator.messages(2), ['welcome', 'end'])
    }, { id, lastEventId: '0' })
    await subscribed({ room }, async (iterator) => {
      equal(await iterator.messages(1), ['end'])
    }, { lastEventId: '0' })
  })

  suite.check('last event id of the application', async () => {
    const room = newRoom()
    const id = await subscribed({ room }, async (iterator) => {
      await publishAll(room, numbered(1, 12))
      await iterator.messages(1)
      return getEventMeta(await iterator.next()).id
    })
    await subscribed({ room }, async (iterator) => {
      equal(await iterator.messages(10), numbered(3, 12))
    }, { lastEventId: id })
    await subscribed({ room }, async (iterator) => {
      equal(await iterator.messages(12), numbered(1, 12))
    }, { lastEventId: '0' })
  })

  suite.check('latest: a first subscription begins with them', async () => {
    const room = newRoom()
    const send = message => server.sendLatestMessage({ room, message })
    for (const message of numbered(1, 5)) {
      await send(message)
    }
    await subscribedThroughProxy({ room }, async (iterator, proxy) => {
      const first = await iterator.next()
      equal(first.message, 'm3')
      assert.ok(getEventMeta(first).id)
      equal(await iterator.messages(2), numbered(4, 5))
      proxy.cut()
      await send('m6')
      proxy.mend()
      equal(await iterator.messages(1), ['m6'])
      await send('m7')
      equal(await iterator.messages(1), ['m7'])
    }, { address: addresses.latest })
    await subscribed({ room }, async (iterator) => {
      equal(await iterator.messages(7), numbered(1, 7))
    }, { address: addresses.latest, lastEventId: '0' })
  })

  suite.check('without resume: only what comes after', async () => {
    const room = newRoom()
    await subscribedThroughProxy({ room }, async (iterator, proxy) => {
      const send = message => server.sendPlainMessage({ room, message })
      await send('before')
      equal(await iterator.messages(1), ['before'])
      proxy.cut()
      await send('lost')
      proxy.mend()
      let arrived = false
      const next = iterator.messages(1).finally(() => arrived = true)
      await until(async () => {
        await send('after')
        return arrived
      })
      equal(await next, ['after'])
    }, { procedure: 'onPlainMessage', address: addresses.plain })
  })
}
