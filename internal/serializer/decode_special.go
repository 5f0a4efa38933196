package serializer

import (
	"bytes"
	"math/big"
	"net/url"
	"reflect"
	"time"
)

// decodeTime takes a date and, without meta, a text in ISO 8601. There an offset from UTC is
// kept, as in encoding/json.
func decodeTime(d *decoder, v reflect.Value, at *mark) {
	switch {
	case d.peek() == '"':
		text := string(d.str())
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
	case !d.null():
		d.mismatch("date", at)
	}
}

func decodeInvalidDate(d *decoder, _ reflect.Value, at *mark) {
	received := d.kind(at)
	if !at.is(typeDate) {
		d.mismatch("invalid date", at)
	} else if d.builtIn(at) != (any)(InvalidDate{}) {
		d.issue("invalid date", received)
	}
}

// decodeBigInt takes a bigint and, without meta, an integer in JSON.
func decodeBigInt(d *decoder, v reflect.Value, at *mark) {
	var text []byte
	switch c := d.peek(); {
	case c == '"' && at.is(typeBigInt):
		text = d.str()
	case c == '-' || isDigit(c):
		if text = d.number(); !isBigInt(text) {
			d.issue("bigint", "number")
			return
		}
	default:
		if !d.null() {
			d.mismatch("bigint", at)
		}
		return
	}
	v.Addr().Interface().(*big.Int).SetString(string(text), 10)
}

func decodeURL(d *decoder, v reflect.Value, at *mark) {
	if d.peek() != '"' {
		if !d.null() {
			d.mismatch("url", at)
		}
		return
	}
	u, err := parseURL(string(d.str()))
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
		d.null()
		return
	}
	d.mismatch("undefined", at)
}

func decodeSetType(d *decoder, v reflect.Value, at *mark) { d.special(v, at, typeSet) }

func decodeMapType(d *decoder, v reflect.Value, at *mark) { d.special(v, at, typeMap) }

// special reads a value of a built-in type that has only this form. Null leaves the
// target as it is or, for one that can be nil, makes it nil.
func (d *decoder) special(v reflect.Value, at *mark, typ int) {
	switch {
	case at.is(typ):
		if x := d.builtIn(at); d.err == nil {
			put(v, reflect.ValueOf(x))
		}
	case !d.null():
		d.mismatch(typeNames[typ], at)
	case v.Kind() == reflect.Slice:
		v.SetZero()
	}
}

// maxBigIntDigits bounds the quadratic work of reading a long number.
const maxBigIntDigits = 4300

// isBigInt reports whether text is -?(0|[1-9][0-9]*) with at most 4300 digits.
func isBigInt(text []byte) bool {
	digits := bytes.TrimPrefix(text, []byte("-"))
	if len(digits) == 0 || len(digits) > maxBigIntDigits || digits[0] == '0' && len(digits) > 1 {
		return false
	}
	for _, c := range digits {
		if !isDigit(c) {
			return false
		}
	}
	return true
}
