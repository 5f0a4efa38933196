package value

import "github.com/go-orpc/durable-iterator/internal/encoded"

// Value is an encoded value of any type, which can be decoded later or sent again. It is the
// counterpart of a json.RawMessage.
//
// It may be used anywhere in a Go type: decoding stores that part of the message, with its
// files, and encoding writes it again. If a member is missing, its Value remains zero. Before
// the types of a call are known, for example in the interceptors of a handler, rpc.Call.Input
// is a Value.
//
// The zero Value is undefined. A Value is immutable and safe for concurrent use. It shares
// memory with the message that it was decoded from.
type Value encoded.Value

// Decode decodes the value into the Go value that into points to, with the serializers of the
// handler or link that received it. It returns an error if the value is malformed or does not
// match the type of into; the parts that match are set nevertheless.
//
// As in encoding/json, missing members leave their fields unchanged, null leaves values
// unchanged that cannot be nil, and unknown members are ignored. Undefined sets a pointer to
// nil and an any to [Undefined]; for other types it is an error.
func (v Value) Decode(into any) error {
	e := encoded.Value(v)
	return e.Codec().DecodeValue(e, into)
}

// IsUndefined reports whether the value is undefined, either because it is absent, like the
// zero Value, or because undefined was sent.
func (v Value) IsUndefined() bool {
	e := encoded.Value(v)
	return e.Codec().IsUndefined(e)
}

// Append appends the value to dst in oRPC's envelope, {"json":…,"meta":…}, without white space
// outside of strings. If the value contains a [File] or is malformed, it returns dst unchanged
// and an error.
func (v Value) Append(dst []byte) ([]byte, error) {
	e := encoded.Value(v)
	return e.Codec().AppendValue(dst, e)
}
