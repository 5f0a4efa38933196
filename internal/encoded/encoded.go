// Package encoded has the representation of a [value.Value], which only package value and
// package serializer use.
//
// [value.Value]: https://pkg.go.dev/github.com/go-orpc/durable-iterator/rpc/value#Value
package encoded

import "errors"

// Value is the representation of a value.Value, which converts to it and back. The zero
// Value is undefined.
type Value struct{ content Content }

// Content is the content of a Value.
type Content struct {
	// Codec encoded the value. Nil means that the value is undefined.
	Codec Codec
	// JSON is compact and valid. Nil means that the value is absent.
	JSON []byte
	// Depth is how many levels of arrays and objects are in JSON.
	Depth int
	// Beside has what JSON alone cannot express, in a form that Codec defines. Nil means
	// none.
	Beside any
}

// Codec has the functions of a serializer for a Value.
type Codec interface {
	DecodeValue(v Value, into any) error
	AppendValue(dst []byte, v Value) ([]byte, error)
	IsUndefined(v Value) bool
}

// Resolver is a Codec of values that have not been read yet.
type Resolver interface {
	Codec
	Resolve() (Value, error)
}

// Resolve returns v or, if its Codec is a [Resolver], the value that it reads.
func Resolve(v Value) (Value, error) {
	if r, ok := v.content.Codec.(Resolver); ok {
		return r.Resolve()
	}
	return v, nil
}

var zeroCodec Codec = missing{}

// SetDefault sets the Codec of zero Values. Package serializer calls it.
func SetDefault(c Codec) { zeroCodec = c }

// missing is the Codec of zero Values if package serializer is not linked.
type missing struct{}

var errMissing = errors.New("value: no serializer is linked")

func (missing) DecodeValue(Value, any) error                    { return errMissing }
func (missing) AppendValue(dst []byte, _ Value) ([]byte, error) { return dst, errMissing }
func (missing) IsUndefined(Value) bool                          { return true }

// New returns a Value with the given content.
func New(c Content) Value { return Value{content: c} }

// Content returns the content of v.
func (v Value) Content() Content { return v.content }

// Codec returns the Codec that reads v, never nil.
func (v Value) Codec() Codec {
	if v.content.Codec == nil {
		return zeroCodec
	}
	return v.content.Codec
}
