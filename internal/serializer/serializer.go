package serializer

import (
	"bytes"
	"fmt"

	"github.com/go-orpc/durable-iterator/rpc/value"
)

// Append appends the envelope of v to dst, without white space outside of strings. If v holds a
// file, the error wraps [ErrFile]. On an error dst is returned as it was.
func (s *Serializer) Append(dst []byte, v any) ([]byte, error) { return s.append(dst, v) }

// Encoded is a value as it is sent in the body of a request or a response.
type Encoded struct {
	// JSON is the envelope. If there are files, its member maps has their paths.
	JSON []byte
	// Files has the files in the order of maps. Without any, JSON is the body. With files the
	// body is a form: JSON is its part data, the files are its parts 0, 1 and so on. A file
	// that is in the value several times is listed as often.
	Files []*value.File
}

// Encode encodes v, which may hold files.
func (s *Serializer) Encode(v any) (Encoded, error) {
	e := s.encoder()
	defer s.release(e)
	e.form = true
	if err := e.envelope(v); err != nil {
		return Encoded{}, fmt.Errorf("serializer: encode: %s%w", e.place(), err)
	}
	return Encoded{JSON: bytes.Clone(e.buf), Files: e.files}, nil
}

// Decode decodes an envelope into the value that into points to. Empty data is undefined. A
// [value.Value] in the target keeps a reference to data, which must not be changed afterwards.
//
// Members that are missing leave their fields as they are, and so does null where nil is not a value,
// as in encoding/json. Undefined makes a pointer nil and an any [value.Undefined]; for other
// targets it is an issue. Into any, special values are decoded as the types of package value,
// [time.Time] in UTC, [*big.Int], [*url.URL] and NaN.
//
// Some targets take more than their own type: time.Time takes a string in ISO 8601, url.URL a
// string that is a URL, big.Int a JSON integer, integers a bigint that fits, and Go maps with
// string or integer keys take both objects and maps.
//
// The error is a [*MalformedError], a [*TypeError], or another one if the target cannot be
// decoded into.
func (s *Serializer) Decode(data []byte, into any) error {
	env, err := parseEnvelope(data)
	if err != nil {
		return err
	}
	return s.decode(env, nil, into)
}

// Value returns the value in an envelope, to be decoded later. Its syntax is checked at once,
// its meta when it is decoded or sent on, so that a message that is refused before costs no more
// than that. The Value keeps a reference to data, which must not be changed afterwards.
func (s *Serializer) Value(data []byte) (value.Value, error) {
	env, err := parseEnvelope(data)
	if err != nil {
		return value.Value{}, err
	}
	return s.captureMessage(env), nil
}

// FormValue returns a value with files, to be decoded later, as Value does. Data is the form's
// part data. Files has the form's file parts by their number, nil for a number that is missing or
// not a file. Files that are not in maps are ignored.
func (s *Serializer) FormValue(data []byte, files []*value.File) (value.Value, error) {
	env, err := parseForm(data, files)
	if err != nil {
		return value.Value{}, err
	}
	return s.captureMessage(env), nil
}
