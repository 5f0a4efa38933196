// Package serializer turns Go values into the JSON text of the oRPC v1 line and back.
//
// A value becomes an envelope
//
//	{"json":J,"meta":M}
//
// J is plain JSON. M lists what J alone cannot say: items [type, segment, ...]
// where the segments lead from the root of J to a value of that type. For example
//
//	{"json":{"at":"2024-01-02T03:04:05.678Z"},"meta":[[1,"at"]]}
//
// means that the string under "at" is a date. M is left out when empty, J when the
// value is undefined, so that undefined alone is {}. The built-in types are
//
//	0 bigint     big.Int        4 url     url.URL
//	1 date       time.Time      5 regexp  RegExp
//	2 nan        math.NaN()     6 set     Set, map[K]struct{}
//	3 undefined  Undefined      7 map     Map, maps whose keys are no texts
//
// and a [Custom] adds others. Items are applied from first to last, so children
// come before the set, map or custom value that holds them.
//
// A [*File] is no part of the JSON. A value that holds files is sent as a form: its
// envelope, with {} in their places, and the files themselves in their order. There it is
//
//	{"json":J,"meta":M,"maps":[[segment, ...], ...]}
//
// where maps has the path to each file. Package form writes and reads such forms. Where only
// JSON can be sent, as in events of an iterator, a file is an error, [ErrFile].
//
// Everything else follows encoding/json: tags, embedding, Marshaler and
// Unmarshaler, case folding of member names, null. The text itself is that of
// JavaScript's JSON.stringify; only keys of Go maps come sorted.
//
// # How it works
//
// Each Go type is compiled once into a plan, one function that writes it and one that
// reads it. There is one path for all values: a payload without anything special
// costs no more than with encoding/json. Reading takes two passes. The first
// checks the syntax and slices the envelope, the second fills the target. In between, the
// paths of meta are sorted and looked up in J, all of them in one pass, which leaves a list
// of what stands at which offset.
//
// # Errors
//
// Text from a peer that is no JSON, or whose meta or maps does not fit, is a
// [*MalformedError]. Text that is well-formed but not of the Go type asked for is
// a [*TypeError], which lists what is wrong and where. Any other error is the
// caller's own mistake.
//
// # Limits
//
// Values nested deeper than 1000 levels are refused both ways, which also catches
// cycles: of pointers, maps, slices, interfaces, and of custom serializers that return what
// they were given. Integers of type bigint have at most 4300 digits, as in the original.
//
// What it takes to read a message, apart from the target, is at most four times the size of
// its text, whatever its meta is: five times if there is white space between its tokens. For a
// [Value] that is not decoded it is nothing but a copy without such white space. (Of text that
// is no UTF-8 each bad byte counts as the three bytes of U+FFFD.)
//
// # Concurrency
//
// A [Serializer] is safe for concurrent use. A [Value] is immutable.
package serializer
