// Event iterators as inputs over HTTP. The link of @orpc/client cannot send them, so
// these are streams of server-sent events that are written by hand.
import { equal, pause } from '../lib/suite.mjs'

const event = n => `id: n-${n}\ndata: {"json":{"n":${n}}}\n\n`
const encoder = new TextEncoder()

/** Sends texts as the body of a request. They may come from an async generator. */
function post(url, texts, init = {}) {
  const iterator = texts[Symbol.asyncIterator]()
  const body = new ReadableStream({
    async pull(controller) {
      const { done, value } = await iterator.next()
      if (done) {
        controller.close()
      }
      else {
        controller.enqueue(encoder.encode(value))
      }
    },
  })
  return fetch(url, { method: 'POST', headers: { 'content-type': 'text/event-stream' }, body, duplex: 'half', ...init })
}

export function checkUploads(suite, url) {
  suite.check('streaming fetch: events, metadata, return value', async () => {
    const response = await post(`${url}/collect`, (async function* () {
      yield ': hello\n\n'
      yield event(1)
      await pause(20)
      yield event(2).slice(0, 10)
      yield `${event(2).slice(10)}event: done\ndata: {"json":{"total":2}}\n\n`
    })())
    equal(response.status, 200)
    equal(await response.json(), { json: { numbers: [1, 2], ids: ['n-1', 'n-2'], total: 2 } })
  })
  suite.check('streaming fetch: ends without a return value', async () => {
    const response = await post(`${url}/collect`, (async function* () {
      yield event(7)
    })())
    equal(await response.json(), { json: { numbers: [7], ids: ['n-7'], total: 0 } })
  })
  suite.check('streaming fetch: answers while the input goes on', async () => {
    let answered
    const response = await post(`${url}/twice`, (async function* () {
      for (let n = 1; n <= 3; n++) {
        const answer = new Promise(resolve => (answered = resolve))
        yield event(n)
        await answer
      }
    })())
    equal(response.status, 200)
    let text = ''
    let answers = 0
    for await (const chunk of response.body) {
      text += new TextDecoder().decode(chunk)
      const now = [...text.matchAll(/event: message\n/g)].length
      for (; answers < now; answers++) {
        answered()
      }
    }
    equal([...text.matchAll(/data: (.*)\n/g)].map(([, data]) => JSON.parse(data).json), [{ n: 2 }, { n: 4 }, { n: 6 }, { total: 3 }])
  })
}
