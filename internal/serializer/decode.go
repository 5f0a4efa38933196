package serializer

import (
	"fmt"
	"reflect"
)

// decoder fills a target from checked JSON and the marks over it. It goes on after an
// issue, so that all of them are found.
type decoder struct {
	cursor
	s      *Serializer
	marks  marks
	next   int  // the index in marks.list of the first mark that is not before the cursor
	shared bool // a Value has marks in it
	path   []step
	// followed counts the pointers of the target that the value at hand is behind.
	followed int
	issues   []Issue
	room     int   // how much more the issues may hold, see issueRoom
	err      error // ends the decoding with something else than issues
}

// step is a segment of the path to the value at hand: a key, or an index if key is nil.
type step struct {
	key   []byte
	index int
}

// issueRoom bounds what the issues of a message hold, in bytes. Else a short message with
// a deep or long path to many wrong values would make a huge answer.
const issueRoom = 64 << 10

// mark returns the first mark of the value at the cursor, nil if it has none.
func (d *decoder) mark() *mark {
	list := d.marks.list
	for d.next < len(list) && int(list[d.next].pos-d.marks.base) < d.pos {
		d.next++ // of a value that was skipped
	}
	if d.next < len(list) && int(list[d.next].pos-d.marks.base) == d.pos {
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

func (d *decoder) custom(at mark) *Custom { return d.s.customs[at.typ-firstCustom] }

// value reads the value at the cursor into v.
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

// assign reads a value of custom types, of which c is the last.
func (d *decoder) assign(v reflect.Value, at *mark, c *Custom) {
	x := d.any(at)
	if d.err == nil && !put(v, reflect.ValueOf(x)) {
		t := v.Type()
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		d.issue(d.s.plan(t).expects, fmt.Sprintf("custom type %d", c.Type))
	}
}

// put gives v the value x, following a pointer on either side. It reports whether the
// types allow that. An invalid x is nil.
func put(v, x reflect.Value) bool {
	if !x.IsValid() {
		switch v.Kind() {
		case reflect.Interface, reflect.Pointer, reflect.Map, reflect.Slice:
			v.SetZero()
			return true
		}
		return false
	}
	switch {
	case x.Type().AssignableTo(v.Type()):
		v.Set(x)
		return true
	case x.Kind() == reflect.Pointer && !x.IsNil() && x.Type().Elem().AssignableTo(v.Type()):
		v.Set(x.Elem())
		return true
	case v.Kind() == reflect.Pointer && x.Type().AssignableTo(v.Type().Elem()):
		p := reflect.New(v.Type().Elem())
		p.Elem().Set(x)
		v.Set(p)
		return true
	}
	return false
}

// fail ends the decoding with an error that is no issue.
func (d *decoder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
}

// mismatch notes that the value at the cursor is not what was expected, and skips it.
func (d *decoder) mismatch(expected string, at *mark) {
	received := d.kind(at)
	d.skip()
	d.issue(expected, received)
}

// kind names the value at the cursor.
func (d *decoder) kind(at *mark) string {
	if typ := at.builtIn(); typ != noType {
		if typ == typeDate && d.peek() == 'n' {
			return "invalid date"
		}
		return typeNames[typ]
	}
	switch d.peek() {
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

// complain notes an issue for the value at hand.
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

// null reads a null that leaves its target as it is, and reports whether there was one.
func (d *decoder) null() bool {
	if d.peek() != 'n' {
		return false
	}
	d.pos += len("null")
	return true
}

// member begins a member of an object: it reads the key. A value that does not count, since
// a later member of the same name carries meta, is skipped.
func (d *decoder) member() (key []byte, ok bool) {
	key = d.key()
	if at := d.mark(); at != nil && at.typ == dead {
		d.skip()
		return nil, false
	}
	return key, true
}

// under reads a value one step below the one at hand.
func (d *decoder) under(step step, p *plan, v reflect.Value) {
	d.path = append(d.path, step)
	d.value(p, v)
	d.path = d.path[:len(d.path)-1]
}

// any reads a value into the form that a target of type any gets.
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
