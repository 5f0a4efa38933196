package rpc

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
)

// Interceptor runs around a call, on a client or on a server: it may look at the
// call, change it, refuse it, or look at what comes back. It hands on with next,
// at most once. oRPC's interceptor: ({next, path, …}).
//
// Interceptors see errors as they were returned, before [ToError]. Of several,
// the first is outermost.
type Interceptor func(ctx context.Context, call *Call, next CallFunc) (any, error)

// Chain puts interceptors around a CallFunc, the first one outermost.
func Chain(interceptors []Interceptor, last CallFunc) CallFunc {
	for _, in := range slices.Backward(interceptors) {
		next := last
		last = func(ctx context.Context, call *Call) (any, error) { return in(ctx, call, next) }
	}
	return last
}

// OnStart calls fn before each call.
func OnStart(fn func(ctx context.Context, call *Call)) Interceptor {
	return func(ctx context.Context, call *Call, next CallFunc) (any, error) {
		fn(ctx, call)
		return next(ctx, call)
	}
}

// OnSuccess calls fn with the output of each call that succeeds.
func OnSuccess(fn func(ctx context.Context, call *Call, output any)) Interceptor {
	return func(ctx context.Context, call *Call, next CallFunc) (any, error) {
		out, err := next(ctx, call)
		if err == nil {
			fn(ctx, call, out)
		}
		return out, err
	}
}

// OnError calls fn with the error of each call that fails.
func OnError(fn func(ctx context.Context, call *Call, err error)) Interceptor {
	return func(ctx context.Context, call *Call, next CallFunc) (any, error) {
		out, err := next(ctx, call)
		if err != nil {
			fn(ctx, call, err)
		}
		return out, err
	}
}

// OnFinish calls fn after each call.
func OnFinish(fn func(ctx context.Context, call *Call, output any, err error)) Interceptor {
	return func(ctx context.Context, call *Call, next CallFunc) (any, error) {
		out, err := next(ctx, call)
		fn(ctx, call, out, err)
		return out, err
	}
}

// Recover turns a panic of what it is around into an error. fn makes the error
// of the value that was given to panic; with nil it is a [*PanicError].
//
// Servers recover from panics without it, and their handlers' panics reach
// interceptors as errors: it is for those who want an error of their own, and for
// clients whose interceptors may panic.
func Recover(fn func(ctx context.Context, call *Call, value any) error) Interceptor {
	return func(ctx context.Context, call *Call, next CallFunc) (any, error) {
		out, err := guarded(next)(ctx, call)
		if p, ok := errors.AsType[*PanicError](err); ok && fn != nil {
			return nil, fn(ctx, call, p.Value)
		}
		return out, err
	}
}

// PanicError is the error of a call whose handler panicked.
type PanicError struct {
	Value any    // what was given to panic
	Stack []byte // the stack at the panic
}

// Error returns the text of the value, without the stack. Of a value that is neither an
// error nor a [fmt.Stringer] nor of a basic type it is the type.
func (e *PanicError) Error() string { return "rpc: handler panicked: " + panicText(e.Value) }

// panicText prints what was given to panic. It does not look into other values than those
// that end: a slice or a map may hold itself, and to print that ends the process.
func panicText(v any) string {
	switch v.(type) {
	case error, fmt.Stringer:
		return fmt.Sprint(v)
	}
	if t := reflect.TypeOf(v); t != nil && !isScalar(t.Kind()) {
		return t.String()
	}
	return fmt.Sprint(v)
}
