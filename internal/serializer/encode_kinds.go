package serializer

import (
	"cmp"
	"encoding"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
)

func encodeUnsupported(_ *encoder, v reflect.Value) error {
	return fmt.Errorf("values of type %s cannot be encoded", v.Type())
}

func encodeBool(e *encoder, v reflect.Value) error {
	e.buf = strconv.AppendBool(e.buf, v.Bool())
	return nil
}

func encodeInt(e *encoder, v reflect.Value) error {
	e.buf = strconv.AppendInt(e.buf, v.Int(), 10)
	return nil
}

func encodeUint(e *encoder, v reflect.Value) error {
	e.buf = strconv.AppendUint(e.buf, v.Uint(), 10)
	return nil
}

func encodeFloat(e *encoder, v reflect.Value) error {
	f := v.Float()
	switch {
	case math.IsNaN(f):
		return e.typedNull(typeNaN)
	case math.IsInf(f, 0):
		return e.null()
	}
	e.buf = appendFloat(e.buf, f, v.Type().Bits())
	return nil
}

func encodeString(e *encoder, v reflect.Value) error {
	e.buf = appendString(e.buf, v.String())
	return nil
}

// encodeNumber writes a json.Number as it is.
func encodeNumber(e *encoder, v reflect.Value) error {
	text := cmp.Or(v.String(), "0")
	sc := scanner{data: []byte(text)}
	if sc.number() != nil || sc.pos < len(text) {
		return fmt.Errorf("%.40q is not a JSON number", text)
	}
	e.buf = append(e.buf, text...)
	return nil
}

func encodeBytes(e *encoder, v reflect.Value) error {
	if v.IsNil() {
		return e.null()
	}
	e.buf = base64.StdEncoding.AppendEncode(append(e.buf, '"'), v.Bytes())
	e.buf = append(e.buf, '"')
	return nil
}

func encodeInterface(e *encoder, v reflect.Value) error {
	if v.IsNil() {
		return e.null()
	}
	v = v.Elem()
	return e.s.plan(v.Type()).encode(e, v)
}

// encodePointer follows a pointer. One to a pointer or an interface counts as a
// level, since such can be a cycle without any container.
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

func encodeMarshaler(e *encoder, v reflect.Value) error {
	given, err := exported(v)
	if err != nil {
		return err
	}
	text, err := given.(json.Marshaler).MarshalJSON()
	if err != nil {
		return fmt.Errorf("%s: %w", v.Type(), err)
	}
	text, depth, err := compact(text)
	if err != nil {
		bad, _ := errors.AsType[*MalformedError](err)
		return fmt.Errorf("%s: MarshalJSON gave bad JSON: %s", v.Type(), bad.Reason)
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
	e.buf = appendString(e.buf, text)
	return nil
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

// encodeObject writes a map whose keys are texts, sorted.
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
			key, err := keyText(iter.Key())
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
			prefix = append(appendString(prefix[:0], m.key), ':')
			if err := e.member(elem, m.value, m.key, prefix, first); err != nil {
				return err
			}
		}
		e.buf = append(e.buf, '}')
		e.leave()
		return nil
	}
}

// keyText gives the text of a key that is a string or a TextMarshaler.
func keyText(key reflect.Value) (string, error) {
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

// quotedPlan is for the tag option string: the JSON of the value goes into a text.
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
				e.buf = appendString(e.buf[:start], text)
			}
			return nil
		},
		decode: decodeQuoted(inner),
	}
}
