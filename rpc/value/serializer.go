package value

import (
	"fmt"
	"reflect"
)

// Serializer encodes and decodes a Go type of the application. It is oRPC's custom JSON
// serializer. Client and server must have matching ones. See also [JSONSerializer].
//
// Its functions may be called concurrently. On a server Decode may be called with any value,
// because clients may send anything.
type Serializer struct {
	// Type is the number of the type on the wire. It must not be negative and must be the same
	// on both sides. oRPC recommends numbers above 20. With the number of a built-in type, 0 to
	// 7, Decode is used for that type.
	Type int

	// GoType is the type that Encode is for: values of exactly this type or, for an interface
	// type, of the types that implement it. Nil pointers are sent as null.
	GoType reflect.Type

	// Encode returns the value to send for v. It may have any type that can be sent,
	// including types with a Serializer.
	Encode func(v any) (any, error)

	// Decode returns the value for content, which is a value that Encode has returned, as it
	// is received into an any. If it returns an error, the message is malformed.
	Decode func(content any) (any, error)
}

// JSONSerializer returns a Serializer for T with the number typ. enc returns the value that is
// sent for a T, and dec the T for a received value. If T is an interface type, the Serializer is
// for every type that implements it.
func JSONSerializer[T any](typ int, enc func(T) (any, error), dec func(any) (T, error)) Serializer {
	return Serializer{
		Type:   typ,
		GoType: reflect.TypeFor[T](),
		Encode: func(v any) (any, error) {
			t, ok := v.(T)
			if !ok {
				return nil, fmt.Errorf("value: serializer %d: value is a %T", typ, v)
			}
			return enc(t)
		},
		Decode: func(content any) (any, error) { return dec(content) },
	}
}
