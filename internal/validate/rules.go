package validate

import (
	"reflect"
	"strings"
)

// HasRules reports whether there are validate tags in a T: in its fields, in the type that
// it points to, and in its elements. Types without any are not validated by default, so
// that they cost nothing.
func HasRules[T any]() bool {
	return typeHasRules(reflect.TypeFor[T](), map[reflect.Type]bool{})
}

// typeHasRules is HasRules for a reflect.Type. It skips types that it has seen, since they
// may be recursive.
func typeHasRules(t reflect.Type, seen map[reflect.Type]bool) bool {
	if seen[t] {
		return false
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return typeHasRules(t.Elem(), seen)
	case reflect.Map:
		return typeHasRules(t.Key(), seen) || typeHasRules(t.Elem(), seen)
	case reflect.Struct:
		for f := range t.Fields() {
			if fieldHasRules(f, seen) {
				return true
			}
		}
	}
	return false
}

// fieldHasRules reports whether a field has rules. Like the validator, it skips unexported
// fields that are not embedded.
func fieldHasRules(f reflect.StructField, seen map[reflect.Type]bool) bool {
	rule := f.Tag.Get("validate")
	if rule == "-" || !f.IsExported() && !f.Anonymous {
		return false
	}
	return rule != "" || typeHasRules(f.Type, seen)
}

// memberName returns the name of a field on the wire. own is false for a struct that is
// embedded without a name, whose members are those of its parent.
func memberName(f reflect.StructField) (name string, own bool) {
	name, _, _ = strings.Cut(f.Tag.Get("json"), ",")
	if name != "" && name != "-" {
		return name, true
	}
	t := f.Type
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return f.Name, !f.Anonymous || t.Kind() != reflect.Struct
}
