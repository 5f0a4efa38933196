package rpc

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/go-orpc/durable-iterator/internal/validate"
)

// Procedure is a contract: the path of a procedure and the types of its input
// and output. It is a value that server and client share. The server adds a
// handler ([Procedure.Handler], or durableobject.Handle for the method of a
// durable object), the client calls it ([Procedure.Call]).
type Procedure[In, Out any] struct{ spec *spec }

// spec is a contract without its types.
type spec struct {
	path   []string
	method string
	errors []declaration
	fresh  func() any // a pointer to an output, for clients; nil for events
	stream bool       // the input is a stream of events
	input  Payload
	output Payload
}

// declaration is an [ErrorDef] of any data.
type declaration interface {
	declares(e *Error) bool
	describe() DeclaredError
}

// Method is something that a token can allow by name: a [Procedure], a
// [MethodGroup], or a bare [Name].
type Method interface {
	// Path returns the dotted path.
	Path() string
}

// Name is a [Method] without a contract.
type Name string

// Path returns the name.
func (n Name) Path() string { return string(n) }

// ProcedureOption configures a procedure: [WithMethod], or an [ErrorDef] that
// its handler may return.
type ProcedureOption interface{ applyToProcedure(s *spec) }

type procedureOptionFunc func(*spec)

func (f procedureOptionFunc) applyToProcedure(s *spec) { f(s) }

// WithMethod declares the HTTP method that a [Link] uses for the procedure. GET
// also lets servers answer GET requests for it, which they refuse otherwise: it
// is for procedures without effects. It panics on other methods than GET, POST,
// PUT, PATCH and DELETE.
func WithMethod(method string) ProcedureOption {
	methods := []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}
	if !slices.Contains(methods, method) {
		panic(fmt.Sprintf("rpc: WithMethod: %q", method))
	}
	return procedureOptionFunc(func(s *spec) { s.method = method })
}

// Define returns the contract of a procedure. The path is one name, or several
// joined by dots for a procedure in a group: "ping", "users.find". It panics on
// an empty path or an empty name in it.
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

// MethodGroup is a named group of methods. A token allows a group as a whole.
type MethodGroup struct{ name string }

// Group returns a group of methods, to be filled with [DefineIn] and
// [DefineEventsIn]. It panics on an empty name or one with a dot.
func Group(name string) MethodGroup {
	if name == "" || strings.Contains(name, ".") {
		panic(fmt.Sprintf("rpc: Group: bad name %q", name))
	}
	return MethodGroup{name}
}

// Path returns the group's name.
func (g MethodGroup) Path() string { return g.name }

// DefineIn returns the contract of a procedure in a group, as Define(g.Path()+"."+name).
func DefineIn[In, Out any](g MethodGroup, name string, opts ...ProcedureOption) Procedure[In, Out] {
	return Define[In, Out](g.name+"."+name, opts...)
}

// Path returns the dotted path.
func (p Procedure[In, Out]) Path() string { return strings.Join(p.spec.path, ".") }

// Call calls the procedure on c and returns its output. An error that the other
// side sent is an [*Error]; ctx ends the call, and the handler's context with it.
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

// Handler returns the procedure with a handler, for [NewRouter]. The interceptors run
// around it, after the input was decoded and checked, and see it typed in
// [Call.Input].
//
// The context of fn ends when the caller cancels the call or goes away; [CallOf] finds the call
// in it. It runs concurrently with itself. If it panics the call fails with a [*PanicError],
// which interceptors see and the caller does not. Handler panics on a nil interceptor.
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
		var out any = typed // once: it costs an allocation
		return out, checkOutput(ctx, call.validator, out, outHasRules)
	}, ics)
}

// newRoute puts the decoding of the input and the interceptors around what runs a
// handler.
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

// handlerInput returns the input as the interceptors have left it.
func handlerInput[In any](call *Call) (In, error) {
	in, ok := call.Input.(In)
	if !ok && call.Input != nil {
		return in, fmt.Errorf("rpc: %s: an interceptor made the input a %T", strings.Join(call.Path, "."), call.Input)
	}
	return in, nil
}

// markDefined returns err with Error.Defined set for errors that the contract declares; err
// itself is not changed.
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

// TakesEvents reports whether the input of the procedure is a stream of events.
func (r Route) TakesEvents() bool { return r.spec.stream }

// decodeInput returns the input of a call, an In, checked. hasRules is
// validate.HasRules of In.
func decodeInput[In any](ctx context.Context, call *Call, hasRules bool) (any, error) {
	decoded, err := decodeAs[In](ctx, call)
	if err != nil {
		return nil, err
	}
	var in any = decoded // once: it costs an allocation
	return in, inputError(check(ctx, call.validator, in, hasRules))
}

// decodeAs returns the input of a call as an In.
func decodeAs[In any](ctx context.Context, call *Call) (in In, err error) {
	if err := call.startDecoding(ctx); err != nil {
		return in, err
	}
	defer call.stopDecoding()
	in, err = typed[In](call.Input)
	return in, inputError(err)
}

// EventProcedure is the contract of a procedure whose output is a stream of
// events, oRPC's Event Iterator: any number of values of type T, then one of type
// R, which is [Void] where there is no result at the end. It is a [Method],
// and as a [Procedure] in all other respects.
type EventProcedure[In, T, R any] struct{ spec *spec }

// DefineEvents returns the contract of a procedure with a stream of events as
// output: see [Define].
func DefineEvents[In, T, R any](path string, opts ...ProcedureOption) EventProcedure[In, T, R] {
	s := newSpec("DefineEvents", path, opts)
	s.stream = takesStream[In]()
	s.input, s.output = payloadOf[In](), payloadOf[*Events[T, R]]()
	return EventProcedure[In, T, R]{s}
}

// DefineEventsIn returns the contract of such a procedure in a group, as
// DefineEvents(g.Path()+"."+name).
func DefineEventsIn[In, T, R any](g MethodGroup, name string, opts ...ProcedureOption) EventProcedure[In, T, R] {
	return DefineEvents[In, T, R](g.name+"."+name, opts...)
}

// Path returns the dotted path.
func (p EventProcedure[In, T, R]) Path() string { return strings.Join(p.spec.path, ".") }

// Handler returns the procedure with a handler, for [NewRouter]: oRPC's generator
// functions. fn sends events with w, and what it returns ends the stream. It runs
// once the answer has begun, after all interceptors: these may refuse the call and
// set headers of the answer, and see neither the events nor the end. An error
// of fn is the last event, treated as the error of a [Procedure].
//
// The context of fn ends when the caller stops reading or goes away, and when
// an event could not be sent; it has the values that interceptors have added. A
// deadline of theirs is for the opening of the stream only.
func (p EventProcedure[In, T, R]) Handler(fn func(context.Context, In, *EventWriter[T]) (R, error), ics ...Interceptor) Route {
	eventHasRules, resultHasRules := validate.HasRules[T](), validate.HasRules[R]()
	return newRoute[In](p.spec, func(ctx context.Context, call *Call) (any, error) {
		in, err := handlerInput[In](call)
		if err != nil {
			return nil, err
		}
		validator := call.validator
		own := *call // what the handler finds in it is no longer the caller's
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

// Call calls the procedure on c, and returns when the stream has been opened. The
// error is as that of [Procedure.Call]; what happens later is an error of the
// stream. ctx governs the stream as a whole: when it ends, so does the handler's
// context.
//
// The stream holds resources until it has come to its end, ctx ends, or it is
// closed: close it, unless it is read to the end.
//
// With [Retry] a stream that fails is opened again after the last event that was
// read, as long as there are tries left; the caller does not notice. A try is made
// after [Retry.Delay] or, if that is nil, after what the last event with a
// [EventMeta.Retry] has asked for. [Retry.If] and the others see a [*StreamError].
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
