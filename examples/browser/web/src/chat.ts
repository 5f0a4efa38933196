// A chat. This file connects to the server; view.ts shows the room.

import { createORPCClient, ORPCError } from '@orpc/client'
import { RPCLink } from '@orpc/client/fetch'
import { DurableIteratorLinkPlugin } from '@go-orpc/durable-iterator-client/orpc'
import type { Event, JoinIterator, RouterClient } from './contract.js'
import { Outbox } from './outbox.js'
import { View } from './view.js'

const TYPING_EVERY = 2_000

const query = new URLSearchParams(location.search)
const roomName = query.get('room') ?? 'lobby'
const server = query.get('server') ?? location.origin // another server, to try the examples of docs/browsers.md
const view = new View(roomName, { onSay: text => say(text), onTyping: () => typing() })

const name = query.get('name') ?? await view.askName()
view.welcome(name)

const client = createORPCClient<RouterClient>(new RPCLink({
  url: `${server}/rpc`,
  plugins: [new DurableIteratorLinkPlugin({
    url: `${server}/room`,
    refreshTokenBeforeExpireInSeconds: 60,
    onState: (state, error) => view.showState(state, error),
    onGap: () => view.showGap(),
  })],
}))

let typedAt = 0 // when the others were last notified
const opening = join()
const outbox = new Outbox({
  name: `outbox of ${name} in ${roomName}`,
  send: async lines => (await opening).rpc.say({ lines }),
  isFinal: error => error instanceof ORPCError && error.status >= 400 && error.status < 500 && ![408, 425, 429].includes(error.status),
  onSent: line => view.markSent(line.key),
  onRefused: (line, error) => view.markRefused(line.key, String(error)),
})
for (const line of outbox.lines()) {
  view.showWaiting(line)
}
void outbox.flush()
void follow()

/** join opens the room. It retries until the server answers. */
async function join(): Promise<JoinIterator> {
  for (let pause = 500; ; pause = Math.min(2 * pause, 8_000)) {
    try {
      return await client.join({ room: roomName, name })
    }
    catch (error) {
      if (error instanceof ORPCError && error.status < 500) {
        view.showState('closed', error)
        throw error
      }
      view.showState('waiting', error)
    }
    await new Promise(resolve => setTimeout(resolve, pause))
  }
}

/** follow shows the events of the room until it is closed. */
async function follow(): Promise<void> {
  const room = await opening
  void followPeople(room)
  try {
    for await (const event of room) {
      hear(event)
    }
  }
  catch (error) {
    view.showState('closed', error)
  }
}

function hear({ said, typing }: Event): void {
  if (said) {
    outbox.remove(said.key)
    view.showMessage(said, said.from === name)
  }
  if (typing) {
    view.showTyping(typing)
  }
}

/** followPeople shows the list of people, which begins again with each connection. */
async function followPeople(room: JoinIterator): Promise<void> {
  while (room.state !== 'closed') {
    const present = new Set<string>()
    try {
      for await (const { name: who, here } of await room.rpc.people()) {
        here ? present.add(who) : present.delete(who)
        view.showPeople([...present].sort((a, b) => a.localeCompare(b)), name)
      }
    }
    catch {
      view.showPeople(undefined, name)
    }
    await new Promise(resolve => setTimeout(resolve, 200))
  }
}

function say(text: string): void {
  typedAt = 0 // the next key press is sent again
  view.showWaiting(outbox.add(text))
}

function typing(): void {
  if (Date.now() - typedAt > TYPING_EVERY) {
    typedAt = Date.now()
    opening.then(room => room.state === 'live' ? room.rpc.typing() : undefined).catch(() => {})
  }
}
