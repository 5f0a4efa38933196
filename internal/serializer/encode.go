package serializer

import (
	"fmt"
	"reflect"
	"strconv"
)

// encoder writes one envelope.
type encoder struct {
	s     *Serializer
	buf   []byte    // the envelope, so far without meta
	meta  []byte    // the items of meta, each with a comma behind
	path  []segment // leads to the value at hand
	depth int

	form  bool    // files can be sent
	maps  []byte  // the paths to the files, each with a comma behind
	files []*File // in the order of maps
}

// segment is a step of a path: a key or, if index is not negative, an index.
type segment struct {
	key   string
	index int
}

// keepLimit is the largest buffer that waits in the pool for the next message.
const keepLimit = 64 << 10

func (s *Serializer) encoder() *encoder {
	if e, ok := s.encoders.Get().(*encoder); ok {
		return e
	}
	return &encoder{s: s, buf: make([]byte, 0, 512), path: make([]segment, 0, 16)}
}

func (s *Serializer) release(e *encoder) {
	if cap(e.buf) > keepLimit || cap(e.meta) > keepLimit || cap(e.maps) > keepLimit {
		return
	}
	e.buf, e.meta, e.path, e.depth = e.buf[:0], e.meta[:0], e.path[:0], 0
	e.form, e.maps, e.files = false, e.maps[:0], nil
	s.encoders.Put(e)
}

const jsonPrefix = `{"json":`

// envelope writes the whole envelope into buf.
func (e *encoder) envelope(v any) error {
	e.buf = append(e.buf, jsonPrefix...)
	if err := e.any(v); err != nil {
		return err
	}
	undefined := string(e.meta) == "[3]," && string(e.buf[len(jsonPrefix):]) == "null" // also if it is present
	if undefined || len(e.buf) == len(jsonPrefix) {
		e.buf, e.meta = append(e.buf[:0], '{'), e.meta[:0]
	}
	e.list(`,"meta":[`, e.meta)
	e.list(`,"maps":[`, e.maps)
	e.buf = append(e.buf, '}')
	return nil
}

// list writes a list behind its prefix, if it has elements, each with a comma behind.
func (e *encoder) list(prefix string, elements []byte) {
	if len(elements) > 0 {
		e.buf = append(e.buf, prefix...)
		e.buf = append(e.buf, elements[:len(elements)-1]...)
		e.buf = append(e.buf, ']')
	}
}

// any writes a value of a type that is not known before.
func (e *encoder) any(v any) error {
	if v == nil {
		return e.null()
	}
	rv := reflect.ValueOf(v)
	return e.s.plan(rv.Type()).encode(e, rv)
}

func (e *encoder) null() error {
	e.buf = append(e.buf, "null"...)
	return nil
}

// typedNull writes a null that stands for something else.
func (e *encoder) typedNull(typ int) error {
	e.mark(typ)
	return e.null()
}

// mark adds an item for the value at hand to meta.
func (e *encoder) mark(typ int) {
	e.meta = strconv.AppendInt(append(e.meta, '['), int64(typ), 10)
	e.meta = e.appendPath(e.meta)
	e.meta = append(e.meta, "],"...)
}

// appendPath appends the segments of the path, each with a comma before.
func (e *encoder) appendPath(dst []byte) []byte {
	for _, segment := range e.path {
		dst = append(dst, ',')
		if segment.index >= 0 {
			dst = strconv.AppendInt(dst, int64(segment.index), 10)
		} else {
			dst = appendString(dst, segment.key)
		}
	}
	return dst
}

// place says where an error came up, for its text.
func (e *encoder) place() string {
	if len(e.path) == 0 {
		return ""
	}
	path := make([]any, 0, 8)
	for _, segment := range e.path[:min(len(e.path), 8)] {
		if segment.index >= 0 {
			path = append(path, segment.index)
		} else {
			path = append(path, segment.key)
		}
	}
	if len(e.path) > len(path) {
		return dotted(path) + "...: "
	}
	return dotted(path) + ": "
}

// enter goes one level deeper; leave goes back.
func (e *encoder) enter() error {
	e.depth++
	return e.checkDepth(0)
}

func (e *encoder) leave() { e.depth-- }

// checkDepth makes sure that something more levels deep can be written here.
func (e *encoder) checkDepth(more int) error {
	if e.depth+more > maxDepth {
		return fmt.Errorf("nested deeper than %d, or a cycle", maxDepth)
	}
	return nil
}

// element writes an element of an array with its comma; there undefined is null with meta.
func (e *encoder) element(p *plan, v reflect.Value, index int) error {
	if index > 0 {
		e.buf = append(e.buf, ',')
	}
	if p.quiet {
		return p.encode(e, v)
	}
	start := len(e.buf)
	e.path = append(e.path, segment{index: index})
	if err := p.encode(e, v); err != nil {
		return err
	}
	if len(e.buf) == start {
		_ = e.typedNull(typeUndefined)
	}
	e.path = e.path[:len(e.path)-1]
	return nil
}

// member writes a member of an object that begins at first, with its comma. The
// prefix is the key as JSON and a colon. If the value is undefined, there is no member.
func (e *encoder) member(p *plan, v reflect.Value, key string, prefix []byte, first int) error {
	before := len(e.buf)
	if before > first {
		e.buf = append(e.buf, ',')
	}
	e.buf = append(e.buf, prefix...)
	if p.quiet {
		return p.encode(e, v)
	}
	start := len(e.buf)
	e.path = append(e.path, segment{key: key, index: -1})
	if err := p.encode(e, v); err != nil {
		return err
	}
	e.path = e.path[:len(e.path)-1]
	if len(e.buf) == start {
		e.buf = e.buf[:before]
	}
	return nil
}

// encodeCustom lets a custom serializer replace the value. Its type follows the meta of the content.
func encodeCustom(c *Custom) encodeFunc {
	return func(e *encoder, v reflect.Value) error {
		if isNil(v) {
			return e.null()
		}
		given, err := exported(v)
		if err != nil {
			return err
		}
		content, err := c.Encode(given)
		if err != nil {
			return fmt.Errorf("custom type %d: %w", c.Type, err)
		}
		if err := e.enter(); err != nil {
			return err
		}
		start := len(e.buf)
		if err := e.any(content); err != nil {
			return err
		}
		if len(e.buf) == start {
			_ = e.typedNull(typeUndefined) // without a value there would be no place for the type
		}
		e.mark(c.Type)
		e.leave()
		return nil
	}
}

func isNil(v reflect.Value) bool {
	return (v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface) && v.IsNil()
}

// exported gives v as an interface. That is denied for an embedded field of an unexported
// type that a tag makes a member.
func exported(v reflect.Value) (any, error) {
	if !v.CanInterface() {
		return nil, fmt.Errorf("the methods of the unexported field of type %s cannot be called", v.Type())
	}
	return v.Interface(), nil
}
