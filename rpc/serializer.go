package rpc

import (
	"fmt"
	"reflect"

	"github.com/go-orpc/durable-iterator/internal/serializer"
)

// Serializer teaches the wire a Go type of the application: oRPC's
// customJsonSerializers. Both sides need the same ones. Make one with
// [JSONSerializer].
type Serializer = serializer.Custom

// JSONSerializer sends a T as what enc makes of it, any value that can be sent,
// marked with typ, a number from 8 up that both sides agree on (oRPC asks for
// more than 20). On the other side dec makes the T again, from the decoded form
// of what was sent. T may be an interface type: then it stands for every type
// that implements it.
func JSONSerializer[T any](typ int, enc func(T) (any, error), dec func(any) (T, error)) Serializer {
	return Serializer{
		Type:   typ,
		GoType: reflect.TypeFor[T](),
		Encode: func(v any) (any, error) {
			t, ok := v.(T)
			if !ok {
				return nil, fmt.Errorf("rpc: serializer %d got a %T", typ, v)
			}
			return enc(t)
		},
		Decode: func(v any) (any, error) { return dec(v) },
	}
}

// newSerializer panics on customs that contradict each other: they are wiring.
func newSerializer(customs []Serializer) *serializer.Serializer {
	s, err := serializer.New(customs...)
	if err != nil {
		panic(fmt.Sprintf("rpc: Serializers: %v", err))
	}
	return s
}
