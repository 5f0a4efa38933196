package serializer

import (
	"cmp"
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/go-orpc/durable-iterator/internal/jsontext"
)

func encodeInterface(e *encoder, v reflect.Value) error {
	if v.IsNil() {
		return e.null()
	}
	v = v.Elem()
	return e.s.plan(v.Type()).encode(e, v)
}

// encodePointer encodes what a pointer points to. A pointer to a pointer or an interface counts
// as a level of nesting, because there can be a cycle of them alone.
func encodePointer(elem *plan, cyclic bool) encodeFunc {
	return func(e *encoder, v reflect.Value) error {
		if v.IsNil() {
			return e.null()
		}
		if !cyclic {
			return elem.encode(e, v.Elem())
		}
		if err := e.enter(); err != nil {
			return err
		}
		defer e.leave()
		return elem.encode(e, v.Elem())
	}
}

func encodeStruct(fields *structFields) encodeFunc {
	return func(e *encoder, v reflect.Value) error {
		if err := e.enter(); err != nil {
			return err
		}
		e.buf = append(e.buf, '{')
		first := len(e.buf)
		for i := range fields.list {
			f := &fields.list[i]
			member, ok := f.read(v)
			if !ok || f.omitted != nil && f.omitted(member) {
				continue
			}
			if err := e.member(f.plan, member, f.name, f.prefix, first); err != nil {
				return err
			}
		}
		e.buf = append(e.buf, '}')
		e.leave()
		return nil
	}
}

func encodeSlice(elem *plan) encodeFunc {
	array := encodeArray(elem)
	return func(e *encoder, v reflect.Value) error {
		if v.IsNil() {
			return e.null()
		}
		return array(e, v)
	}
}

func encodeArray(elem *plan) encodeFunc {
	return func(e *encoder, v reflect.Value) error {
		if err := e.enter(); err != nil {
			return err
		}
		e.buf = append(e.buf, '[')
		for i := range v.Len() {
			if err := e.element(elem, v.Index(i), i); err != nil {
				return err
			}
		}
		e.buf = append(e.buf, ']')
		e.leave()
		return nil
	}
}

// encodeObject encodes a Go map with string keys as an object, sorted by key.
func encodeObject(elem *plan) encodeFunc {
	type member struct {
		key   string
		value reflect.Value
	}
	return func(e *encoder, v reflect.Value) error {
		if v.IsNil() {
			return e.null()
		}
		if err := e.enter(); err != nil {
			return err
		}
		members := make([]member, 0, v.Len())
		for iter := v.MapRange(); iter.Next(); {
			key, err := keyString(iter.Key())
			if err != nil {
				return err
			}
			members = append(members, member{key, iter.Value()})
		}
		slices.SortFunc(members, func(a, b member) int { return cmp.Compare(a.key, b.key) })
		e.buf = append(e.buf, '{')
		first := len(e.buf)
		var prefix []byte
		for _, m := range members {
			prefix = append(jsontext.AppendString(prefix[:0], m.key), ':')
			if err := e.member(elem, m.value, m.key, prefix, first); err != nil {
				return err
			}
		}
		e.buf = append(e.buf, '}')
		e.leave()
		return nil
	}
}

// keyString returns the string of a key that is a string or a TextMarshaler.
func keyString(key reflect.Value) (string, error) {
	if key.Kind() == reflect.String {
		return key.String(), nil
	}
	if isNil(key) {
		return "", nil
	}
	text, err := key.Interface().(encoding.TextMarshaler).MarshalText()
	if err != nil {
		return "", fmt.Errorf("key of type %s: %w", key.Type(), err)
	}
	return string(text), nil
}

// quotedPlan returns the plan for a field with the tag option string: its JSON is sent as a string.
func quotedPlan(inner *plan) plan {
	return plan{
		expects: "string",
		takes:   types(typeNaN),
		encode: func(e *encoder, v reflect.Value) error {
			start := len(e.buf)
			if err := inner.encode(e, v); err != nil {
				return err
			}
			if text := string(e.buf[start:]); text != "null" {
				e.buf = jsontext.AppendString(e.buf[:start], text)
			}
			return nil
		},
		decode: decodeQuoted(inner),
	}
}

func encodeSetType(e *encoder, v reflect.Value) error {
	if v.IsNil() {
		return e.null()
	}
	return e.set(e.s.plan(anyType), v.Len(), v.Index)
}

func encodeMapType(e *encoder, v reflect.Value) error {
	if v.IsNil() {
		return e.null()
	}
	entry := e.s.plan(anyType)
	return e.entries(entry, entry, v.Len(), func(i int) (key, value reflect.Value) {
		return v.Index(i).Field(0), v.Index(i).Field(1)
	})
}

// encodeKeys encodes a map[K]struct{} as a set.
func encodeKeys(elem *plan) encodeFunc {
	return func(e *encoder, v reflect.Value) error {
		if v.IsNil() {
			return e.null()
		}
		list := sortedEntries(v)
		return e.set(elem, len(list), func(i int) reflect.Value { return list[i].key })
	}
}

// encodeEntries encodes a Go map whose keys are not strings as a map.
func encodeEntries(key, elem *plan) encodeFunc {
	return func(e *encoder, v reflect.Value) error {
		if v.IsNil() {
			return e.null()
		}
		list := sortedEntries(v)
		return e.entries(key, elem, len(list), func(i int) (reflect.Value, reflect.Value) {
			return list[i].key, list[i].value
		})
	}
}

func (e *encoder) set(elem *plan, n int, at func(int) reflect.Value) error {
	if err := e.enter(); err != nil {
		return err
	}
	e.buf = append(e.buf, '[')
	for i := range n {
		if err := e.element(elem, at(i), i); err != nil {
			return err
		}
	}
	e.buf = append(e.buf, ']')
	e.leave()
	e.mark(typeSet)
	return nil
}

func (e *encoder) entries(key, elem *plan, n int, at func(int) (key, value reflect.Value)) error {
	e.depth += 2
	if err := e.checkDepth(0); err != nil {
		return err
	}
	e.buf = append(e.buf, '[')
	for i := range n {
		if i > 0 {
			e.buf = append(e.buf, ',')
		}
		e.buf = append(e.buf, '[')
		e.path = append(e.path, segment{index: i})
		k, v := at(i)
		if err := e.element(key, k, 0); err != nil {
			return err
		}
		if err := e.element(elem, v, 1); err != nil {
			return err
		}
		e.path = e.path[:len(e.path)-1]
		e.buf = append(e.buf, ']')
	}
	e.buf = append(e.buf, ']')
	e.depth -= 2
	e.mark(typeMap)
	return nil
}

type mapEntry struct{ key, value reflect.Value }

// sortedEntries returns the entries of a Go map sorted by key. Keys without a natural order, such
// as structs, are not sorted.
func sortedEntries(m reflect.Value) []mapEntry {
	list := make([]mapEntry, 0, m.Len())
	for iter := m.MapRange(); iter.Next(); {
		list = append(list, mapEntry{iter.Key(), iter.Value()})
	}
	if compare := comparer(m.Type().Key()); compare != nil {
		slices.SortFunc(list, func(a, b mapEntry) int { return compare(a.key, b.key) })
	}
	return list
}

func comparer(t reflect.Type) func(a, b reflect.Value) int {
	if t == timeType {
		return func(a, b reflect.Value) int { return a.Interface().(time.Time).Compare(b.Interface().(time.Time)) }
	}
	switch t.Kind() {
	case reflect.String:
		return func(a, b reflect.Value) int { return cmp.Compare(a.String(), b.String()) }
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return func(a, b reflect.Value) int { return cmp.Compare(a.Int(), b.Int()) }
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return func(a, b reflect.Value) int { return cmp.Compare(a.Uint(), b.Uint()) }
	case reflect.Float32, reflect.Float64:
		return func(a, b reflect.Value) int { return cmp.Compare(a.Float(), b.Float()) }
	}
	return nil
}

func encodeMarshaler(e *encoder, v reflect.Value) error {
	given, err := exported(v)
	if err != nil {
		return err
	}
	text, err := given.(json.Marshaler).MarshalJSON()
	if err != nil {
		return fmt.Errorf("%s: %w", v.Type(), err)
	}
	text, depth, err := jsontext.Compact(text, maxDepth)
	if err != nil {
		return fmt.Errorf("%s: MarshalJSON returned bad JSON: %w", v.Type(), err)
	}
	e.buf = append(e.buf, text...)
	return e.checkDepth(depth)
}

func encodeText(e *encoder, v reflect.Value) error {
	given, err := exported(v)
	if err != nil {
		return err
	}
	text, err := given.(encoding.TextMarshaler).MarshalText()
	if err != nil {
		return fmt.Errorf("%s: %w", v.Type(), err)
	}
	e.buf = jsontext.AppendString(e.buf, text)
	return nil
}
