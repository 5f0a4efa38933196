package rpc

import (
	"context"
	"errors"
	"slices"

	"github.com/go-orpc/durable-iterator/internal/bridge"
)

// Interceptor runs around a call, on a client or on a server: it may inspect the call, change
// it, refuse it, or inspect the outcome. It passes the call on with next, at most once.
// oRPC's interceptor: ({next, path, …}).
//
// Interceptors see errors as they were returned, before [ToError]. Of several,
// the first is outermost.
type Interceptor func(ctx context.Context, call *Call, next CallFunc) (any, error)

// Chain puts interceptors around a CallFunc, the first one outermost. It panics on a nil
// interceptor.
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

// Recover turns a panic of the call, and of the interceptors inside, into an error. fn returns
// the error for the argument of panic; with nil it is a [*PanicError].
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

// errEndedGoroutine is the cause of the answer to a call whose handler has called
// runtime.Goexit, which nothing recovers from.
var errEndedGoroutine = internalError(errors.New("rpc: the handler has ended its goroutine"))

// guarded turns a panic in handle into a *PanicError.
func guarded(handle CallFunc) CallFunc {
	return func(ctx context.Context, call *Call) (out any, err error) {
		defer bridge.RecoverTo(&err)
		return handle(ctx, call)
	}
}
