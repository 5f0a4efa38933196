package rpc

import (
	"errors"
	"net/http"
	"sync"

	"github.com/go-orpc/durable-iterator/internal/encoded"
	"github.com/go-orpc/durable-iterator/internal/form"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// bodyInput is an input in the body of a request that is read when the input is first used, so
// that it is not read for a call that is refused before. It is the codec of the [value.Value] in
// Call.Input.
type bodyInput struct {
	mu    sync.Mutex // guards the fields below; held while the body is read
	read  func() (value.Value, *form.Form, error)
	value value.Value
	form  *form.Form
	err   error // of value
}

var errAnswered = errors.New("rpc: read input: the request has been answered")

// newBodyInput returns the input in the body of x, and the value for Call.Input.
func (h *Handler) newBodyInput(w http.ResponseWriter, x *exchange) (*bodyInput, value.Value) {
	b := &bodyInput{read: func() (v value.Value, f *form.Form, err error) {
		defer x.bodyRead()
		if isFormBody(x.r.Header) {
			return readBodyForm(w, x.r, h.maxBodyBytes, h.engine.serializer)
		}
		v, err = readBody(w, x.r, h.maxBodyBytes, h.engine.serializer)
		return v, nil, err
	}}
	return b, value.Value(encoded.New(encoded.Content{Codec: b}))
}

// resolve reads the body when it is first called. Its error is an *Error.
func (b *bodyInput) resolve() (value.Value, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.read != nil {
		b.value, b.form, b.err = b.read()
		b.read = nil
	}
	return b.value, b.err
}

// end prevents the body from being read later. It returns the form in the body, which the caller
// must close, or nil. b may be nil.
func (b *bodyInput) end() *form.Form {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.read != nil {
		b.read, b.err = nil, errAnswered
	}
	return b.form
}

// Resolve implements [encoded.Resolver].
func (b *bodyInput) Resolve() (encoded.Value, error) {
	v, err := b.resolve()
	return encoded.Value(v), err
}

// DecodeValue implements [encoded.Codec].
func (b *bodyInput) DecodeValue(_ encoded.Value, into any) error {
	v, err := b.resolve()
	if err != nil {
		return err
	}
	return v.Decode(into)
}

// AppendValue implements [encoded.Codec].
func (b *bodyInput) AppendValue(dst []byte, _ encoded.Value) ([]byte, error) {
	v, err := b.resolve()
	if err != nil {
		return dst, err
	}
	return v.Append(dst)
}

// IsUndefined implements [encoded.Codec]. A body that cannot be read is not undefined.
func (b *bodyInput) IsUndefined(encoded.Value) bool {
	v, err := b.resolve()
	return err == nil && v.IsUndefined()
}
