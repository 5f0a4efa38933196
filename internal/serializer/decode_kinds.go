package serializer

import (
	"bytes"
	"encoding"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strconv"
)

func decodeUnsupported(d *decoder, _ reflect.Value, at *mark) {
	if !d.null() {
		d.mismatch("nothing", at)
	}
}

func decodeBool(d *decoder, v reflect.Value, at *mark) {
	switch d.peek() {
	case 't':
		d.pos += len("true")
		v.SetBool(true)
	case 'f':
		d.pos += len("false")
		v.SetBool(false)
	case 'n':
		d.null()
	default:
		d.mismatch("boolean", at)
	}
}

// digits reads a number or bigint for an integer kind, and reports whether there was one.
func (d *decoder) digits(at *mark) ([]byte, bool) {
	switch c := d.peek(); {
	case c == '-' || isDigit(c):
		return d.number(), true
	case c == '"' && at.is(typeBigInt):
		return d.str(), true
	case !d.null():
		d.mismatch("integer", at)
	}
	return nil, false
}

func decodeInt(d *decoder, v reflect.Value, at *mark) {
	text, ok := d.digits(at)
	if !ok {
		return
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || v.OverflowInt(n) {
		d.noInteger(text, v.Kind())
		return
	}
	v.SetInt(n)
}

func decodeUint(d *decoder, v reflect.Value, at *mark) {
	text, ok := d.digits(at)
	if !ok {
		return
	}
	n, err := strconv.ParseUint(string(text), 10, 64)
	if err != nil || v.OverflowUint(n) {
		d.noInteger(text, v.Kind())
		return
	}
	v.SetUint(n)
}

// noInteger says why a number does not fit an integer kind.
func (d *decoder) noInteger(text []byte, kind reflect.Kind) {
	if bytes.ContainsAny(text, ".eE") {
		d.issue("integer", "number")
	} else {
		d.issue(kind.String(), "number out of range")
	}
}

func decodeFloat(d *decoder, v reflect.Value, at *mark) {
	switch c := d.peek(); {
	case c == '-' || isDigit(c):
		f, err := strconv.ParseFloat(string(d.number()), v.Type().Bits())
		if err != nil {
			d.issue(v.Kind().String(), "number out of range")
			return
		}
		v.SetFloat(f)
	case at.is(typeNaN):
		d.null()
		v.SetFloat(math.NaN())
	case !d.null():
		d.mismatch("number", at)
	}
}

func decodeString(d *decoder, v reflect.Value, at *mark) {
	switch d.peek() {
	case '"':
		v.SetString(string(d.str()))
	case 'n':
		d.null()
	default:
		d.mismatch("string", at)
	}
}

// decodeNumber fills a json.Number; as in encoding/json the number may be in quotes.
func decodeNumber(d *decoder, v reflect.Value, at *mark) {
	switch c := d.peek(); {
	case c == '-' || isDigit(c):
		v.SetString(string(d.number()))
	case c == '"':
		text := d.str()
		sc := scanner{data: text}
		if sc.number() != nil || sc.pos < len(text) {
			d.issue("number", "string")
			return
		}
		v.SetString(string(text))
	case !d.null():
		d.mismatch("number", at)
	}
}

// decodeBytes reads base64 text or, as encoding/json does, an array of numbers.
func decodeBytes(elem *plan) decodeFunc {
	array := decodeSlice(elem)
	return func(d *decoder, v reflect.Value, at *mark) {
		switch d.peek() {
		case '"':
			decoded, err := base64.StdEncoding.AppendDecode([]byte{}, d.str())
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
		if old := v.Elem(); old.IsValid() && d.s.fillable(old) && d.peek() != 'n' {
			d.follow(d.s.plan(old.Type().Elem()), old.Elem())
			return
		}
		if t.NumMethod() == 0 {
			put(v, reflect.ValueOf(d.any(at)))
			return
		}
		if at.builtIn() == noType {
			if d.null() {
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

// fillable reports whether what an interface holds is to be filled, as encoding/json does with
// pointers. Those of special and custom types are replaced: they may come from decoding before.
func (s *Serializer) fillable(old reflect.Value) bool {
	if old.Kind() != reflect.Pointer || old.IsNil() {
		return false
	}
	elem := old.Type().Elem()
	_, special := specialPlan(elem)
	return !special && s.customFor(elem) == nil && s.customFor(old.Type()) == nil
}

// decodePointer follows a pointer and makes what it points to. Null and undefined make it nil.
func decodePointer(elem *plan) decodeFunc {
	return func(d *decoder, v reflect.Value, at *mark) {
		nothing := at == nil || at.is(typeUndefined)
		if nothing && d.null() {
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

// follow reads a value into what a pointer in the target leads to. A target can lead from
// one pointer to the next without end.
func (d *decoder) follow(p *plan, v reflect.Value) {
	if d.followed++; d.followed > 4*maxDepth {
		d.fail(errEndlessTarget)
		d.skip()
	} else {
		d.value(p, v)
	}
	d.followed--
}

// hasFile reports whether a file stands in the value that the cursor has just passed.
func (d *decoder) hasFile() bool {
	for _, at := range d.marks.list[d.next:] {
		if int(at.pos-d.marks.base) >= d.pos {
			break
		}
		if at.is(typeFile) && at.typ != dead {
			return true
		}
	}
	return false
}

// decodeUnmarshaler gives the method the JSON, which must not be all that is left of a file.
func decodeUnmarshaler(d *decoder, v reflect.Value, _ *mark) {
	text := d.raw()
	if d.hasFile() {
		d.issue("a value without files", "file")
		return
	}
	if err := v.Addr().Interface().(json.Unmarshaler).UnmarshalJSON(text); err != nil {
		d.complain(err.Error())
	}
}

func decodeText(d *decoder, v reflect.Value, at *mark) {
	switch d.peek() {
	case '"':
		if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText(d.str()); err != nil {
			d.complain(err.Error())
		}
	case 'n':
		d.null()
	default:
		d.mismatch("string", at)
	}
}

// decodeQuoted is for the tag option string: the text holds the JSON of the value.
func decodeQuoted(inner *plan) decodeFunc {
	return func(d *decoder, v reflect.Value, at *mark) {
		switch d.peek() {
		case 'n':
			d.value(inner, v)
			return
		case '"':
		default:
			d.mismatch("string", at)
			return
		}
		text, _, err := compact(d.str())
		if err != nil || text[0] == '{' || text[0] == '[' {
			d.issue("JSON in a string", "string")
			return
		}
		here, list := d.cursor, d.marks.list
		d.cursor, d.marks.list = cursor{data: text}, nil
		d.value(inner, v)
		d.cursor, d.marks.list = here, list
	}
}
