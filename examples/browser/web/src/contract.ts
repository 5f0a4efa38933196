// The contract of contract.go, as TypeScript sees it.

import type { Client } from '@orpc/client'
import type { ClientDurableIterator } from '@go-orpc/durable-iterator-client/orpc'

type Procedure<In, Out> = Client<Record<never, never>, In, Out, Error>

/** What a page hears: one of its fields is set. */
export interface Event {
  said?: Message
  typing?: string
}

/** What somebody has said. */
export interface Message {
  key: string
  from: string
  text: string
  at: Date
}

/** A message before it is sent. */
export interface Line {
  key: string
  text: string
}

/** The methods of a room, called over its socket. */
export type Methods = {
  say: Procedure<{ lines: Line[] }, void>
  typing: Procedure<void, void>
  people: Procedure<void, AsyncIterable<string[]>>
}

export type Room = ClientDurableIterator<Event, Methods>

/** The procedures of the server, called over HTTP. */
export type API = {
  join: Procedure<{ room: string, name: string }, Room>
}
