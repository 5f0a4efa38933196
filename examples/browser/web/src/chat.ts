// A chat. This file is the conversation with the server; view.ts is what one sees of it.

import { createORPCClient, ORPCError } from '@orpc/client'
import { RPCLink } from '@orpc/client/fetch'
import { DurableIteratorLinkPlugin } from '@go-orpc/durable-iterator-client/orpc'
import type { Event, JoinIterator, RouterClient } from './contract.js'
import { Outbox } from './outbox.js'
import { View } from './view.js'

const TYPING_EVERY = 2_000

const query = new URLSearchParams(location.search)
const roomName = query.get('room') ?? 'lobby'
const server = query.get('server') ?? location.origin // another one, to try what docs/browsers.md says about origins
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

let typedAt = 0 // when the others were last told
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

/** join asks for the room until the server is up. */
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

/** follow shows what is heard, for as long as the room is open. */
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

/** followPeople shows who is here. The list comes anew with each connection. */
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
  typedAt = 0 // the next letter is news
  view.showWaiting(outbox.add(text))
}

function typing(): void {
  if (Date.now() - typedAt > TYPING_EVERY) {
    typedAt = Date.now()
    opening.then(room => room.state === 'live' ? room.rpc.typing() : undefined).catch(() => {})
  }
}
