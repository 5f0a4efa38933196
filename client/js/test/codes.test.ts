import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { dial, RefusedError } from '../src/index.js'
import { settle } from './clock.js'
import { clock, inTheMiddle, open, server } from './harness.js'
import { token } from './server.js'

type Outcome = 'comes back' | 'new token' | 'ends'

/** The rows of a table in docs/client.md, which is about both clients: the reason, what the client does at first, and later. */
const rows = readFileSync(new URL('../../../../docs/client.md', import.meta.url), 'utf8')
  .matchAll(/^\| (?<row>(?:status|close|source|no close)[^|:]*)[^|]*\| (?<first>[^|]*) \| (?<later>[^|]*) \|/gm)

interface Row { row: string, first: Outcome, later: Outcome, status: number, code: number, reason: string }

const table = Array.from(rows, ({ groups }) => {
  const { first, later } = groups as unknown as Row
  const row = groups!['row']!.trim()
  const number = Number(/\d+/.exec(row)?.[0] ?? { 'no close frame': 1006, 'close without code': 1005 }[row] ?? 0)
  return { row, first, later, status: number, code: number, reason: row.endsWith('Token expired') ? 'Token expired' : 'why' }
})
const ofKind = (kind: RegExp): Row[] => table.filter(({ row }) => kind.test(row))

/** A first connection that is refused by `refuse`. */
async function first(refuse: () => Promise<void>): Promise<Outcome> {
  let tokens = 0
  const made = dial<any, any>({
    url: 'ws://server/room', backoff: inTheMiddle,
    token: async () => {
      tokens++
      return token()
    },
  })
  made.catch(() => {})
  await settle()
  server.answers = false
  await refuse()
  server.answers = true
  await clock.advance(500)
  if (server.sockets.length === 1) {
    await assert.rejects(made)
    return 'ends'
  }
  await server.accept()
  ;(await made).close()
  return tokens === 1 ? 'comes back' : 'new token'
}

/** A connection that was live, is lost, and then refused by `refuse` if there is one. */
async function later(lose: () => void, refuse?: () => Promise<void>): Promise<Outcome> {
  const opened = await open()
  lose()
  await settle()
  if (refuse) {
    await clock.advance(500)
    server.answers = false
    await refuse()
    server.answers = true
    await clock.advance(1_000)
  }
  else {
    await clock.advance(500)
  }
  if (opened.it.state === 'closed') {
    await assert.rejects(opened.it.next())
    return 'ends'
  }
  await server.accept()
  assert.equal(opened.it.state, 'live')
  opened.it.close()
  return opened.tokens === 1 ? 'comes back' : 'new token'
}

/** The server accepts the newest socket, and closes it. */
async function closeWith(code: number, reason: string): Promise<void> {
  server.socket.open()
  server.socket.drop(code, reason)
  await settle()
}

/** The server accepts the newest socket, and refuses the subscription. */
async function refuseWith(status: number): Promise<void> {
  await server.accept()
  const { i } = server.socket.sent.at(-1)
  server.socket.receive({ i, p: { s: status, b: { json: { code: 'WHY', status, message: 'why', defined: false } } } })
  await settle()
}

describe('the table of docs/client.md', () => {
  test('has all rows', () => {
    assert.equal(ofKind(/^status/).length, 16)
    assert.ok(ofKind(/close/).length >= 29)
    assert.equal(ofKind(/^source/).length, 7)
  })

  for (const row of ofKind(/close/)) {
    test(`${row.row}: ${row.first} at first, later ${row.later}`, async () => {
      assert.equal(await first(() => closeWith(row.code, row.reason)), row.first)
    })

    test(`${row.row}: later ${row.later}`, async () => {
      assert.equal(await later(() => server.socket.drop(row.code, row.reason)), row.later)
    })
  }

  for (const row of ofKind(/^status [45]/)) {
    test(`${row.row} as a close frame: ${row.first} at first`, async () => {
      assert.equal(await first(() => closeWith(4_000 + row.status, 'why')), row.first)
    })

    const isFinal = [403, 410].includes(row.status) // the client was sent away
    test(`${row.row} as a close frame: later ${isFinal ? 'ends' : row.later}`, async () => {
      assert.equal(await later(() => server.socket.drop(), () => closeWith(4_000 + row.status, 'why')), isFinal ? 'ends' : row.later)
    })

    test(`${row.row} to a subscription: ${row.first} at first`, async () => {
      assert.equal(await first(() => refuseWith(row.status)), row.first)
    })

    test(`${row.row} to a subscription: later ${row.later}`, async () => {
      assert.equal(await later(() => server.socket.drop(), () => refuseWith(row.status)), row.later)
    })
  }

  for (const row of ofKind(/^source/)) {
    const error = Object.assign(new Error('why'), row.status > 0 && { status: row.status })

    test(`${row.row}: ${row.first} at first`, async () => {
      assert.equal(row.first, 'ends')
      await assert.rejects(dial({ url: 'ws://server/room', token: () => Promise.reject(error) }), /why/)
      assert.equal(server.sockets.length, 0)
    })

    test(`${row.row}: later ${row.later}`, async () => {
      let fails = false
      const opened = await open({ token: async () => {
        if (fails) {
          throw error
        }
        return token()
      } })
      fails = true
      server.socket.drop(4401, 'Invalid Token')
      await clock.advance(500)
      fails = false
      if (row.later === 'ends') {
        await assert.rejects(opened.it.next(), /why/)
        return
      }
      await clock.advance(1_000)
      await server.accept()
      assert.equal(opened.it.state, 'live')
      opened.it.close()
    })

    const isFinal = row.status >= 400 && row.status < 500 && row.status !== 429
    test(`${row.row}: ${isFinal ? 'ends' : 'comes back'} if the iterator was never live`, async () => {
      let tokens = 0
      const made = dial<any, any>({ url: 'ws://server/room', backoff: inTheMiddle, token: async () => {
        if (++tokens === 2) {
          throw error
        }
        return token()
      } })
      made.catch(() => {})
      await settle()
      server.answers = false
      await closeWith(4401, 'Invalid Token')
      server.answers = true
      await clock.advance(500)
      if (isFinal) {
        await assert.rejects(made, /why/)
        return
      }
      await clock.advance(1_000)
      await server.accept()
      ;(await made).close()
    })
  }
})

describe('refusals', () => {
  for (const [code, reason] of [[1008, 'Token expired'], [4401, 'Invalid Token']] as const) {
    test(`${code} ${reason}, again before any was accepted, ends`, async () => {
      const opened = await open()
      server.socket.drop(code, reason)
      await clock.advance(500)
      server.answers = false
      await closeWith(code, reason)
      await assert.rejects(opened.it.next(), (error: RefusedError) => error instanceof RefusedError && error.status === 401)
      assert.equal(opened.it.state, 'closed')
    })
  }

  test('have the status and the reason', async () => {
    const opened = await open()
    server.socket.drop(4403, 'sent away')
    await assert.rejects(opened.it.next(), (error: RefusedError) =>
      error instanceof RefusedError && error.status === 403 && error.message.includes('sent away'))
  })
})
