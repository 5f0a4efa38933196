package value

import "github.com/go-orpc/durable-iterator/internal/encoded"

// Value is an encoded value of any type, to be decoded later or sent on as it is.
//
// It may stand anywhere in a Go type: decoding captures that part of the message with its
// files, encoding puts it back. A member that is missing leaves it zero. Before the types of a
// call are known, as in the interceptors of a handler, rpc.Call.Input is a Value.
//
// The zero Value is undefined. A Value is immutable and safe for concurrent use. It shares
// memory with the message that it is from.
type Value encoded.Value

// Decode decodes the value into the Go value that into points to, with the serializers of the
// handler or link that received it. It returns an error if the value is malformed or does not
// fit into's type; what fits is set all the same.
//
// Members that are missing leave their fields as they are, and so does null where nil is no
// value, as in encoding/json. Undefined makes a pointer nil and an any [Undefined]; for other
// types it is an error. Unknown members are ignored.
func (v Value) Decode(into any) error {
	e := encoded.Value(v)
	return e.Codec().DecodeValue(e, into)
}

// IsUndefined reports whether the value is undefined: absent, as the zero Value, or present.
func (v Value) IsUndefined() bool {
	e := encoded.Value(v)
	return e.Codec().IsUndefined(e)
}

// Append appends the value to dst in oRPC's envelope, {"json":…,"meta":…}, without white space
// outside of strings. A value that holds a [File] or is malformed is an error, and dst is
// returned as it was.
func (v Value) Append(dst []byte) ([]byte, error) {
	e := encoded.Value(v)
	return e.Codec().AppendValue(dst, e)
}
