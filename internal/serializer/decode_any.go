package serializer

import (
	"math"
	"math/big"
	"reflect"
	"slices"
	"strconv"
)

// plain reads JSON that is not of a built-in type itself; what it holds may be.
func (d *decoder) plain(at *mark) any {
	switch d.peek() {
	case '{':
		return d.plainObject(at)
	case '[':
		return d.plainArray(at)
	case '"':
		return string(d.str())
	case 't':
		d.pos += len("true")
		return true
	case 'f':
		d.pos += len("false")
		return false
	case 'n':
		d.pos += len("null")
		return nil
	}
	// What is out of range becomes infinite, as in JavaScript.
	f, _ := strconv.ParseFloat(string(d.number()), 64)
	return f
}

func (d *decoder) plainObject(at *mark) any {
	object := make(map[string]any)
	d.pos++
	for d.more('}') {
		if key, kid, ok := d.member(at); ok {
			object[string(key)] = d.any(kid)
		}
	}
	return object
}

func (d *decoder) plainArray(at *mark) []any {
	array := []any{}
	d.pos++
	for i := 0; d.more(']'); i++ {
		array = append(array, d.any(d.marks.element(at, i)))
	}
	return array
}

// builtIn reads a value of a built-in type. Its form has been checked.
func (d *decoder) builtIn(at *mark) any {
	switch at.typ {
	case typeBigInt:
		n, _ := new(big.Int).SetString(string(d.str()), 10)
		return n
	case typeDate:
		if d.null() {
			return InvalidDate{}
		}
		if t, ok := parseDate(string(d.str())); ok {
			return t
		}
		return InvalidDate{}
	case typeNaN:
		d.null()
		return math.NaN()
	case typeUndefined:
		d.null()
		return Undefined{}
	case typeURL:
		u, err := parseURL(string(d.str()))
		if err != nil {
			d.fail(malformed("meta type 4 (url): %v", err))
		}
		return u
	case typeRegExp:
		r, err := parseRegExp(string(d.str()))
		if err != nil {
			d.fail(malformed("meta type 5 (regexp): %v", err))
		}
		return r
	case typeSet:
		return d.set(at)
	case typeMap:
		return d.entries(at)
	case typeFile:
		return d.file(at)
	}
	return d.plain(at)
}

// set reads a set; of equal elements the first stays.
func (d *decoder) set(at *mark) Set {
	set := Set{}
	seen := make(map[any]bool)
	for _, element := range d.plainArray(at) {
		if id, ok := identity(element); ok {
			if seen[id] {
				continue
			}
			seen[id] = true
		}
		set = append(set, element)
	}
	return set
}

// entries reads a map; of equal keys the first gives the place and the last the value.
func (d *decoder) entries(at *mark) Map {
	m := Map{}
	seen := make(map[any]int)
	anything := d.s.plan(anyType)
	target := newEntryTarget(anything, anything, anyType, anyType)
	d.eachEntry(at, target, func() {
		entry := MapEntry{Key: target.values[0].Interface(), Value: target.values[1].Interface()}
		id, ok := identity(entry.Key)
		if i, again := seen[id]; ok && again {
			m[i].Value = entry.Value
			return
		}
		if ok {
			seen[id] = len(m)
		}
		m = append(m, entry)
	})
	return m
}

type (
	bigIntIdentity string
	nanIdentity    struct{}
)

// identity gives something that is equal for values that JavaScript's sets and maps hold
// to be the same. It reports false for objects, which are only the same as themselves.
func identity(v any) (any, bool) {
	switch v := v.(type) {
	case nil, bool, string, Undefined:
		return v, true
	case float64:
		if math.IsNaN(v) {
			return nanIdentity{}, true
		}
		return v, true
	case *big.Int:
		return bigIntIdentity(v.String()), true
	}
	return nil, false
}

// entryTarget is where the key and the value of an entry are decoded into.
type entryTarget struct {
	plans  [2]*plan
	values [2]reflect.Value
}

func newEntryTarget(key, value *plan, keyType, valueType reflect.Type) *entryTarget {
	return &entryTarget{
		plans:  [2]*plan{key, value},
		values: [2]reflect.Value{reflect.New(keyType).Elem(), reflect.New(valueType).Elem()},
	}
}

// eachEntry reads a map: it fills the target with each entry in turn and calls add, unless
// there was an issue. A part of an entry that is missing is undefined.
func (d *decoder) eachEntry(at *mark, target *entryTarget, add func()) {
	d.pos++
	for i := 0; d.more(']'); i++ {
		d.path = append(d.path, step{index: i})
		before := len(d.issues)
		for part, found := range d.entry(target, d.marks.element(at, i)) {
			if !found {
				d.undefined(func(nothing *mark) { d.part(target, part, nothing) })
			}
		}
		if len(d.issues) == before && d.err == nil {
			add()
		}
		d.path = d.path[:len(d.path)-1]
	}
}

// entryKeys are the members of an entry that is an object.
var entryKeys = []string{"0", "1"}

// entry reads an entry, which is an array or an object with the members 0 and 1, and
// tells which of these there were.
func (d *decoder) entry(target *entryTarget, at *mark) (found [2]bool) {
	if d.peek() == '{' {
		d.pos++
		for d.more('}') {
			key, kid, ok := d.member(at)
			if !ok {
				continue
			}
			if part := slices.Index(entryKeys, string(key)); part >= 0 {
				found[part] = true
				d.part(target, part, kid)
			} else {
				d.skip()
			}
		}
		return found
	}
	d.pos++
	for i := 0; d.more(']'); i++ {
		if i < len(found) {
			found[i] = true
			d.part(target, i, d.marks.element(at, i))
		} else {
			d.skip()
		}
	}
	return found
}

func (d *decoder) part(target *entryTarget, part int, at *mark) {
	target.values[part].SetZero()
	d.under(step{index: part}, target.plans[part], target.values[part], at)
}

// undefined lets read find undefined at the cursor.
func (d *decoder) undefined(read func(*mark)) {
	here := d.cursor
	d.cursor = cursor{data: []byte("null")}
	nothing := newMark(nil, "")
	nothing.typ = typeUndefined
	read(nothing)
	d.cursor = here
}
