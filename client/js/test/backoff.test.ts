import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dial, spread } from '../src/index.js'
import { clock, open, server } from './harness.js'
import { token } from './server.js'

test('one attempt in each window, at the same point of all', () => {
  const pause = spread(() => 0.25)
  let at = 0
  const attempts = Array.from({ length: 5 }, (_, i) => at += pause(i + 1))
  assert.deepEqual(attempts, [250, 1_250, 2_250, 3_375, 5_062.5])
})

test('windows grow up to 30 s, and a new loss begins with the first', () => {
  const pause = spread(() => 0.5)
  let last = 0
  for (let i = 1; i <= 30; i++) {
    last = pause(i)
  }
  assert.equal(last, 30_000)
  assert.equal(pause(1), 500)
})

test('clients of one server are spread evenly over the window in which it is back', () => {
  const back = 5_000
  const slots = new Array<number>(10).fill(0)
  for (let client = 0; client < 1_000; client++) {
    const pause = spread(() => client / 1_000)
    let at = 0
    for (let i = 1; at < back; i++) {
      at += pause(i)
    }
    assert.ok(at <= back * 1.5)
    slots[Math.min(Math.floor((at - back) / 250), 9)]! += 1
  }
  assert.ok(Math.max(...slots) <= 160, String(slots))
})

for (const chance of [0.25, 0.75]) {
  test(`clients come back at a point of the first second that is chosen by chance, ${chance}`, async () => {
    const { random } = Math
    Math.random = () => chance
    const made = dial({ url: 'ws://server/room', token: token() })
    await server.accept()
    const it = await made
    server.socket.drop()
    await clock.advance(1_000 * chance - 1)
    assert.equal(server.sockets.length, 1)
    await clock.advance(1)
    assert.equal(server.sockets.length, 2)
    Math.random = random
    it.close()
  })
}

test('attempts are counted until a connection has lasted', async () => {
  const attempts: number[] = []
  const { it } = await open({ backoff: attempt => (attempts.push(attempt), 500) })
  for (const lasts of [0, 9_000, 10_000, 1_000]) {
    await clock.advance(lasts)
    server.socket.drop()
    await clock.advance(500)
    await server.accept()
  }
  assert.deepEqual(attempts, [1, 2, 1, 2])
  it.close()
})

for (const [name, retry, pause] of [['it asks for', 5_000, 5_500], ['of at most 5 min', 1e12, 300_500]] as const) {
  test(`the server is given the pause ${name}`, async () => {
    const { it } = await open()
    const { i } = server.socket.sent[0]
    server.socket.receive({ i, t: 3, p: { e: 'message', d: { json: 'a' }, m: { id: 'e-1', retry } } })
    server.socket.drop()
    await clock.advance(pause - 1)
    assert.equal(server.sockets.length, 1)
    await clock.advance(1)
    assert.equal(server.sockets.length, 2)
    it.close()
  })
}
