// The client of durable iterators: subscriptions and calls over one socket.
import { checkCalls } from './checks/calls.mjs'
import { checkEvents } from './checks/events.mjs'
import { checkFiles, checkRoomFiles } from './checks/files.mjs'
import { checkFrames } from './checks/frames.mjs'
import { checkResume } from './checks/resume.mjs'
import { checkSubscription } from './checks/subscription.mjs'
import { checkTokens } from './checks/token.mjs'
import { features } from './lib/arguments.mjs'
import { DurableIterator, newRoom, requestToken } from './lib/durable.mjs'
import { Suite } from './lib/suite.mjs'

const suite = new Suite()

checkSubscription(suite)
checkCalls(suite)
checkTokens(suite)
checkResume(suite)
checkFrames(suite)

// The methods of the toolbox, called like procedures.
const iterator = await new DurableIterator(await requestToken({ room: newRoom() })).subscribe()
const toolbox = new Proxy({}, {
  get: (_, name) => (input, options) => iterator.call(`toolbox.${name}`, input, options),
})
const calls = { check: (name, run) => suite.check(`call: ${name}`, run) }
if (features.includes('events')) {
  checkEvents(calls, toolbox)
}
if (features.includes('files')) {
  checkFiles(calls, toolbox)
  checkRoomFiles(calls, toolbox)
}

await suite.run()
