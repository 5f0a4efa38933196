package rpc

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Procedure is a contract: the path of a procedure and the types of its input
// and output. It is a value that server and client share. The server gives it a
// handler ([Procedure.Handler], or durableobject.Handle for the method of a
// durable object), the client calls it ([Procedure.Call]).
type Procedure[In, Out any] struct{ spec *spec }

// spec is what a contract says apart from its types.
type spec struct {
	path   []string
	method string
	errors []declaration
	fresh  func() any // a pointer to an output, for clients; nil for events
	stream bool       // the input is a stream of events
}

// declaration is an [ErrorDef] of any data.
type declaration interface{ declares(e *Error) bool }

// Method is something that a token can allow by name: a [Procedure], a
// [MethodGroup], or a bare [Name].
type Method interface {
	// Path gives the dotted path.
	Path() string
}

// Name is a [Method] whose contract is not at hand.
type Name string

// Path gives the name.
func (n Name) Path() string { return string(n) }

// ProcedureOption says more of a procedure: [WithMethod], or an [ErrorDef] that
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

// Define makes the contract of a procedure. The path is one name, or several
// joined by dots for a procedure in a group: "ping", "users.find". It panics on
// an empty path or an empty name in it.
func Define[In, Out any](path string, opts ...ProcedureOption) Procedure[In, Out] {
	s := newSpec("Define", path, opts)
	s.fresh = func() any { return new(Out) }
	s.stream = takesStream[In]()
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

// Group makes a group of methods, to be filled with [DefineIn] and
// [DefineEventsIn]. It panics on an empty name or one with a dot.
func Group(name string) MethodGroup {
	if name == "" || strings.Contains(name, ".") {
		panic(fmt.Sprintf("rpc: Group: bad name %q", name))
	}
	return MethodGroup{name}
}

// Path gives the group's name.
func (g MethodGroup) Path() string { return g.name }

// DefineIn makes the contract of a procedure in a group, as Define(g.Path()+"."+name).
func DefineIn[In, Out any](g MethodGroup, name string, opts ...ProcedureOption) Procedure[In, Out] {
	return Define[In, Out](g.name+"."+name, opts...)
}

// Path gives the dotted path.
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

// Handler gives the procedure a handler, for [NewRouter]. The interceptors run
// around it, after the input was decoded and checked, and see it typed in
// [Call.Input].
//
// fn gets a context that ends when the caller cancels the call or goes away;
// [CallOf] finds the call in it. It runs concurrently with itself. If it panics the call fails with a [*PanicError],
// which interceptors see and the caller does not.
func (p Procedure[In, Out]) Handler(fn func(context.Context, In) (Out, error), ics ...Interceptor) Route {
	outHasRules := hasRules[Out]()
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
	inHasRules := hasRules[In]()
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

// handlerInput gives the input as the interceptors have left it.
func handlerInput[In any](call *Call) (In, error) {
	in, ok := call.Input.(In)
	if !ok && call.Input != nil {
		return in, fmt.Errorf("rpc: %s: an interceptor made the input a %T", strings.Join(call.Path, "."), call.Input)
	}
	return in, nil
}

// markDefined gives err with Error.Defined set to what the contract says; err
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
