package serializer

import (
	"math"
	"math/big"
	"reflect"
	"slices"
	"strconv"
)

// plain reads JSON that is not of a built-in type itself; what it holds may be.
func (d *decoder) plain() any {
	switch d.peek() {
	case '{':
		return d.plainObject()
	case '[':
		return d.plainArray()
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

func (d *decoder) plainObject() any {
	object := make(map[string]any)
	d.pos++
	for d.more('}') {
		if key, ok := d.member(); ok {
			object[string(key)] = d.any(d.mark())
		}
	}
	return object
}

func (d *decoder) plainArray() []any {
	array := []any{}
	d.pos++
	for d.more(']') {
		array = append(array, d.any(d.mark()))
	}
	return array
}

// builtIn reads a value of a built-in type. Its form has been checked.
func (d *decoder) builtIn(at *mark) any {
	switch at.builtIn() {
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
			d.fail(&MalformedError{Reason: "meta type 4 (url)", Err: err})
			return nil
		}
		return u
	case typeRegExp:
		r, err := parseRegExp(string(d.str()))
		if err != nil {
			d.fail(&MalformedError{Reason: "meta type 5 (regexp)", Err: err})
			return nil
		}
		return r
	case typeSet:
		return d.set()
	case typeMap:
		return d.entries()
	case typeFile:
		return d.file(at)
	}
	return d.plain()
}

// set reads a set; of equal elements the first stays.
func (d *decoder) set() Set {
	set := Set{}
	seen := make(map[any]bool)
	for _, element := range d.plainArray() {
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
func (d *decoder) entries() Map {
	m := Map{}
	seen := make(map[any]int)
	anything := d.s.plan(anyType)
	target := newEntryTarget(anything, anything, anyType, anyType)
	d.eachEntry(target, func() {
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
func (d *decoder) eachEntry(target *entryTarget, add func()) {
	d.pos++
	for i := 0; d.more(']'); i++ {
		d.path = append(d.path, step{index: i})
		before := len(d.issues)
		for part, found := range d.entry(target) {
			if !found {
				d.undefined(func() { d.part(target, part) })
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
func (d *decoder) entry(target *entryTarget) (found [2]bool) {
	if d.peek() == '{' {
		d.pos++
		for d.more('}') {
			key, ok := d.member()
			if !ok {
				continue
			}
			if part := slices.Index(entryKeys, string(key)); part >= 0 {
				found[part] = true
				d.part(target, part)
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
			d.part(target, i)
		} else {
			d.skip()
		}
	}
	return found
}

func (d *decoder) part(target *entryTarget, part int) {
	target.values[part].SetZero()
	d.under(step{index: part}, target.plans[part], target.values[part])
}

// undefined lets read find undefined at the cursor.
func (d *decoder) undefined(read func()) {
	here, marks, next := d.cursor, d.marks, d.next
	d.cursor, d.marks, d.next = cursor{data: []byte("null")}, marksOfUndefined, 0
	read()
	d.cursor, d.marks, d.next = here, marks, next
}

var marksOfUndefined = marks{list: []mark{{typ: typeUndefined}}, absent: true}
