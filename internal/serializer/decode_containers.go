package serializer

import (
	"encoding"
	"encoding/base64"
	"errors"
	"fmt"
	"reflect"
	"strconv"
)

func decodeStruct(fields *structFields) decodeFunc {
	return func(d *decoder, v reflect.Value, at *mark) {
		if d.Peek() != '{' {
			if !d.Null() {
				d.mismatch("object", at)
			}
			return
		}
		d.Pos++
		for d.More('}') {
			key, ok := d.member()
			if !ok {
				continue
			}
			f := fields.find(key)
			if f == nil {
				d.Skip()
				continue
			}
			target, ok := f.write(v)
			if !ok {
				d.fail(fmt.Errorf("serializer: decode: an embedded field of an unexported type, in %s, cannot be set", v.Type()))
				d.Skip()
				continue
			}
			d.under(step{key: key}, f.plan, target)
		}
	}
}

// decodeSlice reuses the elements that the slice has, as encoding/json does.
func decodeSlice(elem *plan) decodeFunc {
	return func(d *decoder, v reflect.Value, at *mark) {
		if d.Peek() != '[' {
			if d.Null() {
				v.SetZero()
			} else {
				d.mismatch("array", at)
			}
			return
		}
		d.Pos++
		n := 0
		for ; d.More(']'); n++ {
			if n >= v.Len() {
				v.Grow(1)
				v.SetLen(n + 1)
				v.Index(n).SetZero()
			}
			d.under(step{index: n}, elem, v.Index(n))
		}
		if n == 0 {
			v.Set(reflect.MakeSlice(v.Type(), 0, 0))
		} else {
			v.SetLen(n)
		}
	}
}

// decodeArray ignores surplus elements of the message and clears those of the array, as
// encoding/json does.
func decodeArray(elem *plan) decodeFunc {
	return func(d *decoder, v reflect.Value, at *mark) {
		if d.Peek() != '[' {
			if !d.Null() {
				d.mismatch("array", at)
			}
			return
		}
		d.Pos++
		n := 0
		for ; d.More(']'); n++ {
			if n < v.Len() {
				d.under(step{index: n}, elem, v.Index(n))
			} else {
				d.Skip()
			}
		}
		for ; n < v.Len(); n++ {
			v.Index(n).SetZero()
		}
	}
}

// decodeBytes decodes base64 or, as encoding/json does, an array of numbers.
func decodeBytes(elem *plan) decodeFunc {
	array := decodeSlice(elem)
	return func(d *decoder, v reflect.Value, at *mark) {
		switch d.Peek() {
		case '"':
			decoded, err := base64.StdEncoding.AppendDecode([]byte{}, d.Str())
			if err != nil {
				d.complain("expected base64 text")
				return
			}
			v.SetBytes(decoded)
		case '[', 'n':
			array(d, v, at)
		default:
			d.mismatch("string", at)
		}
	}
}

func decodeInterface(t reflect.Type) decodeFunc {
	return func(d *decoder, v reflect.Value, at *mark) {
		if old := v.Elem(); old.IsValid() && d.s.fillable(old) && d.Peek() != 'n' {
			d.follow(d.s.plan(old.Type().Elem()), old.Elem())
			return
		}
		if t.NumMethod() == 0 {
			put(v, reflect.ValueOf(d.any(at)))
			return
		}
		if at.builtIn() == noType {
			if d.Null() {
				v.SetZero()
			} else {
				d.mismatch("null", at)
			}
			return
		}
		received := d.kind(at)
		if !put(v, reflect.ValueOf(d.any(at))) {
			d.issue("null", received)
		}
	}
}

// fillable reports whether to decode into the pointer that an interface holds, as encoding/json
// does. Pointers of special and custom types are replaced: an earlier message may have set them.
func (s *Serializer) fillable(old reflect.Value) bool {
	if old.Kind() != reflect.Pointer || old.IsNil() {
		return false
	}
	elem := old.Type().Elem()
	return !isSpecial(elem) && s.customFor(elem) == nil && s.customFor(old.Type()) == nil
}

// decodePointer decodes into what a pointer points to. Null and undefined make it nil.
func decodePointer(elem *plan) decodeFunc {
	return func(d *decoder, v reflect.Value, at *mark) {
		nothing := at == nil || at.is(typeUndefined)
		if nothing && d.Null() {
			v.SetZero()
			return
		}
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		d.follow(elem, v.Elem())
	}
}

var errEndlessTarget = errors.New("serializer: decode: the target holds itself")

// follow decodes into what a pointer in the target points to. A target may be an endless chain of
// pointers.
func (d *decoder) follow(p *plan, v reflect.Value) {
	if d.followed++; d.followed > 4*maxDepth {
		d.fail(errEndlessTarget)
		d.Skip()
	} else {
		d.value(p, v)
	}
	d.followed--
}

// mapDecoder decodes objects, sets and maps into Go maps.
type mapDecoder struct {
	key, elem   *plan
	keyFromText keyFunc // nil: objects do not fit
}

func (m mapDecoder) decode(d *decoder, v reflect.Value, at *mark) {
	switch {
	case at.is(typeSet):
		m.fromSet(d, v)
	case at.is(typeMap):
		m.fromEntries(d, v)
	case d.Null():
		v.SetZero()
	case d.Peek() == '{' && m.keyFromText != nil:
		m.fromObject(d, v)
	default:
		d.mismatch(d.s.plan(v.Type()).expects, at)
	}
}

func makeMap(v reflect.Value) {
	if v.IsNil() {
		v.Set(reflect.MakeMap(v.Type()))
	}
}

func (m mapDecoder) fromObject(d *decoder, v reflect.Value) {
	makeMap(v)
	key, elem := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
	d.Pos++
	for d.More('}') {
		text, ok := d.member()
		if !ok {
			continue
		}
		key.SetZero()
		elem.SetZero()
		d.under(step{key: text}, m.elem, elem)
		if problem := m.keyFromText(key, text); problem != "" {
			d.path = append(d.path, step{key: text})
			d.complain(problem)
			d.path = d.path[:len(d.path)-1]
			continue
		}
		v.SetMapIndex(key, elem)
	}
}

func (m mapDecoder) fromSet(d *decoder, v reflect.Value) {
	makeMap(v)
	key, elem := reflect.New(v.Type().Key()).Elem(), reflect.Zero(v.Type().Elem())
	d.Pos++
	for i := 0; d.More(']'); i++ {
		key.SetZero()
		before := len(d.issues)
		d.under(step{index: i}, m.key, key)
		if len(d.issues) == before {
			d.path = append(d.path, step{index: i})
			d.setEntry(v, key, elem)
			d.path = d.path[:len(d.path)-1]
		}
	}
}

func (m mapDecoder) fromEntries(d *decoder, v reflect.Value) {
	makeMap(v)
	target := newEntryTarget(m.key, m.elem, v.Type().Key(), v.Type().Elem())
	d.eachEntry(target, func() { d.setEntry(v, target.values[0], target.values[1]) })
}

// setEntry sets an entry of a Go map. A key of an interface type may hold what cannot be a key.
func (d *decoder) setEntry(m, key, value reflect.Value) {
	if !key.Comparable() {
		d.complain("expected a key that can be compared")
		return
	}
	m.SetMapIndex(key, value)
}

// keyFunc sets a key of a Go map to the key of an object. It returns a message if it does not fit.
type keyFunc func(key reflect.Value, text []byte) string

// keyReader returns the function that sets keys of type t, nil if objects do not fit.
func keyReader(t reflect.Type) keyFunc {
	if !isSpecial(t) && reflect.PointerTo(t).Implements(textUnmarshalerType) {
		return keyFromUnmarshaler
	}
	switch t.Kind() {
	case reflect.String:
		return func(key reflect.Value, text []byte) string {
			key.SetString(string(text))
			return ""
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return func(key reflect.Value, text []byte) string {
			n, err := strconv.ParseInt(string(text), 10, 64)
			if err != nil || key.OverflowInt(n) {
				return "expected a key that is " + t.Kind().String()
			}
			key.SetInt(n)
			return ""
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return func(key reflect.Value, text []byte) string {
			n, err := strconv.ParseUint(string(text), 10, 64)
			if err != nil || key.OverflowUint(n) {
				return "expected a key that is " + t.Kind().String()
			}
			key.SetUint(n)
			return ""
		}
	}
	return nil
}

func keyFromUnmarshaler(key reflect.Value, text []byte) string {
	if err := key.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText(text); err != nil {
		return err.Error()
	}
	return ""
}
