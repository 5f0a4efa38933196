/** Values that JSON does not have, by name, alone and inside of others. */
export const natives = {
  'date': new Date('2024-01-02T03:04:05.678Z'),
  'invalid date': new Date(Number.NaN),
  'big integer': -123456789012345678901234567890n,
  'NaN': Number.NaN,
  'undefined in an array': [1, undefined, [undefined]],
  'URL': new URL('https://user@example.com:8443/a/b?c=d#e'),
  'regular expression': /^a\/b[^/]+$/giu,
  'set': new Set([1, 'two', 3n, new Set([new Date(0)])]),
  'map': new Map([['a', 1n], [{ b: 2 }, new Map([[new Date(1), Number.NaN]])]]),
  'nested natives': {
    list: [new Date(5), { deep: [5n, undefined, null] }],
    lookup: new Map([[1, new Set([/x/, new URL('http://a.example/')])]]),
  },
}

/** Values that JSON does have, but that are easy to get wrong. */
export const plain = {
  'null': null,
  'empty object': {},
  'empty array': [],
  'zero': 0,
  'fraction': 0.1,
  'largest safe integer': Number.MAX_SAFE_INTEGER,
  'large number': 1.7976931348623157e308,
  'small number': 5e-324,
  'empty text': '',
  'text in many scripts': 'Grüße, 世界, 🙂, \u{10FFFF}',
  'text with marks': '"quoted" \\ </script> & \u2028 \u2029 \u0000 \u001F \u007F',
  'lone surrogate': 'a\uD800b',
  'member names': { '__meta__': 1, 'a.b': 2, '': 3, '0': 4, 'json': { meta: [] } },
  'deep value': Array.from({ length: 100 }).reduce(inner => ({ inner: [inner] }), 'core'),
}
