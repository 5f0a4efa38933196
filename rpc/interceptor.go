package rpc

import (
	"context"
	"errors"
	"slices"

	"github.com/go-orpc/durable-iterator/internal/bridge"
	"github.com/go-orpc/durable-iterator/internal/faults"
)

// Interceptor runs around a call, on a client or on a server. It may inspect, change or refuse the
// call, and inspect or change the result. It passes the call on by calling next, at most once. It
// is oRPC's interceptor, ({next, path, …}).
//
// Interceptors receive errors as they were returned, before [ToError]. The first of several
// interceptors is the outermost.
type Interceptor func(ctx context.Context, call *Call, next CallFunc) (any, error)

// Chain returns a CallFunc that runs interceptors around last, the first one outermost. It panics if
// an interceptor is nil.
func Chain(interceptors []Interceptor, last CallFunc) CallFunc {
	for _, in := range slices.Backward(interceptors) {
		if in == nil {
			panic("rpc: Chain: an interceptor is nil")
		}
		next := last
		last = func(ctx context.Context, call *Call) (any, error) { return in(ctx, call, next) }
	}
	return last
}

// checkPlugged panics if a plugin has added a nil interceptor.
func checkPlugged(what string, interceptors []Interceptor) {
	var list faults.List
	faults.Nil(&list, "an interceptor of a plugin", interceptors)
	list.Panic(what)
}

// OnStart returns an interceptor that calls fn before each call.
func OnStart(fn func(ctx context.Context, call *Call)) Interceptor {
	return func(ctx context.Context, call *Call, next CallFunc) (any, error) {
		fn(ctx, call)
		return next(ctx, call)
	}
}

// OnSuccess returns an interceptor that calls fn with the output of each call that succeeds.
func OnSuccess(fn func(ctx context.Context, call *Call, output any)) Interceptor {
	return func(ctx context.Context, call *Call, next CallFunc) (any, error) {
		out, err := next(ctx, call)
		if err == nil {
			fn(ctx, call, out)
		}
		return out, err
	}
}

// OnError returns an interceptor that calls fn with the error of each call that fails.
func OnError(fn func(ctx context.Context, call *Call, err error)) Interceptor {
	return func(ctx context.Context, call *Call, next CallFunc) (any, error) {
		out, err := next(ctx, call)
		if err != nil {
			fn(ctx, call, err)
		}
		return out, err
	}
}

// OnFinish returns an interceptor that calls fn after each call, with its output or error.
func OnFinish(fn func(ctx context.Context, call *Call, output any, err error)) Interceptor {
	return func(ctx context.Context, call *Call, next CallFunc) (any, error) {
		out, err := next(ctx, call)
		fn(ctx, call, out, err)
		return out, err
	}
}

// Recover returns an interceptor that recovers from panics of the call and of the interceptors
// inside it. fn returns the error for the argument of panic; if fn is nil, it is a [*PanicError].
//
// Servers also recover from panics without it: interceptors receive the panics of handlers as
// errors. Use it to return another error, and for clients whose interceptors may panic.
func Recover(fn func(ctx context.Context, call *Call, value any) error) Interceptor {
	return func(ctx context.Context, call *Call, next CallFunc) (any, error) {
		out, err := guarded(next)(ctx, call)
		if p, ok := errors.AsType[*PanicError](err); ok && fn != nil {
			return nil, fn(ctx, call, p.Value)
		}
		return out, err
	}
}

// errEndedGoroutine is the error of a call whose handler has called runtime.Goexit, from which it
// is not possible to recover.
var errEndedGoroutine = internalError(errors.New("rpc: the handler has ended its goroutine"))

// guarded returns a CallFunc that calls handle and returns a panic as a *PanicError.
func guarded(handle CallFunc) CallFunc {
	return func(ctx context.Context, call *Call) (out any, err error) {
		defer bridge.RecoverTo(&err)
		return handle(ctx, call)
	}
}
