package validate

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/go-playground/validator/v10"
)

// faultMessage returns a message for the rule that a field has failed.
func faultMessage(f validator.FieldError) string {
	switch f.Tag() {
	case "required":
		return "is required"
	case "min", "gte":
		return "must be at least " + amount(f)
	case "max", "lte":
		return "must be at most " + amount(f)
	case "gt":
		return "must be more than " + amount(f)
	case "lt":
		return "must be less than " + amount(f)
	case "len":
		return "must be exactly " + amount(f)
	case "oneof":
		return "must be one of " + strings.Join(strings.Fields(f.Param()), ", ")
	case "email", "url", "uri", "uuid", "ip", "hostname":
		return "must be a valid " + f.Tag()
	}
	if f.Param() == "" {
		return "fails the rule " + f.Tag()
	}
	return "fails the rule " + f.Tag() + "=" + f.Param()
}

// amount returns the parameter of a rule about sizes with its unit.
func amount(f validator.FieldError) string {
	var unit string
	switch f.Kind() {
	case reflect.String:
		unit = "character"
	case reflect.Slice, reflect.Array, reflect.Map:
		unit = "item"
	default:
		return f.Param()
	}
	if f.Param() != "1" {
		unit += "s"
	}
	return f.Param() + " " + unit + " long"
}

// faultPath returns the path from the struct v to the field of a fault, in the names that
// are on the wire. The validator names fields by their Go names, joined by dots, with
// indexes and keys in brackets. Since keys may contain dots and brackets too, the name is
// parsed together with the value.
func faultPath(v reflect.Value, f validator.FieldError) []any {
	path := []any{}
	rest := f.StructNamespace()
	if name := v.Type().Name(); name != "" {
		rest = strings.TrimPrefix(rest, name+".")
	}
	for rest != "" {
		var segment any
		var ok bool
		switch v = indirect(v); v.Kind() {
		case reflect.Struct:
			v, segment, rest, ok = stepIntoField(v, rest)
		case reflect.Slice, reflect.Array:
			v, segment, rest, ok = stepIntoElement(v, rest)
		case reflect.Map:
			v, segment, rest, ok = stepIntoEntry(v, rest)
		}
		if !ok {
			return append(path, f.Field())
		}
		if segment != nil {
			path = append(path, segment)
		}
		rest = strings.TrimPrefix(rest, ".")
	}
	return path
}

// stepIntoField steps into a field of a struct. It returns no segment for an embedded
// struct, whose members are those of its parent on the wire.
func stepIntoField(v reflect.Value, namespace string) (field reflect.Value, segment any, rest string, ok bool) {
	end := strings.IndexAny(namespace, ".[")
	if end < 0 {
		end = len(namespace)
	}
	f, ok := v.Type().FieldByName(namespace[:end])
	if !ok {
		return v, nil, "", false
	}
	if name, own := memberName(f); own {
		segment = name
	}
	return v.FieldByIndex(f.Index), segment, namespace[end:], true
}

func stepIntoElement(v reflect.Value, namespace string) (element reflect.Value, segment any, rest string, ok bool) {
	text, rest, closed := strings.Cut(strings.TrimPrefix(namespace, "["), "]")
	i, err := strconv.Atoi(text)
	if !closed || err != nil || i >= v.Len() {
		return v, nil, "", false
	}
	return v.Index(i), i, rest, true
}

// stepIntoEntry steps into an entry of a map, that with the longest key that fits.
func stepIntoEntry(v reflect.Value, namespace string) (value reflect.Value, segment any, rest string, ok bool) {
	rest = namespace
	key := reflect.New(v.Type().Key()).Elem() // allocated once for all entries
	for entries := v.MapRange(); entries.Next(); {
		key.SetIterKey(entries)
		after, fits := cutKey(namespace, key)
		fits = fits && (after == "" || after[0] == '.' || after[0] == '[')
		if fits && len(after) < len(rest) {
			value, segment, rest, ok = entries.Value(), keySegment(key), after, true
		}
	}
	return value, segment, rest, ok
}

// cutKey returns the rest of namespace after the key in brackets.
func cutKey(namespace string, key reflect.Value) (after string, ok bool) {
	text := key.String() // for other kinds than strings, the name of the type
	if key.Type() != reflect.TypeFor[string]() {
		text = fmt.Sprint(key)
	}
	if after, ok = strings.CutPrefix(namespace, "["); ok {
		if after, ok = strings.CutPrefix(after, text); ok {
			return strings.CutPrefix(after, "]")
		}
	}
	return namespace, false
}

// keySegment returns a map's key as a segment of a path.
func keySegment(key reflect.Value) any {
	switch {
	case key.CanInt():
		return key.Int()
	case key.CanUint():
		return key.Uint()
	}
	return fmt.Sprint(key)
}

func indirect(v reflect.Value) reflect.Value {
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	return v
}
