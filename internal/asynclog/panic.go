package asynclog

import (
	"fmt"
	"reflect"
)

// PanicText formats the argument of panic. Of a slice, a map and the like it returns the type
// only: one may contain itself, and formatting that ends the process.
func PanicText(v any) string {
	switch v.(type) {
	case error, fmt.Stringer:
		return fmt.Sprint(v)
	}
	if t := reflect.TypeOf(v); t != nil && t.Kind() > reflect.Complex128 && t.Kind() != reflect.String {
		return t.String()
	}
	return fmt.Sprint(v)
}
