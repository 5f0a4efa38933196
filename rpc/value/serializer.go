package value

import (
	"fmt"
	"reflect"
)

// Serializer sends a Go type of the application: oRPC's custom JSON serializer. Client and
// server must have equal ones. [JSONSerializer] makes one.
//
// Its functions may be called concurrently, and on a server with whatever a client sends.
type Serializer struct {
	// Type is the number of the type on the wire, not negative and equal on both sides. oRPC
	// asks for numbers above 20. The number of a built-in type, 0 to 7, replaces the reading of
	// that type.
	Type int

	// GoType is the type that Encode is for: values of exactly this type or, for an interface
	// type, of the types that implement it. Nil pointers are sent as null.
	GoType reflect.Type

	// Encode returns a value that is sent in place of v. It may be of any type that can be
	// sent, of types with a Serializer too.
	Encode func(v any) (any, error)

	// Decode returns the value that was sent, given what Encode returned for it, as a target of
	// type any receives it. An error makes the message malformed.
	Decode func(content any) (any, error)
}

// JSONSerializer returns a Serializer that sends a T as what enc returns for it, under the
// number typ, and receives it as what dec returns for that. If T is an interface type, the
// Serializer is for every type that implements it.
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
