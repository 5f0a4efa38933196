// Sends and receives files, over HTTP or over a WebSocket.
import { equal } from '../lib/suite.mjs'

/** What can be compared of a file. */
async function contentOf(file) {
  return { name: file.name, type: file.type, text: await file.text() }
}

const hello = { name: 'hello.txt', type: 'text/plain', text: 'hello file' }

export function checkFiles(suite, client) {
  suite.check('file: upload', async () => {
    const file = new File(['Grüße\n'], 'r é.txt', { type: 'text/plain' })
    equal(await client.upload({ file }), { name: 'r é.txt', type: 'text/plain', size: 8, text: 'Grüße\n' })
  })
  suite.check('file: upload of nothing', async () => {
    const file = new File([], 'empty.bin', { type: 'application/octet-stream' })
    equal(await client.upload({ file }), { name: 'empty.bin', type: 'application/octet-stream', size: 0, text: '' })
  })
  suite.check('file: upload without the file', async () => {
    const { code, message } = await client.upload({}).catch(error => error)
    equal({ code, message }, { code: 'BAD_REQUEST', message: 'Input validation failed' })
  })
  suite.check('file: upload of 1 MiB', async () => {
    const text = 'x'.repeat(1 << 20)
    const answer = await client.upload({ file: new File([text], 'large.txt', { type: 'text/plain' }) })
    equal({ size: answer.size, whole: answer.text === text }, { size: 1 << 20, whole: true })
  })
  suite.check('file: download', async () => {
    const { file } = await client.download()
    equal(await contentOf(file), hello)
  })
  suite.check('file: back and forth', async () => {
    const blob = new Blob([new Uint8Array([0, 255, 254, 10, 13])], { type: 'image/png' })
    const input = { when: new Date(7), list: [blob, { deep: new File(['b'], 'b.txt', { type: 'text/plain' }) }] }
    const output = await client.echo(input)
    equal(output.when, input.when)
    equal(new Uint8Array(await output.list[0].arrayBuffer()), new Uint8Array([0, 255, 254, 10, 13]))
    equal(output.list[0].type, 'image/png')
    equal(await contentOf(output.list[1].deep), { name: 'b.txt', type: 'text/plain', text: 'b' })
  })
}

/** What only methods of a room have, and file names that Node 18 cannot read. */
export function checkRoomFiles(suite, client) {
  suite.check('file: upload with quotes in its name', async () => {
    const { name } = await client.upload({ file: new File(['q'], 'r "q" é.txt', { type: 'text/plain' }) })
    equal(name, 'r "q" é.txt')
  })
  suite.check('file: alone', async () => {
    const { name, ...rest } = await contentOf(await client.rawFile())
    equal(rest, { type: 'application/octet-stream', text: 'raw' })
    equal(name.replaceAll('%22', '"'), 'r "q" é.bin') // Node 18 leaves the escapes as they are
  })
  suite.check('file: beside natives', async () => {
    const { file, when } = await client.download()
    equal(await contentOf(file), hello)
    equal(when, new Date('2024-01-02T03:04:05.678Z'))
  })
}
