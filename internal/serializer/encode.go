package serializer

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"math/big"
	"net/url"
	"reflect"
	"strconv"
	"time"

	"github.com/go-orpc/durable-iterator/internal/jsontext"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// append appends the envelope of v to dst, without files.
func (s *Serializer) append(dst []byte, v any) ([]byte, error) {
	e := s.encoder()
	defer s.release(e)
	if err := e.envelope(v); err != nil {
		return dst, fmt.Errorf("serializer: encode: %s%w", e.place(), err)
	}
	return append(dst, e.buf...), nil
}

const jsonPrefix = `{"json":`

// envelope encodes the whole envelope into buf.
func (e *encoder) envelope(v any) error {
	e.buf = append(e.buf, jsonPrefix...)
	if err := e.any(v); err != nil {
		return err
	}
	undefined := string(e.meta) == "[3]," && string(e.buf[len(jsonPrefix):]) == "null" // even if it is present
	if undefined || len(e.buf) == len(jsonPrefix) {
		e.buf, e.meta = append(e.buf[:0], '{'), e.meta[:0]
	}
	e.list(`,"meta":[`, e.meta)
	e.list(`,"maps":[`, e.maps)
	e.buf = append(e.buf, '}')
	return nil
}

// list appends a member with an array, unless it is empty. Each element is followed by a comma.
func (e *encoder) list(prefix string, elements []byte) {
	if len(elements) > 0 {
		e.buf = append(e.buf, prefix...)
		e.buf = append(e.buf, elements[:len(elements)-1]...)
		e.buf = append(e.buf, ']')
	}
}

// any encodes a value by its dynamic type.
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

// typedNull encodes a value of a built-in type as null.
func (e *encoder) typedNull(typ int) error {
	e.mark(typ)
	return e.null()
}

// mark adds an item for the current value to meta.
func (e *encoder) mark(typ int) {
	e.meta = strconv.AppendInt(append(e.meta, '['), int64(typ), 10)
	e.meta = e.appendPath(e.meta)
	e.meta = append(e.meta, "],"...)
}

// appendPath appends the segments of the path, each after a comma.
func (e *encoder) appendPath(dst []byte) []byte {
	for _, segment := range e.path {
		dst = append(dst, ',')
		if segment.index >= 0 {
			dst = strconv.AppendInt(dst, int64(segment.index), 10)
		} else {
			dst = jsontext.AppendString(dst, segment.key)
		}
	}
	return dst
}

// place returns a prefix for errors that names the current value.
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

// enter enters an array or object; leave leaves it.
func (e *encoder) enter() error {
	e.depth++
	return e.checkDepth(0)
}

func (e *encoder) leave() { e.depth-- }

// checkDepth returns an error if a value with more levels in it is nested too deep.
func (e *encoder) checkDepth(more int) error {
	if e.depth+more > maxDepth {
		return fmt.Errorf("nested deeper than %d, or a cycle", maxDepth)
	}
	return nil
}

// element encodes an element of an array, and the comma before it. Undefined is null with meta.
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

// member encodes a member of an object, and the comma before it unless the object's text is
// empty, which begins at first. The prefix is the encoded key and a colon. A member that is
// undefined is left out.
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

// encodeCustom encodes values of a custom type. Its mark follows those of the content.
func encodeCustom(c *value.Serializer) encodeFunc {
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
			_ = e.typedNull(typeUndefined) // the type needs a value
		}
		e.mark(c.Type)
		e.leave()
		return nil
	}
}

func isNil(v reflect.Value) bool {
	return (v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface) && v.IsNil()
}

// exported returns the value in v. It returns an error for an embedded field of an unexported
// type that is a member by its tag, whose methods reflection cannot call.
func exported(v reflect.Value) (any, error) {
	if !v.CanInterface() {
		return nil, fmt.Errorf("the methods of the unexported field of type %s cannot be called", v.Type())
	}
	return v.Interface(), nil
}

func encodeUnsupported(_ *encoder, v reflect.Value) error {
	return fmt.Errorf("values of type %s cannot be encoded", v.Type())
}

func encodeBool(e *encoder, v reflect.Value) error {
	e.buf = strconv.AppendBool(e.buf, v.Bool())
	return nil
}

func encodeInt(e *encoder, v reflect.Value) error {
	e.buf = strconv.AppendInt(e.buf, v.Int(), 10)
	return nil
}

func encodeUint(e *encoder, v reflect.Value) error {
	e.buf = strconv.AppendUint(e.buf, v.Uint(), 10)
	return nil
}

func encodeFloat(e *encoder, v reflect.Value) error {
	f := v.Float()
	switch {
	case math.IsNaN(f):
		return e.typedNull(typeNaN)
	case math.IsInf(f, 0):
		return e.null()
	}
	e.buf = jsontext.AppendFloat(e.buf, f, v.Type().Bits())
	return nil
}

func encodeString(e *encoder, v reflect.Value) error {
	e.buf = jsontext.AppendString(e.buf, v.String())
	return nil
}

// encodeNumber encodes a json.Number, unchanged.
func encodeNumber(e *encoder, v reflect.Value) error {
	text := cmp.Or(v.String(), "0")
	if !jsontext.IsNumber([]byte(text)) {
		return fmt.Errorf("%.40q is not a JSON number", text)
	}
	e.buf = append(e.buf, text...)
	return nil
}

func encodeBytes(e *encoder, v reflect.Value) error {
	if v.IsNil() {
		return e.null()
	}
	e.buf = base64.StdEncoding.AppendEncode(append(e.buf, '"'), v.Bytes())
	e.buf = append(e.buf, '"')
	return nil
}

func encodeBigInt(e *encoder, v reflect.Value) error {
	n := addressable(v).Interface().(*big.Int)
	start := len(e.buf)
	e.buf = n.Append(append(e.buf, '"'), 10)
	if !isBigInt(e.buf[start+1:]) {
		return fmt.Errorf("an integer of more than %d digits cannot be sent", maxBigIntDigits)
	}
	e.buf = append(e.buf, '"')
	e.mark(typeBigInt)
	return nil
}

func encodeTime(e *encoder, v reflect.Value) error {
	var err error
	if e.buf, err = appendDate(append(e.buf, '"'), v.Interface().(time.Time)); err != nil {
		return err
	}
	e.buf = append(e.buf, '"')
	e.mark(typeDate)
	return nil
}

func encodeInvalidDate(e *encoder, _ reflect.Value) error { return e.typedNull(typeDate) }

func encodePresentUndefined(e *encoder, _ reflect.Value) error { return e.typedNull(typeUndefined) }

func encodeUndefined(*encoder, reflect.Value) error { return nil }

func encodeURL(e *encoder, v reflect.Value) error {
	given := addressable(v).Interface().(*url.URL)
	u, err := normalizeURL(given)
	if err != nil {
		return fmt.Errorf("URL %.80q: %w", given.Redacted(), err)
	}
	e.buf = jsontext.AppendString(e.buf, u.String())
	e.mark(typeURL)
	return nil
}

func encodeRegExp(e *encoder, v reflect.Value) error {
	r, err := normalizeRegExp(v.Interface().(value.RegExp))
	if err != nil {
		return fmt.Errorf("flags %.20q: %w", v.Interface().(value.RegExp).Flags, err)
	}
	e.buf = jsontext.AppendString(e.buf, r.String())
	e.mark(typeRegExp)
	return nil
}

// file adds a file to maps, at the path of the current value followed by rest. Each segment in
// rest follows a comma.
func (e *encoder) file(f *value.File, rest []byte) error {
	if !e.form {
		return ErrFile
	}
	if err := checkFile(f); err != nil {
		return err
	}
	start := len(e.maps)
	e.maps = append(e.appendPath(e.maps), rest...)
	e.maps = append(bracketed(e.maps, start), "],"...)
	e.files = append(e.files, f)
	return nil
}

// bracketed opens an array of the elements from start on, each of which follows a comma.
func bracketed(list []byte, start int) []byte {
	if len(list) == start {
		return append(list, '[')
	}
	list[start] = '['
	return list
}

func encodeFile(e *encoder, v reflect.Value) error {
	if v.IsNil() {
		return e.null()
	}
	given, err := exported(v)
	if err != nil {
		return err
	}
	if err := e.file(given.(*value.File), nil); err != nil {
		return err
	}
	e.buf = append(e.buf, "{}"...)
	return nil
}

// checkFile returns an error for a file that cannot be sent.
func checkFile(f *value.File) error {
	for i := range len(f.Type) {
		if f.Type[i] < ' ' || f.Type[i] > '~' {
			return fmt.Errorf("the type %.80q of a file is not printable ASCII", f.Type)
		}
	}
	return nil
}

var errFileByValue = errors.New("a file must be a *File, not a File")

func encodeFileByValue(*encoder, reflect.Value) error { return errFileByValue }
