// Single frames, made and read by the peer protocol of the original.
import { MessageType } from '@orpc/standard-server-peer'
import { newRoom, publish } from '../lib/durable.mjs'
import { FrameSocket } from '../lib/frames.mjs'
import { equal } from '../lib/suite.mjs'

const { RESPONSE, EVENT_ITERATOR } = MessageType

export function checkFrames(suite) {
  const check = (name, run, input) => suite.check(`frames: ${name}`, async () => {
    const room = newRoom()
    const frames = await FrameSocket.open({ room, ...input })
    try {
      await run(frames, room)
    }
    finally {
      frames.close()
    }
  })

  // pong checks that nothing else was sent before the answer to this call.
  const pong = async (frames, id) => {
    await frames.call(id, 'routerClient.ping')
    equal(await frames.next(), [id, RESPONSE, { status: 200, headers: {}, body: { json: 'pong' } }])
  }

  check('subscription, to the letter', async (frames, room) => {
    await frames.request('1', '/subscribe')
    equal(await frames.raw(), '{"i":"1","p":{"h":{"content-type":"text/event-stream"}}}')
    await publish(room, 'm', { data: new Date(0), meta: { retry: 7 } })
    const event = JSON.parse(await frames.raw())
    equal(typeof event.p.m.id, 'string')
    event.p.m.id = 'any'
    equal(event, {
      i: '1',
      t: 3,
      p: {
        e: 'message',
        d: { json: { message: 'm', data: '1970-01-01T00:00:00.000Z' }, meta: [[1, 'data']] },
        m: { id: 'any', retry: 7 },
      },
    })
    await pong(frames, '2')
  })
  check('response, replay, hook, live', async (frames, room) => {
    await publish(room, 'stored')
    await frames.request('1', '/subscribe', undefined, { 'last-event-id': '0' })
    equal((await frames.next())[1], RESPONSE)
    equal((await frames.next())[2].data, { json: { message: 'stored' } })
    equal((await frames.next())[2].data, { json: { message: 'welcome' } })
    await publish(room, 'live')
    equal((await frames.next())[2].data, { json: { message: 'live' } })
  }, { att: { welcome: true } })
  check('nothing without a subscription', async (frames, room) => {
    await publish(room, 'm')
    await pong(frames, '1')
  })
  check('an event comes before the answer of the method that published it', async (frames) => {
    await frames.request('1', '/subscribe')
    await frames.next()
    for (let i = 0; i < 50; i++) {
      await frames.call(`call-${i}`, 'toolbox.publish', { message: `m${i}` })
      const [id, type, { data }] = await frames.next()
      equal([id, type, data], ['1', EVENT_ITERATOR, { json: { message: `m${i}` } }])
      equal(await frames.next(), [`call-${i}`, RESPONSE, { status: 200, headers: {}, body: {} }])
    }
  })
  check('a second subscription takes over', async (frames, room) => {
    await frames.request('1', '/subscribe')
    await frames.next()
    await frames.request('2', '/subscribe')
    // The first one ends, before or after the answer to the second; the original leaves it silent.
    const [ended, answer] = [await frames.next(), await frames.next()].sort(([a], [b]) => a < b ? -1 : 1)
    equal([ended[0], ended[1], ended[2].event], ['1', EVENT_ITERATOR, 'done'])
    equal([answer[0], answer[1]], ['2', RESPONSE])
    await publish(room, 'm')
    equal((await frames.next())[0], '2')
    await pong(frames, '3')
  })
  check('ids are kept as they come', async (frames) => {
    frames.send({ i: 7, p: { u: '/call', b: { json: { path: ['routerClient', 'ping'] } } } })
    equal(await frames.raw(), '{"i":7,"p":{"b":{"json":"pong"}}}')
    frames.send({ i: 'any té×t', p: { u: '/call', b: { json: { path: ['routerClient', 'ping'] } } } })
    equal(JSON.parse(await frames.raw()).i, 'any té×t')
  })
  check('an id in use is not used again', async (frames) => {
    await frames.call('1', 'toolbox.slow', { ms: 200, key: 'k' })
    await frames.call('1', 'routerClient.ping')
    equal((await frames.next())[2].body, { json: 'done' })
    await pong(frames, '1')
  })
  check('an aborted call is not answered', async (frames) => {
    await frames.call('1', 'toolbox.slow', { ms: 60_000, key: 'k' })
    await frames.abort('1')
    await frames.abort('unknown')
    await pong(frames, '2')
  })
  check('bytes without a second part are JSON', async (frames) => {
    frames.send(new TextEncoder().encode('{"i":"1","p":{"u":"/call","b":{"json":{"path":["routerClient","ping"]}}}}'))
    equal((await frames.next())[2].body, { json: 'pong' })
  })
  check('addresses are those of URLs', async (frames) => {
    for (const u of ['http://orpc/call', 'http://elsewhere.example/call', '/x/../call', '/call?a=b']) {
      frames.send({ i: '1', p: { u, b: { json: { path: ['routerClient', 'ping'] } } } })
      equal((await frames.next())[2].body, { json: 'pong' }, u)
    }
  })
  check('unknown procedure', async (frames) => {
    await frames.request('1', '/nothing')
    equal(await frames.raw(), '{"i":"1","p":{"s":404,"b":"No procedure matched"}}')
  })
  check('garbage does no harm', async (frames) => {
    for (const garbage of ['', 'garbage', '[]', 'null', '{}', '{"i":"1"}', '{"i":"2","t":3}', new Uint8Array([0xFF]), '\uFFFF']) {
      frames.send(garbage)
    }
    frames.send({ i: 'end', p: { u: '/call', b: { json: { path: ['routerClient', 'ping'] } } } })
    let answer
    do {
      answer = JSON.parse(await frames.raw()) // a refusal of what has an id, maybe
    } while (answer.i !== 'end')
    equal(answer.p.b, { json: 'pong' })
  })
}
