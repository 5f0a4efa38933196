package serializer

import (
	"cmp"
	"fmt"
	"math/big"
	"net/url"
	"reflect"
	"slices"
	"time"
)

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
	e.buf = appendString(e.buf, u.String())
	e.mark(typeURL)
	return nil
}

func encodeRegExp(e *encoder, v reflect.Value) error {
	r, err := v.Interface().(RegExp).normalized()
	if err != nil {
		return fmt.Errorf("flags %.20q: %w", v.Interface().(RegExp).Flags, err)
	}
	e.buf = appendString(e.buf, r.String())
	e.mark(typeRegExp)
	return nil
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

// encodeKeys writes a map[K]struct{} as a set.
func encodeKeys(elem *plan) encodeFunc {
	return func(e *encoder, v reflect.Value) error {
		if v.IsNil() {
			return e.null()
		}
		list := sortedEntries(v)
		return e.set(elem, len(list), func(i int) reflect.Value { return list[i].key })
	}
}

// encodeEntries writes a map whose keys are no texts as a map.
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

// sortedEntries gives the entries of a map in the natural order of the keys. Keys that have
// none, such as structs, come in any order.
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
