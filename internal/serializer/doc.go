// Package serializer converts Go values to the JSON of oRPC v1 and back.
//
// A value becomes an envelope
//
//	{"json":J,"meta":M}
//
// J is plain JSON. M has what J alone cannot express: items [type, segment, ...] whose
// segments lead from the root of J to a value of that type. For example, in
//
//	{"json":{"at":"2024-01-02T03:04:05.678Z"},"meta":[[1,"at"]]}
//
// the string under "at" is a date. M is omitted when it is empty, J when the value is
// undefined, so that undefined alone is {}. The built-in types are
//
//	0 bigint     big.Int           4 url     url.URL
//	1 date       time.Time         5 regexp  value.RegExp
//	2 nan        math.NaN()        6 set     value.Set, map[K]struct{}
//	3 undefined  value.Undefined   7 map     value.Map, Go maps whose keys are not strings
//
// and each [value.Serializer] adds a custom one. Items are applied from first to last, so
// the items of children come before that of the set, map or custom value that holds them.
//
// A [value.File] is not part of the JSON. A value that holds files is sent as a form, of
// the envelope, which has {} in place of each file, and the files in the order of
//
//	{"json":J,"meta":M,"maps":[[segment, ...], ...]}
//
// where maps has their paths. Package form writes and reads such forms. Where only JSON can
// be sent, as in events of an iterator, a file is an error, [ErrFile].
//
// Everything else is as in encoding/json: tags, embedding, Marshaler and Unmarshaler, case
// folding of member names, null. The JSON text is that of JavaScript's JSON.stringify,
// except that the keys of Go maps are sorted.
//
// # How it works
//
// Each Go type is compiled once into a plan: a function that encodes its values and one that
// decodes them. There is one path for all values. A value without anything special costs no
// more than with encoding/json.
//
// Decoding takes two passes. The first checks the syntax and slices the envelope, the second
// fills the target. In between, the paths of meta and maps are sorted and looked up in J, all
// of them in one pass, which leaves a list of types by offset.
//
// # Errors
//
// A message that is not JSON, or whose meta or maps does not fit its JSON, is a
// [*MalformedError]. A message that is well-formed but does not fit the target's type is a
// [*TypeError], which lists the places. Any other error is the caller's mistake.
//
// # Limits
//
// Values that are nested deeper than 1000 levels are errors in both directions, and so are
// cycles: of pointers, maps, slices, interfaces, and of custom types that are encoded as
// themselves. Integers of type bigint have at most 4300 digits, as in the original.
//
// Apart from the target, decoding a message takes at most four times its size in memory,
// whatever its meta is: five times if there is white space between its tokens. A [value.Value]
// that is not decoded takes none, except for a copy without such white space. In a message that
// is not UTF-8 each bad byte counts as the three bytes of U+FFFD.
//
// # Concurrency
//
// A [Serializer] is safe for concurrent use.
package serializer
