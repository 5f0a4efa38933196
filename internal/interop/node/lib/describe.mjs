/**
 * Describes a value so that values with the same text are the same, natives included:
 * one line for each value that holds no others, with the way to it.
 */
export function describe(value) {
  return lines(value, '').join('\n')
}

function lines(value, path) {
  const inside = (open, members, close) => [
    `${path} ${open}`,
    ...members.flatMap(([name, member]) => lines(member, `${path}${name}`)),
    `${path} ${close}`,
  ]
  const numbered = list => Array.from(list, (element, i) => [`[${i}]`, element])
  if (Array.isArray(value)) {
    return inside('[', numbered(value), ']')
  }
  if (value instanceof Set) {
    return inside('Set [', numbered(value), ']')
  }
  if (value instanceof Map) {
    return inside('Map [', numbered(value), ']')
  }
  if (isPlain(value)) {
    const members = Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1)
    return inside('{', members.map(([name, member]) => [`.${name}`, member]), '}')
  }
  return [`${path} ${single(value)}`]
}

function isPlain(value) {
  return typeof value === 'object' && value !== null && [Object.prototype, null].includes(Object.getPrototypeOf(value))
}

function single(value) {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value)
    case 'number':
      return Object.is(value, -0) ? '-0' : String(value)
    case 'bigint':
      return `${value}n`
  }
  if (value instanceof Date) {
    return `Date ${value.getTime()}`
  }
  if (value instanceof RegExp || value instanceof URL || value instanceof Uint8Array) {
    return `${value.constructor.name} ${value}`
  }
  if (typeof value === 'object' && value !== null) {
    throw new TypeError(`a ${value.constructor.name} cannot be compared`)
  }
  return String(value)
}
