package value

// Undefined is JavaScript's undefined. Members of objects and entries of Go maps that are
// undefined are not sent. In an array, a [Set] or a [Map] it is received as undefined.
type Undefined struct{}

// InvalidDate is a JavaScript Date that has no valid time.
type InvalidDate struct{}

// RegExp is a JavaScript regular expression. It is not compiled, because its syntax differs
// from that of package regexp.
type RegExp struct {
	// Source is the pattern, with slashes escaped as in a\/b. Empty means the empty pattern.
	Source string
	// Flags has characters of "dgimsuvy", each at most once and not both u and v. They are
	// sent and received in this order.
	Flags string
}

// String returns r in JavaScript's syntax: /source/flags.
func (r RegExp) String() string { return "/" + r.Source + "/" + r.Flags }

// Set is a JavaScript Set, in the order of insertion. Nil is null. Duplicates are dropped when
// a Set is received, not when it is sent. A Go map[K]struct{} is sent as a Set too, and can be
// received from one.
type Set []any

// Map is a JavaScript Map, in the order of insertion. Nil is null. When a Map is received, the
// last of several equal keys counts. A Go map whose keys are not strings is sent as a Map too,
// and can be received from one.
type Map []Entry

// Entry is an entry of a [Map].
type Entry struct{ Key, Value any }
