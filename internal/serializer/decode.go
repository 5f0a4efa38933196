package serializer

import (
	"fmt"
	"math"
	"math/big"
	"reflect"
	"slices"
	"strconv"

	"github.com/go-orpc/durable-iterator/internal/jsontext"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// mark returns the first mark of the value at the cursor, nil if it has none.
func (d *decoder) mark() *mark {
	if d.next == len(d.marks.list) { // most messages have no marks
		return nil
	}
	return d.findMark()
}

func (d *decoder) findMark() *mark {
	list := d.marks.list
	for d.next < len(list) && int(list[d.next].pos-d.marks.base) < d.Pos {
		d.next++ // of a value that was skipped
	}
	if d.next < len(list) && int(list[d.next].pos-d.marks.base) == d.Pos {
		return &list[d.next]
	}
	return nil
}

// customs returns the custom types of the value at the cursor, whose first mark is at.
func (d *decoder) customs(at *mark) []mark {
	if at == nil {
		return nil
	}
	list := d.marks.list[d.next:]
	if at.typ < firstCustom {
		list = list[1:]
	}
	n := 0
	for n < len(list) && list[n].pos == at.pos {
		n++
	}
	return list[:n]
}

func (d *decoder) custom(at mark) *value.Serializer { return d.s.customs[at.typ-firstCustom] }

// value decodes the value at the cursor into v.
func (d *decoder) value(p *plan, v reflect.Value) {
	at := d.mark()
	if at != nil && !p.raw {
		if customs := d.customs(at); len(customs) > 0 {
			d.assign(v, at, d.custom(customs[len(customs)-1]))
			return
		}
		if !p.takes.has(at.builtIn()) {
			d.mismatch(p.expects, at)
			return
		}
	}
	p.decode(d, v, at)
}

// assign decodes a value with custom types, of which c is the last one.
func (d *decoder) assign(v reflect.Value, at *mark, c *value.Serializer) {
	x := d.any(at)
	if d.err == nil && !put(v, reflect.ValueOf(x)) {
		t := v.Type()
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		d.issue(d.s.plan(t).expects, fmt.Sprintf("custom type %d", c.Type))
	}
}

// maxIssueBytes bounds the issues of a short message with many wrong values at a long path.
const maxIssueBytes = 64 << 10

// fail records an error that is not an issue.
func (d *decoder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
}

// mismatch records that the value at the cursor is not of the expected type, and skips it.
func (d *decoder) mismatch(expected string, at *mark) {
	received := d.kind(at)
	d.Skip()
	d.issue(expected, received)
}

// kind returns the name of the type of the value at the cursor.
func (d *decoder) kind(at *mark) string {
	if typ := at.builtIn(); typ != noType {
		if typ == typeDate && d.Peek() == 'n' {
			return "invalid date"
		}
		return typeNames[typ]
	}
	switch d.Peek() {
	case '{':
		return "object"
	case '[':
		return "array"
	case '"':
		return "string"
	case 't', 'f':
		return "boolean"
	case 'n':
		return "null"
	}
	return "number"
}

func (d *decoder) issue(expected, received string) {
	d.complain("expected " + expected + ", received " + received)
}

// complain records an issue of the current value.
func (d *decoder) complain(message string) {
	if d.room <= 0 {
		return
	}
	size := 64 + len(message)
	for _, step := range d.path {
		size += 16 + len(step.key)
	}
	d.room -= size
	if d.room < 0 && len(d.issues) > 0 {
		return
	}
	path := make([]any, 0, len(d.path))
	for _, step := range d.path {
		if step.key == nil {
			path = append(path, step.index)
		} else {
			path = append(path, string(step.key))
		}
	}
	d.issues = append(d.issues, Issue{Message: message, Path: path})
}

// member reads the key of a member. If a later member replaces it, it skips the value and returns
// false.
func (d *decoder) member() (key []byte, ok bool) {
	key = d.Key()
	if at := d.mark(); at != nil && at.typ == dead {
		d.Skip()
		return nil, false
	}
	return key, true
}

// under decodes a value that is one step below the current value.
func (d *decoder) under(step step, p *plan, v reflect.Value) {
	d.path = append(d.path, step)
	d.value(p, v)
	d.path = d.path[:len(d.path)-1]
}

// any decodes the value at the cursor as for a target of type any.
func (d *decoder) any(at *mark) any {
	if at == nil {
		return d.plain()
	}
	customs := d.customs(at)
	x := d.builtIn(at)
	for _, m := range customs {
		if d.err != nil {
			return nil
		}
		c := d.custom(m)
		y, err := c.Decode(x)
		if err != nil {
			d.fail(&MalformedError{Reason: fmt.Sprintf("custom type %d", c.Type), Err: err})
			return nil
		}
		x = y
	}
	return x
}

// plain decodes a value without a mark. The values in it may have marks.
func (d *decoder) plain() any {
	switch d.Peek() {
	case '{':
		return d.plainObject()
	case '[':
		return d.plainArray()
	case '"':
		return string(d.Str())
	case 't':
		d.Pos += len("true")
		return true
	case 'f':
		d.Pos += len("false")
		return false
	case 'n':
		d.Pos += len("null")
		return nil
	}
	// A number that is out of range is infinite, as in JavaScript.
	f, _ := strconv.ParseFloat(string(d.Number()), 64)
	return f
}

func (d *decoder) plainObject() any {
	object := make(map[string]any)
	d.Pos++
	for d.More('}') {
		if key, ok := d.member(); ok {
			object[string(key)] = d.any(d.mark())
		}
	}
	return object
}

func (d *decoder) plainArray() []any {
	array := []any{}
	d.Pos++
	for d.More(']') {
		array = append(array, d.any(d.mark()))
	}
	return array
}

// builtIn decodes a value of a built-in type, which fits it.
func (d *decoder) builtIn(at *mark) any {
	switch at.builtIn() {
	case typeBigInt:
		n, _ := new(big.Int).SetString(string(d.Str()), 10)
		return n
	case typeDate:
		if d.Null() {
			return value.InvalidDate{}
		}
		if t, ok := parseDate(string(d.Str())); ok {
			return t
		}
		return value.InvalidDate{}
	case typeNaN:
		d.Null()
		return math.NaN()
	case typeUndefined:
		d.Null()
		return value.Undefined{}
	case typeURL:
		u, err := parseURL(string(d.Str()))
		if err != nil {
			d.fail(&MalformedError{Reason: "meta type 4 (url)", Err: err})
			return nil
		}
		return u
	case typeRegExp:
		r, err := parseRegExp(string(d.Str()))
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

// set decodes a set. The first of equal elements counts.
func (d *decoder) set() value.Set {
	set := value.Set{}
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

// entries decodes a map. Of entries with equal keys it keeps the place of the first and the value
// of the last.
func (d *decoder) entries() value.Map {
	m := value.Map{}
	seen := make(map[any]int)
	anything := d.s.plan(anyType)
	target := newEntryTarget(anything, anything, anyType, anyType)
	d.eachEntry(target, func() {
		entry := value.Entry{Key: target.values[0].Interface(), Value: target.values[1].Interface()}
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

// entryTarget has the values that the key and the value of an entry are decoded into.
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

// eachEntry decodes a map. It decodes each entry into target and then calls add, unless there was
// an issue. A key or value that is missing is undefined.
func (d *decoder) eachEntry(target *entryTarget, add func()) {
	d.Pos++
	for i := 0; d.More(']'); i++ {
		d.path = append(d.path, step{index: i})
		before := len(d.issues)
		for part, found := range d.entry(target) {
			if !found {
				d.elsewhere([]byte("null"), undefinedMarks, func() { d.part(target, part) })
			}
		}
		if len(d.issues) == before && d.err == nil {
			add()
		}
		d.path = d.path[:len(d.path)-1]
	}
}

// entryKeys has the names of the members of an entry that is an object.
var entryKeys = []string{"0", "1"}

// entry decodes an entry, which is an array or an object with the members 0 and 1. It reports
// which of them it found.
func (d *decoder) entry(target *entryTarget) (found [2]bool) {
	if d.Peek() == '{' {
		d.Pos++
		for d.More('}') {
			key, ok := d.member()
			if !ok {
				continue
			}
			if part := slices.Index(entryKeys, string(key)); part >= 0 {
				found[part] = true
				d.part(target, part)
			} else {
				d.Skip()
			}
		}
		return found
	}
	d.Pos++
	for i := 0; d.More(']'); i++ {
		if i < len(found) {
			found[i] = true
			d.part(target, i)
		} else {
			d.Skip()
		}
	}
	return found
}

func (d *decoder) part(target *entryTarget, part int) {
	target.values[part].SetZero()
	d.under(step{index: part}, target.plans[part], target.values[part])
}

// elsewhere calls read with the cursor at the beginning of another text.
func (d *decoder) elsewhere(json []byte, m marks, read func()) {
	here, marks, next := d.Cursor, d.marks, d.next
	d.Cursor, d.marks, d.next = jsontext.Cursor{Data: json}, m, 0
	read()
	d.Cursor, d.marks, d.next = here, marks, next
}

var undefinedMarks = marks{list: []mark{{typ: typeUndefined}}, absent: true}

// file returns the file at a mark, and skips the JSON in its place.
func (d *decoder) file(at *mark) *value.File {
	d.Skip()
	return d.marks.files[^at.typ]
}
