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
	marks  *marks
	path   []step
	issues []Issue
	room   int   // how much more the issues may hold, see issueRoom
	err    error // ends the decoding with something else than issues
}

// step is a segment of the path to the value at hand: a key, or an index if key is nil.
type step struct {
	key   []byte
	index int
}

// issueRoom bounds what the issues of a message hold, in bytes. Else a short message with
// a deep or long path to many wrong values would make a huge answer.
const issueRoom = 64 << 10

// value reads the value at the cursor into v.
func (d *decoder) value(p *plan, v reflect.Value, at *mark) {
	if at != nil && !p.raw {
		if len(at.customs) > 0 {
			d.assign(v, at)
			return
		}
		if at.typ != noType && !p.takes.has(at.typ) {
			d.mismatch(p.expects, at)
			return
		}
	}
	p.decode(d, v, at)
}

// assign reads a value of a custom type.
func (d *decoder) assign(v reflect.Value, at *mark) {
	x := d.any(at)
	if d.err == nil && !put(v, reflect.ValueOf(x)) {
		t := v.Type()
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		d.issue(d.s.plan(t).expects, fmt.Sprintf("custom type %d", at.customs[len(at.customs)-1].Type))
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
	if at != nil && at.typ != noType {
		if at.typ == typeDate && d.peek() == 'n' {
			return "invalid date"
		}
		return typeNames[at.typ]
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

// member begins a member of an object: it reads the key and finds its mark. A member that
// does not count, since a later one of the same name carries meta, is skipped.
func (d *decoder) member(at *mark) (key []byte, kid *mark, ok bool) {
	key = d.key()
	kid = d.marks.kid(at, key)
	if kid != nil && kid.start != d.pos {
		d.skip()
		return nil, nil, false
	}
	return key, kid, true
}

// under reads a value one step below the one at hand.
func (d *decoder) under(step step, p *plan, v reflect.Value, at *mark) {
	d.path = append(d.path, step)
	d.value(p, v, at)
	d.path = d.path[:len(d.path)-1]
}

// any reads a value into the form that a target of type any gets.
func (d *decoder) any(at *mark) any {
	if at == nil {
		return d.plain(nil)
	}
	x := d.builtIn(at)
	for _, c := range at.customs {
		if d.err != nil {
			return nil
		}
		y, err := c.Decode(x)
		if err != nil {
			d.fail(&MalformedError{Reason: fmt.Sprintf("custom type %d", c.Type), Err: err})
			return nil
		}
		x = y
	}
	return x
}
