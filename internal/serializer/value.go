package serializer

import (
	"cmp"
	"reflect"
	"slices"
	"strconv"
)

// Value is an encoded value whose decoding waits until its type is known. It can
// stand at any place of a value that is encoded, where it is spliced in, or of a
// target that is decoded, where it captures that part of the message with its files. A
// member that is missing leaves it zero. The zero Value is undefined.
type Value struct {
	s      *Serializer // nil in the zero Value
	json   []byte      // compact and valid; nil: undefined
	depth  int         // how deep json is nested
	beside *beside     // nil: nothing, as for most
}

// beside is what an encoded value has beside its JSON. As long as nobody needs to know
// whether meta and maps fit the JSON, they are as they came; then there are marks instead.
type beside struct {
	meta, maps []byte // compact; nil: none
	files      []*File
	marks
}

// value makes a Value of a whole message.
func (s *Serializer) value(env envelope) Value {
	v := Value{s: s, json: env.json, depth: env.depth}
	if env.meta != nil || env.maps != nil {
		v.beside = &beside{meta: env.meta, maps: env.maps, files: env.files}
	}
	return v
}

// checked returns the value with marks in place of meta and maps.
func (v Value) checked() (Value, error) {
	if v.beside == nil || v.beside.meta == nil && v.beside.maps == nil {
		return v, nil
	}
	x := v.beside
	var l layout
	if err := v.s.layOut(&l, envelope{json: v.json, meta: x.meta, maps: x.maps, files: x.files}); err != nil {
		return Value{}, err
	}
	return v.s.capture(l.data, v.depth, l.marks), nil
}

// capture makes a Value of a part of a message and the marks in it.
func (s *Serializer) capture(json []byte, depth int, m marks) Value {
	switch {
	case len(m.list) == 0:
		return Value{s: s, json: json, depth: depth}
	case m.absent && len(m.list) == 1:
		return Value{s: s}
	}
	return Value{s: s, json: json, depth: depth, beside: &beside{marks: m}}
}

// Decode decodes the value as [Serializer.Decode] does, with the serializer that
// captured it.
func (v Value) Decode(into any) error {
	s := v.s
	if s == nil {
		s = new(Serializer)
	}
	if v.beside == nil {
		return s.decode(envelope{json: v.json}, nil, into)
	}
	x := v.beside
	return s.decode(envelope{json: v.json, meta: x.meta, maps: x.maps, files: x.files}, &x.marks, into)
}

// IsUndefined reports whether the value is undefined, be it absent or present. A value whose
// meta is malformed is not.
func (v Value) IsUndefined() bool {
	v, err := v.checked()
	if err != nil || v.beside == nil {
		return err == nil && v.json == nil
	}
	m := v.beside.marks
	return len(m.list) == 1 && m.list[0].is(typeUndefined) && m.list[0].pos == m.base
}

// Append appends the envelope of the value to dst: the text that it was captured
// from, without white space between its tokens, and without meta of unknown types. A value
// that holds a file is refused with [ErrFile] and dst returned as it was, as in
// [Serializer.Append].
func (v Value) Append(dst []byte) ([]byte, error) {
	s := v.s
	if s == nil {
		s = new(Serializer)
	}
	return s.Append(dst, v)
}

// encodeValue splices an encoded value in. Its paths then begin here.
func encodeValue(e *encoder, v reflect.Value) error {
	value, err := v.Interface().(Value).checked()
	if err != nil {
		return err
	}
	if err := e.checkDepth(value.depth); err != nil {
		return err
	}
	e.buf = append(e.buf, value.json...)
	if value.beside == nil {
		return nil
	}
	m := value.beside.marks
	for _, at := range m.inOrder() {
		switch {
		case at.typ == dead:
		case at.typ < 0:
			if err := e.file(m.files[^at.typ], m.appendPath(nil, at)); err != nil {
				return err
			}
		default:
			typ := int(at.typ)
			if at.typ >= firstCustom {
				typ = value.s.customs[at.typ-firstCustom].Type
			}
			e.meta = strconv.AppendInt(append(e.meta, '['), int64(typ), 10)
			e.meta = append(m.appendPath(e.appendPath(e.meta), at), "],"...)
		}
	}
	return nil
}

// inOrder returns the marks in the order of the message.
func (m marks) inOrder() []mark {
	list := slices.Clone(m.list)
	slices.SortFunc(list, func(a, b mark) int { return cmp.Compare(a.path, b.path) })
	return list
}

// appendPath appends the segments of a mark's path from the base on, each with a comma before.
func (m marks) appendPath(dst []byte, at mark) []byte {
	pos := at.path
	for i := 0; m.paths[pos] != 0; i++ {
		key, next := keyAt(m.paths, pos)
		switch {
		case i < m.steps:
		case m.paths[pos]&indexBit != 0:
			dst = append(append(dst, ','), key...)
		default:
			dst = appendString(append(dst, ','), key)
		}
		pos = next
	}
	return dst
}

// decodeValue captures a part of the message.
func decodeValue(d *decoder, v reflect.Value, _ *mark) {
	m := d.marks
	m.list = m.list[d.next:]
	start := d.pos
	depth := d.skip()
	end := 0
	for end < len(m.list) && int(m.list[end].pos-m.base) < d.pos {
		end++
	}
	m.list, m.steps = m.list[:end:end], m.steps+len(d.path)
	m.base += uint32(start)
	d.shared = d.shared || end > 0
	*v.Addr().Interface().(*Value) = d.s.capture(d.data[start:d.pos:d.pos], depth, m)
}
