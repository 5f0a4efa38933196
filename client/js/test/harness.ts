import assert from 'node:assert/strict'
import { afterEach, beforeEach } from 'node:test'
import type { DialOptions, State } from '../src/index.js'
import { dial } from '../src/index.js'
import { Clock } from './clock.js'
import { Server, token } from './server.js'

/** The clock and the server of the test that runs. */
export let clock: Clock
export let server: Server

beforeEach(() => {
  clock = new Clock()
  server = new Server()
})

afterEach(() => {
  assert.equal(clock.timers, 0, 'a timer is left')
  clock.restore()
})

/** Attempts come at the middle of each window: after 0.5 s, 1.5 s, 2.5 s... */
export const inTheMiddle = (attempt: number): number => attempt === 1 ? 500 : 1_000

export interface Opened {
  it: Awaited<ReturnType<typeof dial<any, any>>>
  states: State[]
  errors: unknown[]
  tokens: number
}

/** open dials a server that takes the first connection. */
export async function open(options: Partial<DialOptions> = {}): Promise<Opened> {
  const opened = { states: [], errors: [], tokens: 0 } as unknown as Opened
  const made = dial<any, any>({
    url: 'ws://server/room',
    backoff: inTheMiddle,
    ...options,
    token: async (signal) => {
      opened.tokens++
      return typeof options.token === 'function' ? options.token(signal) : options.token ?? token()
    },
    onState: (state, error) => {
      opened.states.push(state)
      if (error !== undefined) {
        opened.errors.push(error)
      }
    },
  })
  await server.accept()
  opened.it = await made
  return opened
}

/** read reads so many events. */
export async function read(it: AsyncIterator<unknown>, count: number): Promise<unknown[]> {
  const values: unknown[] = []
  while (values.length < count) {
    const { value, done } = await it.next()
    assert.equal(done, false)
    values.push(value)
  }
  return values
}
