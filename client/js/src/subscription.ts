import type { GapReason } from './errors.js'
import type { Peer, PeerEvent, PeerResponse } from './peer.js'
import { isEventId } from './peer.js'
import type { EventQueue } from './queue.js'
import type { Serializer } from './serializer.js'

export interface SubscriptionOptions {
  channel: string
  /** Reports whether this iterator was subscribed before, so that events in between may be missing. */
  answeredBefore: boolean
  /** Called when an event was dropped because there is no room. */
  onFull: () => void
  /** Called when the server has ended the subscription. */
  onEnded: (reason: string) => void
  /** Called with the pause before the next attempt that an event has asked for, in milliseconds. */
  onRetry: (milliseconds: number) => void
}

/** A subscription. It converts the server's messages to events, gaps and moves of the cursor. */
export class Subscription<T> {
  /** Reports whether the server supports the headers that oRPC does not have. */
  extended = false
  stopped = false

  readonly #resumed: string | undefined
  readonly #lossy: boolean
  #abort = (): void => {}
  /** If an id of a server of oRPC is not above this one, the server has started to count again. */
  #floor = Number.NaN

  constructor(
    private readonly queue: EventQueue<T>,
    private readonly serializer: Serializer,
    private readonly options: SubscriptionOptions,
  ) {
    this.#resumed = queue.end
    this.#lossy = queue.lossy
    queue.full = queue.lossy = false
  }

  /** start subscribes. `answered` is called with the answer, unless the connection is lost first. */
  start(peer: Peer, heartbeat: number, answered: (response: PeerResponse) => void): void {
    const headers: Record<string, string> = {
      'x-durable-iterator': '1',
      'x-durable-iterator-heartbeat': String(Math.max(1, Math.round(heartbeat / 1_250))),
    }
    if (this.#resumed !== undefined) {
      headers['last-event-id'] = this.#resumed
    }
    this.#abort = peer.open('/subscribe', {}, headers, {
      response: (response) => {
        if (response.status === 200) {
          this.#open(response.headers)
        }
        answered(response)
      },
      event: (event, size) => this.#take(event, size),
    })
  }

  /** stop ends the subscription at the server. */
  stop(): void {
    if (!this.stopped) {
      this.stopped = true
      this.#abort()
    }
  }

  #open(headers: PeerResponse['headers']): void {
    const resume = headers['x-durable-iterator-resume']
    const position = headers['x-durable-iterator-position']
    this.extended = resume !== undefined
    if (!this.extended) {
      this.#floor = decimal(this.#resumed)
    }
    const reason = this.#missing(resume)
    if (reason) {
      this.queue.gap(reason, this.options.channel, this.#resumed)
    }
    if (isEventId(position) && this.#resumed === undefined) {
      this.queue.move(position)
    }
  }

  #missing(resume: string | undefined): GapReason | undefined {
    switch (resume) {
      case 'truncated':
        return 'truncated'
      case undefined:
      case 'complete':
        return this.#lossy ? 'no-resume' : undefined
      default:
        return this.options.answeredBefore || this.#resumed !== undefined ? 'no-resume' : undefined
    }
  }

  #take(event: PeerEvent, size: number): void {
    if (this.stopped) {
      return
    }
    const { id, retry } = event.m ?? {}
    if (retry !== undefined) {
      this.options.onRetry(retry)
    }
    const ends = event.e !== 'message' && !event.error
    const isEmpty = event.e === 'message' && event.d === undefined && this.extended // a heartbeat, or a new cursor
    if (!ends && !isEmpty) {
      this.#add(event, id, size)
      return
    }
    if (id !== undefined) {
      this.queue.move(id)
    }
    if (ends) {
      this.options.onEnded(`the server has ended the subscription: ${event.e}`)
    }
  }

  #add({ d, error }: PeerEvent, id: string | undefined, size: number): void {
    if (decimal(id) <= this.#floor) {
      this.#floor = Number.NaN
      this.queue.gap('reset', this.options.channel, '0')
    }
    let value: T
    try {
      if (error) {
        throw error
      }
      value = this.serializer.deserialize(d) as T
    }
    catch (cause) {
      this.queue.gap('unreadable', this.options.channel, id ?? this.queue.end, cause)
      return
    }
    if (!this.queue.push(value, id, size)) {
      this.options.onFull()
    }
  }
}

function decimal(id: string | undefined): number {
  return id !== undefined && /^\d+$/.test(id) ? Number(id) : Number.NaN
}
