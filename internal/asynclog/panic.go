package asynclog

import (
	"fmt"
	"log/slog"
	"reflect"
	"runtime/debug"
	"slices"
)

// LogPanic logs the argument of a panic at level Error, with its stack. It is called by the
// deferred function that has recovered from it.
func LogPanic(logger *slog.Logger, v any, message string, details ...any) {
	details = append(slices.Clip(details), "panic", PanicText(v), "stack", string(debug.Stack()))
	logger.Error(message, details...) //nolint:sloglint // each caller's is constant
}

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
