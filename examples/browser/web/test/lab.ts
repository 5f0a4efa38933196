// The tests in Chromium drive this page: the client as it is, and notes of what it does.

import type { DurableIterator, IteratorOptions, State } from '@go-orpc/durable-iterator-client'
import { dial, GapError, RefusedError } from '@go-orpc/durable-iterator-client'
import type { Event, Line } from '../src/contract.js'

interface LabOptions extends Partial<IteratorOptions> {
  room?: string
  name?: string
  lastEventId?: string
  server?: string
}

/** Somebody who listens to a room and remembers everything. */
class Listener {
  state: State | 'new' = 'new'
  /** The states so far, with the time of each in milliseconds. */
  readonly states: { state: State, at: number, error: string }[] = []
  readonly texts: string[] = []
  readonly gaps: string[] = []
  /** The status of the error that has ended it. */
  status = 0
  error = ''
  /** How many tokens were fetched. */
  tokens = 0
  /** The tokens that were fetched, in the forms that they could be seen in: the signature, and how it is encoded for a header. */
  readonly secrets: string[] = []
  room: DurableIterator<Event, any> | undefined

  constructor(options: LabOptions) {
    void this.#listen(options)
  }

  /** lives returns how often it was live. */
  get lives(): number {
    return this.states.filter(({ state }) => state === 'live').length
  }

  say(text: string): Promise<void> {
    const lines: Line[] = [{ key: String(Math.random()), text }]
    return this.room!.rpc.say({ lines })
  }

  async #listen({ room = 'lobby', name = 'lab', server = location.origin, ...options }: LabOptions): Promise<void> {
    try {
      this.room = await dial<Event>({
        url: `${server}/room`,
        token: async (signal) => {
          this.tokens++
          const response = await fetch(`${server}/token?room=${room}&name=${name}`, { signal })
          if (!response.ok) {
            throw Object.assign(new Error(await response.text()), { status: response.status })
          }
          const token = await response.text()
          this.secrets.push(token.slice(token.lastIndexOf('.') + 1), btoa(token).slice(0, 40))
          return token
        },
        lastEventId: '0',
        onGap: gap => this.gaps.push(gap.reason),
        onState: (state, error) => {
          this.state = state
          this.states.push({ state, at: performance.now(), error: error === undefined ? '' : String(error) })
        },
        ...options,
      })
      for await (const { said } of this.room) {
        if (said) {
          this.texts.push(said.text)
        }
      }
    }
    catch (error) {
      this.error = String(error)
      this.status = error instanceof RefusedError ? error.status : 0
    }
  }
}

Object.assign(window, {
  dial, GapError, RefusedError,
  listen: (options: LabOptions = {}) => new Listener(options),
})
