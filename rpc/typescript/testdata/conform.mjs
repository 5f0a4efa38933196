// Compares values that a server sends with their types, which the compiler reads in kinds.ts,
// and sends them back. The argument is the server's address.
import assert from 'node:assert/strict'
import { dial, DurableIteratorLinkPlugin } from '@go-orpc/durable-iterator-client/orpc'
import { createORPCClient, ORPCError, safe } from '@orpc/client'
import { RPCLink } from '@orpc/client/fetch'
import ts from 'typescript'

const [, , address] = process.argv

// Node sends a stream only with this, which oRPC's link does not set.
globalThis.Request = class extends Request {
  constructor(input, init) {
    super(input, { duplex: 'half', ...init })
  }
}

// The types.
const program = ts.createProgram(['kinds.ts'], {
  strict: true, target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext,
  lib: ['lib.es2023.d.ts', 'lib.dom.d.ts', 'lib.dom.iterable.d.ts', 'lib.dom.asynciterable.d.ts', 'lib.esnext.disposable.d.ts'],
})
const checker = program.getTypeChecker()
const source = program.getSourceFile('kinds.ts')
const types = new Map(checker.getExportsOfModule(checker.getSymbolAtLocation(source)).map(s => [s.name, checker.getDeclaredTypeOfSymbol(s)]))

const memberOf = (type, name) => checker.getTypeOfSymbolAtLocation(checker.getPropertyOfType(type, name), source)
const outputOf = (...path) => path.reduce(memberOf, types.get('Outputs'))

class Money {
  constructor(cents) {
    this.cents = cents
  }
}
const classes = { Date, URL, RegExp, File, Money }

/** mismatch returns the places where a value is not of its type. */
function mismatch(value, type, path = '') {
  const wrong = [`${path}: ${String(value)} is no ${checker.typeToString(type)}`]
  const when = ok => ok ? [] : wrong
  if (type.isUnion()) {
    return when(type.types.some(t => mismatch(value, t, path).length === 0))
  }
  const { flags } = type
  if (flags & ts.TypeFlags.Unknown) return []
  if (flags & ts.TypeFlags.Null) return when(value === null)
  if (flags & (ts.TypeFlags.Undefined | ts.TypeFlags.Void)) return when(value === undefined)
  if (flags & (ts.TypeFlags.StringLiteral | ts.TypeFlags.NumberLiteral)) return when(value === type.value)
  if (flags & ts.TypeFlags.BooleanLiteral) return when(String(value) === type.intrinsicName)
  if (flags & ts.TypeFlags.String) return when(typeof value === 'string')
  if (flags & ts.TypeFlags.Number) return when(typeof value === 'number')
  if (flags & ts.TypeFlags.BigInt) return when(typeof value === 'bigint')
  assert.ok(flags & ts.TypeFlags.Object, `${path}: ${checker.typeToString(type)} is not expected here`)
  if (typeof value !== 'object' || value === null) return wrong

  const { name } = type.symbol ?? {}
  if (name in classes) return when(value instanceof classes[name])
  const args = checker.getTypeArguments(type)
  if (name === 'Set') {
    return value instanceof Set ? [...value].flatMap((v, i) => mismatch(v, args[0], `${path}.${i}`)) : wrong
  }
  if (name === 'Map') {
    return value instanceof Map ? [...value].flatMap(([k, v], i) => [...mismatch(k, args[0], `${path}.${i} key`), ...mismatch(v, args[1], `${path}.${i}`)]) : wrong
  }
  if (checker.isTupleType(type)) {
    return value?.length === args.length ? args.flatMap((t, i) => mismatch(value[i], t, `${path}.${i}`)) : wrong
  }
  if (checker.isArrayType(type)) {
    return Array.isArray(value) ? value.flatMap((v, i) => mismatch(v, args[0], `${path}.${i}`)) : wrong
  }
  if (Object.getPrototypeOf(value) !== Object.prototype) return wrong
  const index = checker.getIndexTypeOfType(type, ts.IndexKind.String)
  const found = checker.getPropertiesOfType(type).flatMap((property) => {
    const own = checker.getTypeOfSymbolAtLocation(property, source)
    if (!Object.hasOwn(value, property.name)) {
      return property.flags & ts.SymbolFlags.Optional ? [] : [`${path}.${property.name} is missing`]
    }
    return value[property.name] === undefined ? [`${path}.${property.name} is undefined`] : mismatch(value[property.name], own, `${path}.${property.name}`)
  })
  for (const key of Object.keys(value)) {
    if (index) {
      found.push(...mismatch(value[key], index, `${path}.${key}`))
    }
    else if (!checker.getPropertyOfType(type, key)) {
      found.push(`${path}.${key} is not in the type`)
    }
  }
  return found
}

const conforms = (value, type) => assert.deepEqual(mismatch(value, type), [])

// The values.
const money = { type: 21, condition: v => v instanceof Money, serialize: v => v.cents, deserialize: cents => new Money(cents) }
const client = room => createORPCClient(new RPCLink({
  url: `${address}/rpc`,
  customJsonSerializers: [money],
  plugins: [new DurableIteratorLinkPlugin({ url: `${address}/${room}`, customJsonSerializers: [money] })],
}))
const { random, same, users, upload, count, import: load, watch } = client('streets')

const kinds = types.get('Kinds')
for (let seed = 0; seed < 300; seed++) {
  const value = await random(seed)
  conforms(value, kinds)
  conforms(value, outputOf('random'))
  assert.equal(await same({ seed, value }), '')
}

// The comparison sees what is wrong.
const good = await random(1)
for (const [name, bad] of Object.entries({
  at: '2026-01-01', big: 5, list: [1], seen: [], state: 'ajar', level: 7, point: [1], nested: { a: 1 }, tags: null, price: 5, byState: { ajar: 1 }, other: 1,
})) {
  assert.equal(mismatch({ ...good, [name]: bad }, kinds).length > 0, true, name)
}
const { text: _, ...incomplete } = good
assert.equal(mismatch(incomplete, kinds).length, 1)

conforms(await users.find(), outputOf('users', 'find'))
const missing = await safe(users.find('gone'))
assert.deepEqual([missing.isDefined, missing.error.code, missing.error.data], [true, 'GONE', undefined])
const long = await safe(users.find('u-1'))
assert.equal(long.isDefined, true)
conforms(long.error.data, types.get('TooLong'))

const uploaded = await upload({ content: new File(['hello'], 'hello.txt') })
conforms(uploaded, outputOf('upload'))
assert.equal(await uploaded.content.text(), 'hello')

const counted = await count()
assert.deepEqual(await counted.next(), { done: false, value: 1 })
assert.deepEqual(await counted.next(), { done: true, value: undefined })
assert.equal(await load(async function* () {
  yield { street: 'four' }
  return 1
}()), 5)

const watched = await watch('u-1')
conforms((await watched.next()).value, types.get('Address'))
const numbers = await watched.rpc.admin.numbers(3)
assert.deepEqual([(await numbers.next()).value, (await numbers.next()).value], [3, 'done'])
const said = await safe(watched.say('hello'))
assert.equal(said.isDefined, false) // as the type of a method has it
assert.ok(said.error instanceof ORPCError && said.error.code === 'TOO_LONG')
conforms(said.error.data, types.get('TooLong'))
watched.close()

// Events and methods, with oRPC's serializer and with that of our client.
const plain = createORPCClient(new RPCLink({ url: `${address}/rpc` }))
for (const events of [
  await client('kinds').onKinds(),
  await dial({ url: `${address}/kinds`, token: () => plain.onKinds(), customJsonSerializers: [money] }),
]) {
  for (let seed = 0; seed < 50; seed++) {
    const { value } = await events.next()
    conforms(value, kinds)
    assert.equal(await events.same({ seed, value }), '')
  }
  events.close()
}

process.stdout.write('ok\n')
