import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { StandardRPCJsonSerializer } from '@orpc/client/standard'
import { newSerializer } from '../src/serializer.js'

// Recorded with oRPC's own packages; the tests of the Go serializer read the same file.
const vectors = JSON.parse(readFileSync(new URL('../../../../internal/serializer/testdata/serializer.json', import.meta.url), 'utf8')) as {
  roundtrip: { name: string, wire: string }[]
  decode: { name: string, wire: string }[]
  decodeErrors: { name: string, wire: string }[]
}

const theirs = new StandardRPCJsonSerializer()
const ours = newSerializer()

/** look shows a value, with the types of what is in it. */
const look = (value: unknown): string => JSON.stringify(theirs.serialize(value).slice(0, 2))

function decodeTheirs(wire: string): unknown {
  const { json, meta } = JSON.parse(wire)
  return theirs.deserialize(json, meta ?? [])
}

test('recorded values decode as with oRPC, and encode to the same bytes', () => {
  for (const { name, wire } of vectors.roundtrip) {
    const value = decodeTheirs(wire)
    assert.equal(look(ours.deserialize(JSON.parse(wire))), look(value), name)
    const [json, meta] = theirs.serialize(value)
    assert.equal(JSON.stringify(ours.serialize(value)), JSON.stringify({ json, meta: meta.length > 0 ? meta : undefined }), name)
  }
  assert.ok(vectors.roundtrip.length > 50)
})

test('what else oRPC takes is taken', () => {
  for (const { name, wire } of vectors.decode) {
    if (wire.includes('/(/')) {
      continue // oRPC compiles a pattern when it is used, and fails then
    }
    let want: unknown
    try {
      want = decodeTheirs(wire)
    }
    catch {
      continue // a body that is no object: those never reach a serializer here
    }
    assert.equal(look(ours.deserialize(JSON.parse(wire))), look(want), name)
  }
})

test('what oRPC refuses is refused', () => {
  for (const { name, wire } of vectors.decodeErrors) {
    assert.throws(() => ours.deserialize(JSON.parse(wire)), name)
  }
})

test('custom types', () => {
  class Point {
    constructor(readonly x: number, readonly at: Date) {}
  }
  const serializer = newSerializer([{
    type: 20,
    condition: value => value instanceof Point,
    serialize: (p: Point) => ({ x: p.x, at: p.at }),
    deserialize: (p: { x: number, at: Date }) => new Point(p.x, p.at),
  }])
  const point = new Point(1, new Date(0))
  const encoded = serializer.serialize([point])
  assert.deepEqual(encoded.meta, [[1, 0, 'at'], [20, 0]])
  assert.deepEqual(serializer.deserialize(JSON.parse(JSON.stringify(encoded))), [point])
})
