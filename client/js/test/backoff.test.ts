import assert from 'node:assert/strict'
import { test } from 'node:test'
import { spread } from '../src/index.js'

test('one attempt in each window, at the same point of all', () => {
  const pause = spread(() => 0.25)
  let at = 0
  const attempts = Array.from({ length: 5 }, (_, i) => at += pause(i + 1))
  assert.deepEqual(attempts, [250, 1_250, 2_250, 3_375, 5_062.5])
})

test('windows grow up to 30 s, and a new loss begins anew', () => {
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
