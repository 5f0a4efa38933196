/** An encoded value: JSON, and the places and types of values that JSON does not have. */
export interface Encoded {
  json?: unknown
  meta?: MetaItem[]
}

type Segment = string | number
type MetaItem = [type: number, ...path: Segment[]]

/** Sends values of an application's own class. Types from 20 up are free. The server needs the same. */
export interface CustomSerializer {
  type: number
  condition: (value: unknown) => boolean
  serialize: (value: any) => unknown
  /** Is called with a value from the network. It must throw if `serialize` does not return such values. */
  deserialize: (serialized: any) => unknown
}

/** Encodes and decodes values. */
export interface Serializer {
  serialize: (value: unknown) => Encoded
  deserialize: (encoded: unknown) => unknown
}

const BIGINT = 0
const DATE = 1
const NAN = 2
const UNDEFINED = 3
const URL_TYPE = 4
const REGEXP = 5
const SET = 6
const MAP = 7

/** newSerializer returns oRPC's serializer for values without files. */
export function newSerializer(custom: readonly CustomSerializer[] = []): Serializer {
  return {
    serialize(value) {
      const meta: MetaItem[] = []
      const json = encode(value, [], meta, custom)
      return { ...(json === undefined ? {} : { json }), ...(meta.length === 0 ? {} : { meta }) }
    },
    deserialize(encoded) {
      const { json, meta } = (encoded === undefined ? {} : encoded) as Encoded // null is refused
      return decode(json, meta ?? [], custom)
    },
  }
}

function encode(value: unknown, path: Segment[], meta: MetaItem[], custom: readonly CustomSerializer[]): unknown {
  const mark = (type: number, json: unknown): unknown => {
    meta.push([type, ...path])
    return json
  }
  const own = custom.find(c => c.condition(value))
  if (own) {
    const json = encode(own.serialize(value), path, meta, custom)
    return mark(own.type, json) // after the marks of its content
  }
  if (typeof value === 'bigint') {
    return mark(BIGINT, value.toString())
  }
  if (typeof value === 'number' && Number.isNaN(value)) {
    return mark(NAN, null)
  }
  if (value instanceof Date) {
    return mark(DATE, Number.isNaN(value.getTime()) ? null : value.toISOString())
  }
  if (value instanceof URL) {
    return mark(URL_TYPE, value.toString())
  }
  if (value instanceof RegExp) {
    return mark(REGEXP, value.toString())
  }
  if (value instanceof Set || value instanceof Map) {
    const json = encode(Array.from(value as Iterable<unknown>), path, meta, custom)
    return mark(value instanceof Set ? SET : MAP, json)
  }
  if (Array.isArray(value)) {
    return value.map((item, i) => {
      if (item === undefined) {
        meta.push([UNDEFINED, ...path, i])
        return null
      }
      return encode(item, [...path, i], meta, custom)
    })
  }
  if (isPlainObject(value)) {
    const json: Record<string, unknown> = {}
    for (const [key, item] of Object.entries(value)) {
      if (item !== undefined && typeof item !== 'function') {
        Object.defineProperty(json, key, {
          value: encode(item, [...path, key], meta, custom), enumerable: true, configurable: true, writable: true,
        })
      }
    }
    return json
  }
  return value
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) {
    return false
  }
  const prototype = Object.getPrototypeOf(value) as unknown
  return prototype === null || prototype === Object.prototype
}

function decode(json: unknown, meta: readonly MetaItem[], custom: readonly CustomSerializer[]): unknown {
  const root = { json }
  for (const [type, ...path] of meta) {
    const revive = reviver(type, custom)
    if (!revive) {
      continue
    }
    let holder: any = root
    let key: Segment = 'json'
    for (const segment of path) {
      holder = holder[key]
      key = segment
      if (typeof holder !== 'object' || holder === null || !Object.hasOwn(holder, key)) {
        throw new TypeError('meta names a value that is not there')
      }
    }
    holder[key] = revive(holder[key])
  }
  return root.json
}

function reviver(type: number, custom: readonly CustomSerializer[]): ((json: any) => unknown) | undefined {
  const own = custom.find(c => c.type === type)
  if (own) {
    return own.deserialize
  }
  switch (type) {
    case BIGINT: return json => BigInt(check(json, isDecimal))
    case DATE: return json => new Date(check(json, v => v === null || typeof v === 'string') ?? Number.NaN)
    case NAN: return json => check(json, v => v === null) ?? Number.NaN
    case UNDEFINED: return json => check(json, v => v === null) ?? undefined
    case URL_TYPE: return json => new URL(check(json, v => typeof v === 'string'))
    case REGEXP: return json => toRegExp(check(json, v => typeof v === 'string'))
    case SET: return json => new Set(check(json, Array.isArray))
    case MAP: return json => new Map(check(json, Array.isArray))
    default: return undefined
  }
}

function check(json: any, fits: (value: unknown) => boolean): any {
  if (!fits(json)) {
    throw new TypeError('a value does not fit its type')
  }
  return json
}

function isDecimal(value: unknown): boolean {
  return typeof value === 'string' && value.length <= 4_300 && /^-?(?:0|[1-9]\d*)$/.test(value)
}

function toRegExp(text: string): RegExp {
  const [, source, flags] = /^\/(.*)\/([a-z]*)$/.exec(text) ?? []
  return new RegExp(check(source, v => v !== undefined), flags)
}
