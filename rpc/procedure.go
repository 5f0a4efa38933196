package rpc

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/go-orpc/durable-iterator/internal/validate"
)

// Procedure is the contract of a procedure: its path and the types of its input and output. Server
// and client share it. The server adds a handler with [Procedure.Handler], or with
// durableobject.Handle for the method of a durable object. The client calls it with
// [Procedure.Call].
type Procedure[In, Out any] struct{ spec *spec }

// spec is the part of a contract that does not depend on its types.
type spec struct {
	path   []string
	method string
	errors []declaration
	fresh  func() any // returns a pointer to an output, for clients; nil for events
	stream bool       // the input is a stream of events
	input  Payload
	output Payload
}

// declaration is implemented by ErrorDef[D] for every D.
type declaration interface {
	declares(e *Error) bool
	describe() DeclaredError
}

// ProcedureOption configures a procedure. It is the result of [WithMethod], or an [ErrorDef] that
// the handler may return.
type ProcedureOption interface{ applyToProcedure(s *spec) }

type procedureOptionFunc func(*spec)

func (f procedureOptionFunc) applyToProcedure(s *spec) { f(s) }

// WithMethod declares the HTTP method that a [Link] uses for the procedure. With GET, servers also
// accept GET requests for it, which they otherwise refuse; use it only for procedures that change
// nothing. WithMethod panics if the method is not GET, POST, PUT, PATCH or DELETE.
func WithMethod(method string) ProcedureOption {
	methods := []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}
	if !slices.Contains(methods, method) {
		panic(fmt.Sprintf("rpc: WithMethod: %q", method))
	}
	return procedureOptionFunc(func(s *spec) { s.method = method })
}

// Define returns the contract of a procedure. The path is a name, or several names joined by dots
// for a procedure in a group: "ping", "users.find". It panics if the path or a name in it is empty.
func Define[In, Out any](path string, opts ...ProcedureOption) Procedure[In, Out] {
	s := newSpec("Define", path, opts)
	s.fresh = func() any { return new(Out) }
	s.stream = takesStream[In]()
	s.input, s.output = payloadOf[In](), payloadOf[Out]()
	return Procedure[In, Out]{s}
}

func newSpec(caller, path string, opts []ProcedureOption) *spec {
	s := &spec{path: strings.Split(path, ".")}
	if slices.Contains(s.path, "") {
		panic(fmt.Sprintf("rpc: %s: bad path %q", caller, path))
	}
	for _, opt := range opts {
		opt.applyToProcedure(s)
	}
	return s
}

func (s *spec) describe() Description {
	d := Description{Path: slices.Clone(s.path), Method: s.method, Input: s.input, Output: s.output}
	for _, e := range s.errors {
		d.Errors = append(d.Errors, e.describe())
	}
	return d
}

// DefineIn returns the contract of a procedure in a group. It is Define(g.Path()+"."+name).
func DefineIn[In, Out any](g MethodGroup, name string, opts ...ProcedureOption) Procedure[In, Out] {
	return Define[In, Out](g.name+"."+name, opts...)
}

// Path returns the dotted path.
func (p Procedure[In, Out]) Path() string { return strings.Join(p.spec.path, ".") }

// Describe implements [Contract].
func (p Procedure[In, Out]) Describe() Description { return p.spec.describe() }

// Call calls the procedure with c and returns its output. An error that the server has sent is an
// [*Error]. When ctx ends, the call ends, and so does the context of the handler.
func (p Procedure[In, Out]) Call(ctx context.Context, c Caller, in In, opts ...CallOption) (Out, error) {
	var zero Out
	out, err := c.Call(ctx, &Call{
		Path:   slices.Clone(p.spec.path),
		Method: p.spec.method,
		Input:  in,
		New:    p.spec.fresh,
	}, opts...)
	if err != nil {
		return zero, err
	}
	typed, ok := out.(Out)
	if !ok && out != nil {
		return zero, fmt.Errorf("rpc: %s: output is a %T, not a %T", p.Path(), out, zero)
	}
	return typed, nil
}

// Handler returns a route that handles the procedure with fn, for [NewRouter]. The interceptors run
// around fn, after the input was decoded and validated; [Call.Input] has type In.
//
// The context of fn ends when the caller cancels the call or disconnects; [CallOf] returns the call
// from it. fn may be called concurrently. If it panics, the call fails with a [*PanicError], which
// interceptors receive but the caller does not. Handler panics if an interceptor is nil.
func (p Procedure[In, Out]) Handler(fn func(context.Context, In) (Out, error), ics ...Interceptor) Route {
	outHasRules := validate.HasRules[Out]()
	return newRoute[In](p.spec, func(ctx context.Context, call *Call) (any, error) {
		in, err := handlerInput[In](call)
		if err != nil {
			return nil, err
		}
		if p.spec.stream {
			defer endInput(ctx, in)()
		}
		typed, err := fn(ctx, in)
		if err != nil {
			return nil, err
		}
		var out any = typed // converted once, because it allocates
		return out, checkOutput(ctx, call.validator, out, outHasRules)
	}, ics)
}

// newRoute returns a route that decodes the input, runs the interceptors and then run, which calls
// the handler.
func newRoute[In any](s *spec, run CallFunc, ics []Interceptor) Route {
	inHasRules := validate.HasRules[In]()
	handle := Chain(ics, guarded(func(ctx context.Context, call *Call) (any, error) {
		return run(withCall(ctx, call), call)
	}))
	return Route{spec: s, handle: func(ctx context.Context, call *Call) (any, error) {
		var in any
		var err error
		if s.stream {
			in, err = decodeStream[In](ctx, call)
		} else {
			in, err = decodeInput[In](ctx, call, inHasRules)
		}
		if err != nil {
			return nil, err
		}
		call.Input = in
		out, err := handle(ctx, call)
		if err != nil {
			return nil, s.markDefined(err)
		}
		return out, nil
	}}
}

// handlerInput returns the input after all interceptors have run.
func handlerInput[In any](call *Call) (In, error) {
	in, ok := call.Input.(In)
	if !ok && call.Input != nil {
		return in, fmt.Errorf("rpc: %s: an interceptor made the input a %T", strings.Join(call.Path, "."), call.Input)
	}
	return in, nil
}

// markDefined returns err with Error.Defined set if the contract declares it. It does not change
// err itself.
func (s *spec) markDefined(err error) error {
	e, ok := findError(err)
	if !ok {
		return err
	}
	defined := slices.ContainsFunc(s.errors, func(d declaration) bool { return d.declares(e) })
	if e.Defined == defined {
		return err
	}
	marked := *e
	marked.Defined, marked.cause = defined, err
	return &marked
}

func (d ErrorDef[D]) applyToProcedure(s *spec) { s.errors = append(s.errors, d) }

// Route is a procedure with its handler: see [Procedure.Handler].
type Route struct {
	spec   *spec
	handle CallFunc
}

// Path returns the dotted path of the procedure.
func (r Route) Path() string { return strings.Join(r.spec.path, ".") }

// Describe implements [Contract].
func (r Route) Describe() Description { return r.spec.describe() }

// TakesEvents reports whether the input of the procedure is a stream of events.
func (r Route) TakesEvents() bool { return r.spec.stream }

// decodeInput decodes and validates the input of a call, an In. hasRules is the result of
// validate.HasRules for In.
func decodeInput[In any](ctx context.Context, call *Call, hasRules bool) (any, error) {
	decoded, err := decodeAs[In](ctx, call)
	if err != nil {
		return nil, err
	}
	var in any = decoded // converted once, because it allocates
	return in, inputError(validateValue(ctx, call.validator, in, hasRules))
}

// decodeAs returns the input of a call as an In.
func decodeAs[In any](ctx context.Context, call *Call) (in In, err error) {
	if err := call.startDecoding(ctx); err != nil {
		return in, err
	}
	defer call.stopDecoding()
	if in, err = typed[In](call.Input); err != nil {
		return in, inputError(fmt.Errorf("rpc: decode input: %w", err))
	}
	return in, nil
}

// EventProcedure is the contract of a procedure whose output is a stream of events, oRPC's Event
// Iterator: any number of values of type T, then a result of type R, which is [Void] if there is
// none. It is a [Method]. In all other respects it is like a [Procedure].
type EventProcedure[In, T, R any] struct{ spec *spec }

// DefineEvents returns the contract of a procedure with a stream of events as
// output: see [Define].
func DefineEvents[In, T, R any](path string, opts ...ProcedureOption) EventProcedure[In, T, R] {
	s := newSpec("DefineEvents", path, opts)
	s.stream = takesStream[In]()
	s.input, s.output = payloadOf[In](), payloadOf[*Events[T, R]]()
	return EventProcedure[In, T, R]{s}
}

// DefineEventsIn returns the contract of such a procedure in a group. It is
// DefineEvents(g.Path()+"."+name).
func DefineEventsIn[In, T, R any](g MethodGroup, name string, opts ...ProcedureOption) EventProcedure[In, T, R] {
	return DefineEvents[In, T, R](g.name+"."+name, opts...)
}

// Path returns the dotted path.
func (p EventProcedure[In, T, R]) Path() string { return strings.Join(p.spec.path, ".") }

// Describe implements [Contract].
func (p EventProcedure[In, T, R]) Describe() Description { return p.spec.describe() }

// Handler returns a route that handles the procedure with fn, for [NewRouter]. fn is the counterpart
// of oRPC's generator functions: it sends events, and its return value is the result of the stream.
// It runs after the response has begun, when all interceptors have returned. Interceptors may refuse
// the call and set response headers, but do not receive the events or the result. An error of fn is
// sent as the last event, like the error of a [Procedure].
//
// The context of fn ends when the caller stops reading or disconnects, and when an event could not
// be sent. It has the values that interceptors have added, but not their deadlines, which limit only
// opening the stream.
func (p EventProcedure[In, T, R]) Handler(fn func(context.Context, In, *EventWriter[T]) (R, error), ics ...Interceptor) Route {
	eventHasRules, resultHasRules := validate.HasRules[T](), validate.HasRules[R]()
	return newRoute[In](p.spec, func(ctx context.Context, call *Call) (any, error) {
		in, err := handlerInput[In](call)
		if err != nil {
			return nil, err
		}
		validator := call.validator
		own := *call // the caller may change its call while the handler runs
		own.ResponseHeader = call.ResponseHeader.Clone()
		ctx = withCall(ctx, &own)
		return &eventRun{ctx: ctx, call: &own, mark: p.spec.markDefined, handle: func(ctx context.Context, core *eventWriter) (any, error) {
			if p.spec.stream {
				defer endInput(ctx, in)()
			}
			w := &EventWriter[T]{core: core, check: func(event T) error { return checkEvent(ctx, validator, event, eventHasRules) }}
			result, err := fn(ctx, in, w)
			if err != nil {
				return nil, err
			}
			return result, checkEvent(ctx, validator, result, resultHasRules)
		}}, nil
	}, ics)
}

// Call calls the procedure with c, and returns when the stream has been opened. Errors are those of
// [Procedure.Call]; later errors are those of the stream. When ctx ends, the stream ends, and so
// does the context of the handler.
//
// The stream uses resources until it has been read to its end, ctx ends, or it is closed. Close it
// unless it is read to its end.
//
// With a [Retry], a stream that fails is opened again after the last event that was read, without
// the caller noticing, as long as there are tries left. The pause before a try is [Retry.Delay] or,
// if that is nil, the [EventMeta.Retry] of the last event that had one. The functions of the Retry
// are called with a [*StreamError].
func (p EventProcedure[In, T, R]) Call(ctx context.Context, c Caller, in In, opts ...CallOption) (*Events[T, R], error) {
	life, end := context.WithCancelCause(ctx)
	out, err := c.Call(life, &Call{
		Path:   slices.Clone(p.spec.path),
		Method: p.spec.method,
		Input:  in,
		New:    func() any { return &Events[T, R]{newEventStream(life, end)} },
	}, opts...)
	events, ok := out.(*Events[T, R])
	if err == nil && !ok {
		err = fmt.Errorf("rpc: %s: output is a %T, not a stream of events", p.Path(), out)
	}
	if err != nil {
		end(err)
		return nil, err
	}
	return events, nil
}
