package serializer

import (
	"bytes"
	"fmt"

	"github.com/go-orpc/durable-iterator/rpc/value"
)

// Append appends the envelope of v to dst. The text has no white space outside
// of strings. A v that holds a file is refused with [ErrFile]. On an error dst is
// returned as it was.
func (s *Serializer) Append(dst []byte, v any) ([]byte, error) { return s.append(dst, v) }

// Encoded is a value as it is sent in the body of a request or response.
type Encoded struct {
	// JSON is the envelope. If there are files, it names their places in the member maps.
	JSON []byte
	// Files has the files in the order of maps. If there are none, JSON is the body; else
	// the body is a form with JSON as its part data and with the files as its parts 0, 1
	// and so on. A file that stands at several places is listed as often.
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

// Decode reads an envelope into the value that into points to. No data at all
// means undefined. A [Value] in the target keeps a reference to data, which must
// not be changed from then on.
//
// Absent members leave their fields as they are, and so does null where nil is
// no value, as in encoding/json. Undefined makes a pointer nil and an any [Undefined];
// elsewhere it is an issue. Into any, special values become [time.Time] in UTC,
// [*big.Int], [*url.URL], NaN, [RegExp], [Set], [Map], [Undefined], [InvalidDate] and [*value.File].
//
// Some targets take more than their own type: time.Time any ISO 8601 text, url.URL any
// text that is a URL, big.Int any JSON integer, integers a bigint that fits, and maps with
// text or integer keys both objects and maps.
//
// Errors are [*MalformedError], [*TypeError], or a plain one for a target that cannot
// be decoded into.
func (s *Serializer) Decode(data []byte, into any) error {
	env, err := parseEnvelope(data)
	if err != nil {
		return err
	}
	return s.decode(env, nil, into)
}

// Value reads an envelope whose type is not known yet. Its syntax is checked at once, its
// meta when the Value is decoded or sent on, so that a message that is refused before costs
// no more than that. The Value keeps a reference to data, which must not be changed from
// then on.
func (s *Serializer) Value(data []byte) (value.Value, error) {
	env, err := parseEnvelope(data)
	if err != nil {
		return value.Value{}, err
	}
	return s.captureMessage(env), nil
}

// DecodeForm reads a value with files into the value that into points to, as Decode
// does. Data is the text of the form's part data; files has its file parts by their
// number, nil for a number that is missing or not a file. Files that data does not
// place are ignored.
func (s *Serializer) DecodeForm(data []byte, files []*value.File, into any) error {
	env, err := parseForm(data, files)
	if err != nil {
		return err
	}
	return s.decode(env, nil, into)
}

// FormValue reads a value with files whose type is not known yet, as Value does. Its
// parameters are those of DecodeForm.
func (s *Serializer) FormValue(data []byte, files []*value.File) (value.Value, error) {
	env, err := parseForm(data, files)
	if err != nil {
		return value.Value{}, err
	}
	return s.captureMessage(env), nil
}
