package validate

import (
	"errors"
	"reflect"
	"strings"
	"sync"
)

// maxDepth is the limit of the nesting of a value that is validated. Nothing deeper can be
// sent, and a value that contains itself is deeper.
const maxDepth = 1000

// ErrTooDeep is returned for a value that is nested too deeply to be validated.
var ErrTooDeep = errors.New("rpc: validate: the value is nested deeper than 1000, or contains itself")

// checkDepth returns an error for a value that is nested too deeply for a validator, which
// calls itself for each level: a stack that overflows ends the process. It follows the same
// fields as go-playground's validator, which skips unexported fields and those tagged "-",
// and enters slices and maps that are tagged with dive.
func checkDepth(v reflect.Value, dive bool, depth int) error {
	if depth > maxDepth {
		return ErrTooDeep
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() && mayRecurse(v.Type()) {
			return checkDepth(v.Elem(), dive, depth+1)
		}
	case reflect.Struct:
		return checkFields(v, depth)
	case reflect.Slice, reflect.Array, reflect.Map:
		if dive {
			return checkElements(v, depth)
		}
	}
	return nil
}

func checkFields(v reflect.Value, depth int) error {
	if !mayRecurse(v.Type()) || !isChecked(v) {
		return nil
	}
	for f, field := range v.Fields() {
		if !isFollowed(f) {
			continue
		}
		if err := checkDepth(field, dives(f), depth+1); err != nil {
			return err
		}
	}
	return nil
}

func checkElements(v reflect.Value, depth int) error {
	keys := v.Kind() == reflect.Map && mayRecurse(v.Type().Key())
	if !keys && !mayRecurse(v.Type().Elem()) {
		return nil
	}
	for key, element := range v.Seq2() {
		if keys {
			if err := checkDepth(key, true, depth+1); err != nil {
				return err
			}
		}
		if err := checkDepth(element, true, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// isFollowed reports whether the validator validates a field.
func isFollowed(f reflect.StructField) bool {
	rule := f.Tag.Get("validate")
	return rule != "-" && !strings.Contains(rule, "structonly") && (f.IsExported() || f.Anonymous)
}

// dives reports whether the validator may validate the elements of a field. It looks for
// dive in the whole tag, since a validator may use another name than validate.
func dives(f reflect.StructField) bool { return strings.Contains(string(f.Tag), "dive") }

// recursive caches the results of mayRecurse: reflect.Type to bool.
var recursive sync.Map

// mayRecurse reports whether values of a type can be nested to any depth: whether the type
// contains itself, or an interface.
func mayRecurse(t reflect.Type) bool {
	if isScalar(t.Kind()) {
		return false
	}
	if known, ok := recursive.Load(t); ok {
		return known == true
	}
	found := findRecursion(t, map[reflect.Type]bool{})
	recursive.Store(t, found)
	return found
}

// findRecursion enters each type once. In seen, true means that a type contains t, and
// false that it has been checked.
func findRecursion(t reflect.Type, seen map[reflect.Type]bool) bool {
	if outer, again := seen[t]; again {
		return outer
	}
	seen[t] = true
	found := false
	switch t.Kind() {
	case reflect.Interface:
		found = true
	case reflect.Pointer, reflect.Slice, reflect.Array:
		found = findRecursion(t.Elem(), seen)
	case reflect.Map:
		found = findRecursion(t.Key(), seen) || findRecursion(t.Elem(), seen)
	case reflect.Struct:
		for f := range t.Fields() {
			found = found || isFollowed(f) && findRecursion(f.Type, seen)
		}
	}
	seen[t] = false
	return found
}
