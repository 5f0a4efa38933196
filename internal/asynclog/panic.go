package asynclog

import (
	"fmt"
	"log/slog"
	"reflect"
	"runtime/debug"
	"slices"
)

// LogPanic logs the argument of a panic at level Error, with its stack. It must be called
// by the deferred function that has recovered from the panic.
func LogPanic(logger *slog.Logger, v any, message string, details ...any) {
	details = append(slices.Clip(details), "panic", PanicText(v), "stack", string(debug.Stack()))
	logger.Error(message, details...) //nolint:sloglint // each caller's is constant
}

// PanicText formats the argument of a panic. For slices, maps and other types that may
// contain themselves it returns only the type, since formatting such a value could end the
// process.
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
