import assert from 'node:assert/strict'
import { inspect } from 'node:util'
import { describe } from './describe.mjs'
import './node18.mjs'

// How long one check may take.
const timeout = 15_000

/** A list of named checks. They run one after the other, and each prints a line. */
export class Suite {
  #checks = []

  check(name, run) {
    this.#checks.push({ name, run })
  }

  /** Runs the checks and ends the process, with status 1 if any of them failed. */
  async run() {
    let failed = 0
    const fail = (name, error) => {
      failed++
      console.log(`FAIL ${name}\n     ${explain(error).replaceAll('\n', '\n     ')}`)
    }
    process.on('unhandledRejection', error => fail('unhandled rejection', error))
    for (const { name, run } of this.#checks) {
      try {
        await within(timeout, run)
        console.log(`ok   ${name}`)
      }
      catch (error) {
        fail(name, error)
      }
    }
    console.log(`${this.#checks.length - failed} passed, ${failed} failed`)
    process.exit(failed > 0 ? 1 : 0)
  }
}

function explain(error) {
  return error instanceof assert.AssertionError ? error.stack : inspect(error)
}

/** Waits for the result of run, but no longer than ms. */
export async function within(ms, run) {
  let timer
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${ms} ms`)), ms)
  })
  try {
    return await Promise.race([run(), late])
  }
  finally {
    clearTimeout(timer)
  }
}

/** Compares values by what they mean, those that node:assert cannot look into included. */
export function equal(actual, expected, message) {
  assert.equal(describe(actual), describe(expected), message)
}

/** Returns the error that a promise must be rejected with. */
export async function failure(promise) {
  try {
    await promise
  }
  catch (error) {
    return error
  }
  throw new Error('it did not fail')
}

/** Checks the members of an error that are given. */
export async function failsWith(promise, expected) {
  const error = await failure(promise)
  const actual = Object.fromEntries(Object.keys(expected).map(key => [key, error[key]]))
  equal(actual, expected, inspect(error))
  return error
}

/** Waits until a condition holds; the time limit of the check bounds it. */
export async function until(condition) {
  while (!await condition()) {
    await pause(10)
  }
}

export function pause(ms) {
  return new Promise(resolve => setTimeout(resolve, ms))
}
