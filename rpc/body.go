package rpc

import (
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"

	"github.com/go-orpc/durable-iterator/internal/encoded"
	"github.com/go-orpc/durable-iterator/internal/form"
	"github.com/go-orpc/durable-iterator/internal/serializer"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// readBody reads the input of a request from its body. Its errors are *Error.
func (x *exchange) readBody() (value.Value, error) {
	if !isJSONBody(x.r.Header) {
		return readForeignBody(x.r)
	}
	data, err := x.readAll()
	if err != nil {
		return value.Value{}, err
	}
	return readInput(data, x.engine.serializer)
}

// readAll reads the body of a request. Its errors are *Error.
func (x *exchange) readAll() ([]byte, error) {
	if x.r.ContentLength > x.maxBodyBytes {
		return nil, &Error{Code: CodePayloadTooLarge}
	}
	data, err := io.ReadAll(http.MaxBytesReader(x.w, x.r.Body, x.maxBodyBytes))
	if err != nil {
		return nil, bodyError(err)
	}
	return data, nil
}

// readForeignBody reads a body that is not an encoded value. It returns an error unless the body
// is empty.
func readForeignBody(r *http.Request) (value.Value, error) {
	switch _, err := io.ReadFull(r.Body, make([]byte, 1)); err {
	case io.EOF:
		return value.Value{}, nil
	case nil:
		return value.Value{}, &Error{Code: CodeUnsupportedMediaType}
	default:
		return value.Value{}, bodyError(err)
	}
}

// bodyError returns the error to send for a body that could not be read.
func bodyError(err error) *Error {
	_, tooLarge := errors.AsType[*http.MaxBytesError](err)
	switch {
	case tooLarge:
		return &Error{Code: CodePayloadTooLarge, cause: err}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &Error{Code: CodeTimeout, cause: err}
	}
	return malformedRequest(err)
}

// readQuery reads the input of a GET request from the last parameter "data" of its query.
func readQuery(u *url.URL, s *serializer.Serializer) (value.Value, error) {
	text, err := queryParameter(u, "data")
	if err != nil {
		return value.Value{}, err
	}
	return readInput([]byte(text), s)
}

// queryParameter returns the last value of a parameter, or "" if there is none. Other parameters
// may be malformed. Its errors are *Error.
func queryParameter(u *url.URL, parameter string) (string, error) {
	last := ""
	for pair := range strings.SplitSeq(u.RawQuery, "&") {
		encoded, value, _ := strings.Cut(pair, "=")
		if name, err := url.QueryUnescape(encoded); err == nil && name == parameter {
			last = value
		}
	}
	text, err := url.QueryUnescape(last)
	if err != nil {
		return "", malformedRequest(err)
	}
	return text, nil
}

func readInput(data []byte, s *serializer.Serializer) (value.Value, error) {
	v, err := s.Value(data)
	if err != nil {
		return value.Value{}, malformedRequest(err)
	}
	return v, nil
}

// formError returns the error to send for a form that could not be read.
func formError(err error) error {
	_, onDisk := errors.AsType[*fs.PathError](err)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, form.ErrTooLarge):
		return &Error{Code: CodePayloadTooLarge, cause: err}
	case onDisk:
		return internalError(err)
	}
	return bodyError(err)
}

// readForm reads the input of a request from its body, a form. Its errors are *Error.
func (x *exchange) readForm() (value.Value, *form.Form, error) {
	if x.r.ContentLength > x.maxBodyBytes {
		return value.Value{}, nil, &Error{Code: CodePayloadTooLarge}
	}
	body := http.MaxBytesReader(x.w, x.r.Body, x.maxBodyBytes)
	options := form.Options{MaxBytes: x.maxBodyBytes}
	v, f, err := readForm(body, x.r.Header.Get(headerContentType), options, x.engine.serializer)
	if err == nil {
		_, _ = io.Copy(io.Discard, body) // bytes after the form are ignored
	}
	return v, f, formError(err)
}

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

// input returns the input in the body of a request, and the value for Call.Input.
func (x *exchange) input() (*bodyInput, value.Value) {
	b := &bodyInput{read: func() (v value.Value, f *form.Form, err error) {
		defer x.bodyRead()
		if isFormBody(x.r.Header) {
			return x.readForm()
		}
		v, err = x.readBody()
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
