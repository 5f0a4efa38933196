import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { GapError } from '../src/index.js'
import { clock, open, read, server } from './harness.js'

/** Events that no client can read, with I for the id of the request, and the event id that is known all the same. */
const events: Record<string, [message: string, id?: string]> = {
  'no JSON': ['{"i":"I","t":3,"p":{"e":"message","d":{"json":oops}}}'],
  'cut JSON': ['{"i":"I","t":3,"p":{"e":"message","d":{"json":'],
  'an empty message': [''],
  'no payload': ['{"i":"I","t":3}'],
  'a payload that is no object': ['{"i":"I","t":3,"p":7}'],
  'a kind of no type': ['{"i":"I","t":3,"p":{"e":1,"d":{"json":"x"},"m":{"id":"e-2"}}}', 'e-2'],
  'no value': ['{"i":"I","t":3,"p":{"e":"message","d":null,"m":{"id":"e-2"}}}', 'e-2'],
  'a type that is no list': ['{"i":"I","t":3,"p":{"e":"message","d":{"json":"x","meta":{}},"m":{"id":"e-2"}}}', 'e-2'],
  'a path to nowhere': ['{"i":"I","t":3,"p":{"e":"message","d":{"json":"x","meta":[[1,"a"]]},"m":{"id":"e-2"}}}', 'e-2'],
  'a pause below zero': ['{"i":"I","t":3,"p":{"e":"message","d":{"json":"x"},"m":{"id":"e-2","retry":-1}}}', 'e-2'],
  'a pause that is no number': ['{"i":"I","t":3,"p":{"e":"message","d":{"json":"x"},"m":{"id":"e-2","retry":"soon"}}}', 'e-2'],
  'an id that is no string': ['{"i":"I","t":3,"p":{"e":"message","d":{"json":"x"},"m":{"id":2}}}'],
  'an id that is too long to send': [`{"i":"I","t":3,"p":{"e":"message","d":{"json":"x"},"m":{"id":"${'x'.repeat(2_000)}"}}}`],
}

describe('what cannot be read', () => {
  for (const [name, [message, id]] of Object.entries(events)) {
    test(`${name} is a gap, and the connection stays`, async () => {
      const { it } = await open()
      const send = (text: string): void => server.socket.receive(text.replace('I', server.socket.sent[0].i))
      await server.publish('a', 'e-1')
      send(message)
      await server.publish('c', 'e-3')
      assert.deepEqual(await read(it, 1), ['a'])
      await assert.rejects(it.next(), (gap: GapError) => gap.reason === 'unreadable' && gap.lastEventId === 'e-1' && gap.cause instanceof Error)
      assert.equal(it.lastEventId, id ?? 'e-1')
      assert.deepEqual(await read(it, 1), ['c'])
      assert.equal(it.state, 'live')
      assert.equal(server.sockets.length, 1)
      it.close()
    })

    test(`${name} that is sent again with each resume is one gap`, async () => {
      const { it } = await open()
      await server.publish('a', 'e-1')
      for (let n = 0; n < 5; n++) {
        server.socket.receive(message.replace('I', server.socket.sent[0].i))
        server.socket.drop()
        await clock.advance(1_000)
        await server.accept()
        assert.equal(server.socket.sent[0].p.h['last-event-id'], id ?? 'e-1')
      }
      await server.publish('c', 'e-3')
      assert.deepEqual(await read(it, 1), ['a'])
      await assert.rejects(it.next(), (gap: GapError) => gap.reason === 'unreadable')
      assert.deepEqual(await read(it, 1), ['c'])
      it.close()
    })
  }

  for (const [name, answer] of Object.entries({
    'no JSON': '{"i":"I","p":{"b":{"json":oops}}}',
    'no value': '{"i":"I","p":{"b":null}}',
    'no value, and headers of null': '{"i":"I","p":{"h":null,"b":null}}',
    'an event in place of the answer': '{"i":"I","t":3,"p":{"e":1}}',
    'a binary message': 'binary',
  })) {
    test(`${name} fails the call that it answers`, async () => {
      const { it } = await open()
      server.onCall = () => undefined
      const failed = assert.rejects(it.rpc.echo(1), (error: Error) => error.name !== 'DisconnectedError')
      await clock.advance(0)
      const bytes = Uint8Array.from([0x7B, 255, 0]).buffer
      server.socket.receive(answer === 'binary' ? bytes : answer.replace('I', server.socket.sent.at(-1).i))
      await failed
      server.onCall = input => ({ b: { json: input } })
      assert.deepEqual(await it.rpc.echo(2), { path: ['echo'], input: 2 })
      assert.equal(it.state, 'live')
      it.close()
    })
  }

  test('an answer to one call fails no other, and is no gap', async () => {
    const { it } = await open()
    server.onCall = () => undefined
    const [bad, good] = [it.rpc.echo(1), it.rpc.echo(2)]
    await clock.advance(0)
    const [first, second] = server.socket.sent.slice(-2)
    server.socket.receive(`{"i":"${first.i}","p":{"b":{"json":oops}}}`)
    server.socket.receive({ i: second.i, p: { b: { json: 'good' } } })
    await assert.rejects(bad, SyntaxError)
    assert.equal(await good, 'good')
    server.socket.receive(`{"i":"${first.i}","p":oops}`) // a second time
    await server.publish('a', 'e-1')
    assert.deepEqual(await read(it, 1), ['a'])
    it.close()
  })

  test('a refusal of the subscription without a body that can be read counts by its status', async () => {
    const { it } = await open()
    const accepts = server.socket
    accepts.drop()
    await clock.advance(500)
    server.answers = false
    await server.accept()
    const { i } = server.socket.sent[0]
    server.socket.receive({ i, p: { s: 503, b: null } })
    assert.equal(it.state, 'waiting')
    server.answers = true
    await clock.advance(1_000)
    await server.accept()
    assert.equal(it.state, 'live')
    it.close()
  })

  test('a position that is too long to send is none', async () => {
    server.position = 'x'.repeat(2_000)
    const { it } = await open()
    server.socket.drop()
    await clock.advance(500)
    await server.accept()
    assert.equal(server.socket.sent[0].p.h['last-event-id'], undefined)
    it.close()
  })

  test('the last event of a subscription moves the cursor', async () => {
    const { it } = await open()
    await server.publish('a', 'e-1')
    server.socket.receive({ i: server.socket.sent[0].i, t: 3, p: { e: 'done', m: { id: 'e-7' } } })
    await clock.advance(500)
    await server.accept()
    assert.equal(server.socket.sent[0].p.h['last-event-id'], 'e-7')
    it.close()
  })
})
