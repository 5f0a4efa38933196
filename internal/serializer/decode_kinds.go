package serializer

import (
	"bytes"
	"encoding"
	"encoding/json"
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

func decodeUnsupported(d *decoder, _ reflect.Value, at *mark) {
	if !d.Null() {
		d.mismatch("nothing", at)
	}
}

func decodeBool(d *decoder, v reflect.Value, at *mark) {
	switch d.Peek() {
	case 't':
		d.Pos += len("true")
		v.SetBool(true)
	case 'f':
		d.Pos += len("false")
		v.SetBool(false)
	case 'n':
		d.Null()
	default:
		d.mismatch("boolean", at)
	}
}

// digits reads the digits of a number or bigint, and reports whether there was one.
func (d *decoder) digits(at *mark) ([]byte, bool) {
	switch c := d.Peek(); {
	case c == '-' || jsontext.IsDigit(c):
		return d.Number(), true
	case c == '"' && at.is(typeBigInt):
		return d.Str(), true
	case !d.Null():
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
		d.badInteger(text, v.Kind())
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
		d.badInteger(text, v.Kind())
		return
	}
	v.SetUint(n)
}

// badInteger records why a number does not fit an integer kind.
func (d *decoder) badInteger(text []byte, kind reflect.Kind) {
	if bytes.ContainsAny(text, ".eE") {
		d.issue("integer", "number")
	} else {
		d.issue(kind.String(), "number out of range")
	}
}

func decodeFloat(d *decoder, v reflect.Value, at *mark) {
	switch c := d.Peek(); {
	case c == '-' || jsontext.IsDigit(c):
		f, err := strconv.ParseFloat(string(d.Number()), v.Type().Bits())
		if err != nil {
			d.issue(v.Kind().String(), "number out of range")
			return
		}
		v.SetFloat(f)
	case at.is(typeNaN):
		d.Null()
		v.SetFloat(math.NaN())
	case !d.Null():
		d.mismatch("number", at)
	}
}

func decodeString(d *decoder, v reflect.Value, at *mark) {
	switch d.Peek() {
	case '"':
		v.SetString(string(d.Str()))
	case 'n':
		d.Null()
	default:
		d.mismatch("string", at)
	}
}

// decodeNumber decodes into a json.Number. As in encoding/json, the number may be in quotes.
func decodeNumber(d *decoder, v reflect.Value, at *mark) {
	switch c := d.Peek(); {
	case c == '-' || jsontext.IsDigit(c):
		v.SetString(string(d.Number()))
	case c == '"':
		text := d.Str()
		if !jsontext.IsNumber(text) {
			d.issue("number", "string")
			return
		}
		v.SetString(string(text))
	case !d.Null():
		d.mismatch("number", at)
	}
}

// hasFile reports whether there is a file in the value that the cursor has just skipped.
func (d *decoder) hasFile() bool {
	for _, at := range d.marks.list[d.next:] {
		if int(at.pos-d.marks.base) >= d.Pos {
			break
		}
		if at.is(typeFile) && at.typ != dead {
			return true
		}
	}
	return false
}

// decodeUnmarshaler calls UnmarshalJSON. A value that holds files does not fit, since its JSON
// would lack them.
func decodeUnmarshaler(d *decoder, v reflect.Value, _ *mark) {
	text := d.Raw()
	if d.hasFile() {
		d.issue("a value without files", "file")
		return
	}
	if err := v.Addr().Interface().(json.Unmarshaler).UnmarshalJSON(text); err != nil {
		d.complain(err.Error())
	}
}

func decodeText(d *decoder, v reflect.Value, at *mark) {
	switch d.Peek() {
	case '"':
		if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText(d.Str()); err != nil {
			d.complain(err.Error())
		}
	case 'n':
		d.Null()
	default:
		d.mismatch("string", at)
	}
}

// decodeQuoted decodes a field with the tag option string, whose JSON is in a string.
func decodeQuoted(inner *plan) decodeFunc {
	return func(d *decoder, v reflect.Value, at *mark) {
		switch d.Peek() {
		case 'n':
			d.value(inner, v)
			return
		case '"':
		default:
			d.mismatch("string", at)
			return
		}
		quoted := d.Str()
		text, _, err := jsontext.Compact(quoted, maxDepth)
		// Like encoding/json: a literal only, without space around it.
		if err != nil || text[0] == '{' || text[0] == '[' || len(text) != len(quoted) {
			d.issue("JSON in a string", "string")
			return
		}
		d.elsewhere(text, marks{}, func() { d.value(inner, v) })
	}
}

// decodeTime decodes a date or a string in ISO 8601. Of a string the offset from UTC is kept, as
// in encoding/json.
func decodeTime(d *decoder, v reflect.Value, at *mark) {
	switch {
	case d.Peek() == '"':
		text := string(d.Str())
		t, ok := parseDate(text)
		if at.builtIn() == noType {
			if exact, err := time.Parse(time.RFC3339, text); err == nil {
				t, ok = exact, true
			}
		}
		switch {
		case ok:
			v.Set(reflect.ValueOf(t))
		case at.is(typeDate):
			d.issue("date", "invalid date")
		default:
			d.issue("date", "string")
		}
	case at.is(typeDate):
		d.mismatch("date", at)
	case !d.Null():
		d.mismatch("date", at)
	}
}

func decodeInvalidDate(d *decoder, _ reflect.Value, at *mark) {
	received := d.kind(at)
	if !at.is(typeDate) {
		d.mismatch("invalid date", at)
	} else if d.builtIn(at) != (any)(value.InvalidDate{}) {
		d.issue("invalid date", received)
	}
}

// decodeBigInt decodes a bigint or a JSON integer.
func decodeBigInt(d *decoder, v reflect.Value, at *mark) {
	var text []byte
	switch c := d.Peek(); {
	case c == '"' && at.is(typeBigInt):
		text = d.Str()
	case c == '-' || jsontext.IsDigit(c):
		if text = d.Number(); !isBigInt(text) {
			d.issue("bigint", "number")
			return
		}
	default:
		if !d.Null() {
			d.mismatch("bigint", at)
		}
		return
	}
	v.Addr().Interface().(*big.Int).SetString(string(text), 10)
}

func decodeURL(d *decoder, v reflect.Value, at *mark) {
	if d.Peek() != '"' {
		if !d.Null() {
			d.mismatch("url", at)
		}
		return
	}
	u, err := parseURL(string(d.Str()))
	switch {
	case err != nil && at.is(typeURL):
		d.fail(&MalformedError{Reason: "meta type 4 (url)", Err: err})
		return
	case err != nil:
		d.issue("url", "string")
		return
	}
	*v.Addr().Interface().(*url.URL) = *u
}

func decodeRegExp(d *decoder, v reflect.Value, at *mark) {
	d.special(v, at, typeRegExp)
}

func decodeUndefined(d *decoder, _ reflect.Value, at *mark) {
	if at.is(typeUndefined) {
		d.Null()
		return
	}
	d.mismatch("undefined", at)
}

func decodeSetType(d *decoder, v reflect.Value, at *mark) { d.special(v, at, typeSet) }

func decodeMapType(d *decoder, v reflect.Value, at *mark) { d.special(v, at, typeMap) }

// special decodes a value that must be of the built-in type typ, or null, which makes a slice nil
// and leaves other targets as they are.
func (d *decoder) special(v reflect.Value, at *mark, typ int) {
	switch {
	case at.is(typ):
		if x := d.builtIn(at); d.err == nil {
			put(v, reflect.ValueOf(x))
		}
	case !d.Null():
		d.mismatch(typeNames[typ], at)
	case v.Kind() == reflect.Slice:
		v.SetZero()
	}
}

func decodeFile(d *decoder, v reflect.Value, at *mark) {
	switch {
	case at.is(typeFile):
		v.Set(reflect.ValueOf(d.file(at)))
	case d.Null():
		v.SetZero()
	default:
		d.mismatch("file", at)
	}
}

func decodeFileByValue(d *decoder, _ reflect.Value, _ *mark) {
	d.Skip()
	d.fail(fmt.Errorf("serializer: decode: %w", errFileByValue))
}
