// What a subscriber of a room gets.
import assert from 'node:assert/strict'
import { getEventMeta } from '@orpc/client'
import { addresses } from '../lib/arguments.mjs'
import { newRoom, publish, server, subscribed } from '../lib/durable.mjs'
import { natives, plain } from '../lib/natives.mjs'
import { equal, until } from '../lib/suite.mjs'

export function checkSubscription(suite) {
  suite.check('events in order', async () => {
    const room = newRoom()
    await subscribed({ room }, async (iterator) => {
      const messages = Array.from({ length: 100 }, (_, i) => `m${i}`)
      for (const message of messages) {
        await publish(room, message)
      }
      equal(await iterator.messages(100), messages)
    })
  })

  suite.check('events have ids, each its own', async () => {
    const room = newRoom()
    await subscribed({ room }, async (iterator) => {
      const ids = new Set()
      for (let i = 0; i < 12; i++) {
        await publish(room, 'm')
        ids.add(getEventMeta(await iterator.next()).id)
      }
      equal(ids.size, 12)
      assert.ok([...ids].every(id => typeof id === 'string' && id !== ''))
    })
  })

  for (const [name, data] of Object.entries({ ...plain, ...natives })) {
    suite.check(`event with ${name}`, async () => {
      const room = newRoom()
      await subscribed({ room }, async (iterator) => {
        await publish(room, 'm', { data })
        equal(await iterator.next(), { message: 'm', data })
      })
    })
  }

  suite.check('event of 1 MiB', async () => {
    const room = newRoom()
    await subscribed({ room }, async (iterator) => {
      const message = 'x'.repeat(1 << 20)
      await publish(room, message)
      assert.ok((await iterator.next()).message === message)
    })
  })

  suite.check('metadata: retry and comments are kept, an id is replaced', async () => {
    const room = newRoom()
    await subscribed({ room }, async (iterator) => {
      await publish(room, 'm', { meta: { id: 'own', retry: 4321, comments: ['one', 'zwei é'] } })
      const { id, ...rest } = getEventMeta(await iterator.next())
      equal(rest, { retry: 4321, comments: ['one', 'zwei é'] })
      assert.notEqual(id, 'own')
    })
  })

  suite.check('metadata without resume: as it was given', async () => {
    const room = newRoom()
    await subscribed({ room }, async (iterator) => {
      await server.sendPlainMessage({ room, message: 'm', meta: { id: 'own', retry: 4321, comments: ['one'] } })
      equal(getEventMeta(await iterator.next()), { id: 'own', retry: 4321, comments: ['one'] })
      await server.sendPlainMessage({ room, message: 'none' })
      equal(getEventMeta(await iterator.next()), undefined)
    }, { procedure: 'onPlainMessage', address: addresses.plain })
  })

  suite.check('rooms are apart', async () => {
    const [one, other] = [newRoom(), newRoom()]
    await subscribed({ room: one }, iterator => subscribed({ room: other }, async (otherIterator) => {
      await publish(one, 'for one')
      await publish(other, 'for the other')
      equal(await iterator.messages(1), ['for one'])
      equal(await otherIterator.messages(1), ['for the other'])
    }))
  })

  suite.check('room of the seed', async () => {
    await subscribed(undefined, async (iterator) => {
      await publish(undefined, 'hello', { tags: ['tag2'] })
      equal(await iterator.messages(1), ['hello'])
    }, { procedure: 'onSeedMessage' })
  })

  suite.check('addresses keep their own query', async () => {
    const room = newRoom()
    const address = `${addresses.chat}?id=another&a=b`
    await subscribed({ room }, async (iterator) => {
      equal((await iterator.call('toolbox.whoami')).id, iterator.id)
    }, { address })
  })

  suite.check('close is answered with 1000', async () => {
    await subscribed({ room: newRoom() }, async (iterator) => {
      // The reconnecting socket makes up a close event: look at the real one.
      let code
      iterator.socket._ws.on('close', c => code = c)
      iterator.close()
      await until(() => code !== undefined)
      equal(code, 1000)
    })
  })

  checkAudience(suite)
}

// Each check ends with an event for everybody, so that one too many is seen.
function checkAudience(suite) {
  suite.check('tags', async () => {
    const room = newRoom()
    await subscribed({ room, tags: ['a', 'b'] }, ab => subscribed({ room, tags: ['b'] }, b => subscribed({ room }, async (none) => {
      await publish(room, 'a', { tags: ['a'] })
      await publish(room, 'a or b', { tags: ['a', 'b', 'a'] })
      await publish(room, 'c', { tags: ['c'] })
      await publish(room, 'nobody', { tags: [] })
      await publish(room, 'end')
      equal(await ab.messages(3), ['a', 'a or b', 'end'])
      equal(await b.messages(2), ['a or b', 'end'])
      equal(await none.messages(1), ['end'])
    })))
  })

  suite.check('targets by role', async () => {
    const room = newRoom()
    await subscribed({ room, att: { role: 'admin' } }, admin => subscribed({ room, att: { role: 'user' } }, async (user) => {
      await publish(room, 'for admins', { role: 'admin' })
      await publish(room, 'for users', { role: 'user' })
      await publish(room, 'end')
      equal(await admin.messages(2), ['for admins', 'end'])
      equal(await user.messages(2), ['for users', 'end'])
    }))
  })

  suite.check('targets and exclude by id', async () => {
    const room = newRoom()
    await subscribed({ room }, one => subscribed({ room }, async (two) => {
      await publish(room, 'for one', { targetIds: [one.id] })
      await publish(room, 'not for one', { excludeIds: [one.id] })
      await publish(room, 'exclude wins', { targetIds: [one.id, two.id], excludeIds: [two.id] })
      await publish(room, 'end')
      equal(await one.messages(3), ['for one', 'exclude wins', 'end'])
      equal(await two.messages(2), ['not for one', 'end'])
    }))
  })

  suite.check('exclude of the sender', async () => {
    const room = newRoom()
    await subscribed({ room }, sender => subscribed({ room }, async (other) => {
      equal(await sender.call('singleClient', { message: 'from the sender' }), undefined)
      await publish(room, 'end')
      equal(await other.messages(2), ['from the sender', 'end'])
      equal(await sender.messages(1), ['end'])
    }))
  })

  suite.check('welcome from onSubscribed', async () => {
    const room = newRoom()
    await subscribed({ room }, other => subscribed({ room, att: { welcome: true } }, async (welcome) => {
      equal(await welcome.messages(1), ['welcome'])
      await publish(room, 'end')
      equal(await welcome.messages(1), ['end'])
      equal(await other.messages(1), ['end'])
    }))
  })
}
