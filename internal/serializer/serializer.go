package serializer

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"sync"
)

// maxDepth is how deep values may be nested, on encoding and on decoding.
const maxDepth = 1000

// Serializer encodes and decodes. The zero Serializer has no custom types. It must
// not be copied after first use.
type Serializer struct {
	customs   []*Custom     // in the order given: the first match encodes
	byNumber  map[int]int32 // their indexes, by type
	plans     sync.Map      // reflect.Type to *plan
	encoders  sync.Pool     // of *encoder
	decodings sync.Pool     // of *decoding
}

// New makes a serializer with custom types. Two customs of one type number are
// refused, as is one that lacks a part.
func New(customs ...Custom) (*Serializer, error) {
	s := &Serializer{byNumber: make(map[int]int32, len(customs))}
	for i, c := range customs {
		_, again := s.byNumber[c.Type]
		switch {
		case c.Type < 0:
			return nil, fmt.Errorf("serializer: new: custom type %d is negative", c.Type)
		case c.GoType == nil || c.Encode == nil || c.Decode == nil:
			return nil, fmt.Errorf("serializer: new: custom type %d lacks its Go type or a function", c.Type)
		case again:
			return nil, fmt.Errorf("serializer: new: custom type %d is given twice", c.Type)
		}
		s.customs = append(s.customs, &c)
		s.byNumber[c.Type] = int32(i)
	}
	return s, nil
}

// Append appends the envelope of v to dst. The text has no white space outside
// of strings. A v that holds a file is refused with [ErrFile]. On an error dst is
// returned as it was.
func (s *Serializer) Append(dst []byte, v any) ([]byte, error) {
	e := s.encoder()
	defer s.release(e)
	if err := e.envelope(v); err != nil {
		return dst, fmt.Errorf("serializer: encode: %s%w", e.place(), err)
	}
	return append(dst, e.buf...), nil
}

// Encoded is a value as it is sent in the body of a request or response.
type Encoded struct {
	// JSON is the envelope. If there are files, it names their places in the member maps.
	JSON []byte
	// Files has the files in the order of maps. If there are none, JSON is the body; else
	// the body is a form with JSON as its part data and with the files as its parts 0, 1
	// and so on. A file that stands at several places is listed as often.
	Files []*File
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
// [*big.Int], [*url.URL], NaN, [RegExp], [Set], [Map], [Undefined], [InvalidDate] and [*File].
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
func (s *Serializer) Value(data []byte) (Value, error) {
	env, err := parseEnvelope(data)
	if err != nil {
		return Value{}, err
	}
	return s.value(env), nil
}

// DecodeForm reads a value with files into the value that into points to, as Decode
// does. Data is the text of the form's part data; files has its file parts by their
// number, nil for a number that is missing or not a file. Files that data does not
// place are ignored.
func (s *Serializer) DecodeForm(data []byte, files []*File, into any) error {
	env, err := parseForm(data, files)
	if err != nil {
		return err
	}
	return s.decode(env, nil, into)
}

// FormValue reads a value with files whose type is not known yet, as Value does. Its
// parameters are those of DecodeForm.
func (s *Serializer) FormValue(data []byte, files []*File) (Value, error) {
	env, err := parseForm(data, files)
	if err != nil {
		return Value{}, err
	}
	return s.value(env), nil
}

// decode decodes a message or, if its marks are already known, a part of one.
func (s *Serializer) decode(env envelope, known *marks, into any) error {
	target := reflect.ValueOf(into)
	if target.Kind() != reflect.Pointer || target.IsNil() {
		return errors.New("serializer: decode: the target is no pointer, or nil")
	}
	state, ok := s.decodings.Get().(*decoding)
	if !ok {
		state = new(decoding)
	}
	d := &state.decoder
	defer func() {
		state.layout.reset(d.shared)
		state.decoder, state.path = decoder{}, [4]step{} // nothing of the message is kept
		s.decodings.Put(state)
	}()
	if known != nil && known.list != nil {
		d.data, d.marks, d.shared = env.json, *known, true
	} else {
		if err := s.layOut(&state.layout, env); err != nil {
			return err
		}
		d.data, d.marks = state.layout.data, state.layout.marks
	}
	d.s, d.path, d.room = s, state.path[:0], issueRoom
	d.value(s.plan(target.Type().Elem()), target.Elem())
	if d.err != nil {
		return d.err
	}
	if len(d.issues) > 0 {
		return &TypeError{Issues: d.issues}
	}
	return nil
}

// decoding is what it takes to decode a message.
type decoding struct {
	decoder decoder
	layout  layout
	path    [4]step
}
