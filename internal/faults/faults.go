// Package faults collects the faults of options and describes them in the same words
// everywhere.
package faults

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// List has a sentence for each fault. The zero List is empty.
type List []string

// If adds a sentence if wrong is true. The sentence is formatted as by fmt.Sprintf.
func (l *List) If(wrong bool, format string, args ...any) {
	if wrong {
		*l = append(*l, fmt.Sprintf(format, args...))
	}
}

// Negative adds a sentence if the value of the option with the given name is negative.
func Negative[N ~int | ~int64](l *List, name string, value N) {
	l.If(value < 0, "%s is negative", name)
}

// Nil adds a sentence if an element of list is nil. The argument element describes the
// elements.
func Nil[E any](l *List, element string, list []E) {
	l.If(slices.ContainsFunc(list, isNil), "%s is nil", element)
}

func isNil[E any](e E) bool {
	v := reflect.ValueOf(&e).Elem()
	return (v.Kind() == reflect.Func || v.Kind() == reflect.Interface) && v.IsNil()
}

// String returns the sentences, separated by semicolons.
func (l *List) String() string { return strings.Join(*l, "; ") }

// Err returns the sentences as an error, or nil if there is none.
func (l *List) Err() error {
	if len(*l) == 0 {
		return nil
	}
	return errors.New(l.String())
}

// Panic panics with the sentences if there are any. The message begins with what.
func (l *List) Panic(what string) {
	if len(*l) > 0 {
		panic(what + ": " + l.String())
	}
}
