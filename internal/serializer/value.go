package serializer

import (
	"errors"
	"reflect"
	"strconv"

	"github.com/go-orpc/durable-iterator/internal/encoded"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// beside has the part of an encoded value that is not in its JSON: meta and maps as they
// were received or, after they were checked, marks.
type beside struct {
	meta, maps []byte // compact; nil: none
	files      []*value.File
	marks
}

func init() { encoded.SetDefault(new(Serializer)) } //nolint:gochecknoinits // package value knows no serializer

// capture returns a Value. Without JSON it is undefined.
func (s *Serializer) capture(json []byte, depth int, x *beside) value.Value {
	c := encoded.Content{Codec: s, JSON: json, Depth: depth}
	if x != nil {
		c.Beside = x
	}
	return value.Value(encoded.New(c))
}

// captureMessage returns a Value of a whole message.
func (s *Serializer) captureMessage(env envelope) value.Value {
	var x *beside
	if env.meta != nil || env.maps != nil {
		x = &beside{meta: env.meta, maps: env.maps, files: env.files}
	}
	return s.capture(env.json, env.depth, x)
}

// capturePart returns a Value of a part of a message, given the marks in it.
func (s *Serializer) capturePart(json []byte, depth int, m marks) value.Value {
	switch {
	case len(m.list) == 0:
		return s.capture(json, depth, nil)
	case m.absent && len(m.list) == 1:
		return s.capture(nil, 0, nil)
	}
	return s.capture(json, depth, &beside{marks: m})
}

// check returns the content of a Value, with marks in place of meta and maps.
func (s *Serializer) check(v encoded.Value) (encoded.Content, *beside, error) {
	c := v.Content()
	x, _ := c.Beside.(*beside)
	if x == nil || x.meta == nil && x.maps == nil {
		return c, x, nil
	}
	var l layout
	if err := s.layOut(&l, envelope{json: c.JSON, meta: x.meta, maps: x.maps, files: x.files}); err != nil {
		return encoded.Content{}, nil, err
	}
	return s.check(encoded.Value(s.capturePart(l.data, c.Depth, l.marks)))
}

// DecodeValue implements [encoded.Codec].
func (s *Serializer) DecodeValue(v encoded.Value, into any) error {
	c := v.Content()
	x, _ := c.Beside.(*beside)
	if x == nil {
		return s.decode(envelope{json: c.JSON}, nil, into)
	}
	return s.decode(envelope{json: c.JSON, meta: x.meta, maps: x.maps, files: x.files}, &x.marks, into)
}

// AppendValue implements [encoded.Codec].
func (s *Serializer) AppendValue(dst []byte, v encoded.Value) ([]byte, error) {
	return s.append(dst, value.Value(v))
}

// IsUndefined implements [encoded.Codec]. A value whose meta is malformed is not undefined.
func (s *Serializer) IsUndefined(v encoded.Value) bool {
	c, x, err := s.check(v)
	if err != nil || x == nil {
		return err == nil && c.JSON == nil
	}
	return len(x.list) == 1 && x.list[0].is(typeUndefined) && x.list[0].pos == x.base
}

// encodeValue inserts an encoded value. Its paths continue that of the current value.
func encodeValue(e *encoder, v reflect.Value) error {
	given, err := encoded.Resolve(encoded.Value(v.Interface().(value.Value)))
	if err != nil {
		return err
	}
	from, ok := given.Codec().(*Serializer)
	if !ok {
		from = e.s
	}
	c, x, err := from.check(given)
	if err != nil {
		return err
	}
	if err := e.checkDepth(c.Depth); err != nil {
		return err
	}
	e.buf = append(e.buf, c.JSON...)
	if x == nil {
		return nil
	}
	for _, at := range x.inOrder() {
		switch {
		case at.typ == dead:
		case at.typ < 0:
			if err := e.file(x.marks.files[^at.typ], x.appendPath(nil, at)); err != nil {
				return err
			}
		default:
			typ := int(at.typ)
			if at.typ >= firstCustom {
				typ = from.customs[at.typ-firstCustom].Type
			}
			e.meta = strconv.AppendInt(append(e.meta, '['), int64(typ), 10)
			e.meta = append(x.appendPath(e.appendPath(e.meta), at), "],"...)
		}
	}
	return nil
}

// decodeValue captures the value at the cursor.
func decodeValue(d *decoder, v reflect.Value, _ *mark) {
	m := d.marks
	m.list = m.list[d.next:]
	start := d.Pos
	depth := d.Skip()
	end := 0
	for end < len(m.list) && int(m.list[end].pos-m.base) < d.Pos {
		end++
	}
	m.list, m.steps = m.list[:end:end], m.steps+len(d.path)
	m.base += uint32(start)
	d.shared = d.shared || end > 0
	*v.Addr().Interface().(*value.Value) = d.s.capturePart(d.Data[start:d.Pos:d.Pos], depth, m)
}

// decode decodes a message or, if its marks are known, a part of one.
func (s *Serializer) decode(env envelope, known *marks, into any) error {
	target := reflect.ValueOf(into)
	if target.Kind() != reflect.Pointer || target.IsNil() {
		return errors.New("serializer: decode: the target is not a pointer, or is nil")
	}
	state, ok := s.decodings.Get().(*decoding)
	if !ok {
		state = new(decoding)
	}
	d := &state.decoder
	defer func() {
		state.layout.reset(d.shared)
		state.decoder, state.path = decoder{}, [4]step{} // keeps nothing of the message
		s.decodings.Put(state)
	}()
	if known != nil && known.list != nil {
		d.Data, d.marks, d.shared = env.json, *known, true
	} else {
		if err := s.layOut(&state.layout, env); err != nil {
			return err
		}
		d.Data, d.marks = state.layout.data, state.layout.marks
	}
	d.s, d.path, d.room = s, state.path[:0], maxIssueBytes
	d.value(s.plan(target.Type().Elem()), target.Elem())
	if d.err != nil {
		return d.err
	}
	if len(d.issues) > 0 {
		return &TypeError{Issues: d.issues}
	}
	return nil
}

// decoding has the memory that it takes to decode a message.
type decoding struct {
	decoder decoder
	layout  layout
	path    [4]step
}
