// Package faults finds what is wrong with options, with the same words everywhere.
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

// If adds a sentence, in the form of fmt.Sprintf, if something is wrong.
func (l *List) If(wrong bool, format string, args ...any) {
	if wrong {
		*l = append(*l, fmt.Sprintf(format, args...))
	}
}

// Negative adds the option of that name if its value is negative.
func Negative[N ~int | ~int64](l *List, name string, value N) {
	l.If(value < 0, "%s is negative", name)
}

// Nil adds a sentence about the elements of a list if one of them is nil.
func Nil[E any](l *List, element string, list []E) {
	l.If(slices.ContainsFunc(list, isNil), "%s is nil", element)
}

func isNil[E any](e E) bool {
	v := reflect.ValueOf(&e).Elem()
	return (v.Kind() == reflect.Func || v.Kind() == reflect.Interface) && v.IsNil()
}

// String returns the sentences in one line.
func (l *List) String() string { return strings.Join(*l, "; ") }

// Err returns the sentences as an error, or nil if there is none.
func (l *List) Err() error {
	if len(*l) == 0 {
		return nil
	}
	return errors.New(l.String())
}

// Panic panics with the sentences if there are any, after the name of what was to be made.
func (l *List) Panic(what string) {
	if len(*l) > 0 {
		panic(what + ": " + l.String())
	}
}
