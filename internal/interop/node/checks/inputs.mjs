// Event iterators as inputs, over a WebSocket.
import assert from 'node:assert/strict'
import { ORPCError, withEventMeta } from '@orpc/client'
import { equal, failsWith, pause, until } from '../lib/suite.mjs'

async function* numbers(from, to, ms) {
  for (let n = from; n <= to; n++) {
    if (ms) {
      await pause(ms)
    }
    yield withEventMeta({ n }, { id: `n-${n}` })
  }
  return { total: to }
}

const upTo = to => Array.from({ length: to }, (_, i) => i + 1)

export function checkInputs(suite, client) {
  suite.check('input: events, metadata, return value', async () => {
    equal(await client.collect(numbers(1, 3)), { numbers: [1, 2, 3], ids: ['n-1', 'n-2', 'n-3'], total: 3 })
    equal(await client.collect(numbers(1, 0)), { numbers: [], ids: [], total: 0 })
  })
  suite.check('input: many, several at once', async () => {
    const answers = await Promise.all([500, 300, 1].map(to => client.collect(numbers(1, to))))
    equal(answers.map(answer => answer.numbers), [500, 300, 1].map(upTo))
  })
  suite.check('input: slow', async () => {
    equal((await client.collect(numbers(1, 4, 50))).numbers, upTo(4))
  })
  suite.check('input and output at the same time', async () => {
    let answered
    const events = await client.twice((async function* () {
      for (let n = 1; n <= 5; n++) {
        const answer = new Promise(resolve => (answered = resolve))
        yield { n }
        equal(await answer, 2 * n)
      }
    })())
    for (let n = 1; n <= 5; n++) {
      const { value } = await events.next()
      answered(value.n)
    }
    equal(await events.next(), { done: true, value: { total: 5 } })
  })
  suite.check('input: the server stops reading', async () => {
    let stopped = false
    const answer = await client.collect((async function* () {
      try {
        yield { n: 1 }
        yield { n: -1 }
        for (;;) {
          await pause(10)
          yield { n: 2 }
        }
      }
      finally {
        stopped = true
      }
    })())
    equal(answer.numbers, [1])
    await until(() => stopped)
  })
  suite.check('input: fails', async () => {
    await failsWith(client.collect((async function* () {
      yield { n: 1 }
      throw new ORPCError('CONFLICT', { message: 'no more', data: { n: 1n } })
    })()), { code: 'CONFLICT', status: 409, message: 'no more', data: { n: 1n } })
  })
  suite.check('input: cancelled', async () => {
    const controller = new AbortController()
    let stopped = false
    const call = client.collect((async function* () {
      try {
        for (;;) {
          yield { n: 1 }
          await pause(10)
        }
      }
      finally {
        stopped = true
      }
    })(), { signal: controller.signal })
    await pause(50)
    controller.abort()
    await assert.rejects(call)
    await until(() => stopped)
    equal(await client.nested.ping(), 'pong')
  })
  suite.check('input: none where one is needed, and one where none is', async () => {
    await failsWith(client.collect({ n: 1 }), { code: 'BAD_REQUEST', message: 'Input validation failed' })
    equal((await client.nested.ping()), 'pong')
  })
}
