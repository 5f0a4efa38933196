package rpc

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// EventProcedure is the contract of a procedure whose output is a stream of
// events, oRPC's Event Iterator: any number of values of type T, then one of type
// R, which is [Void] where there is nothing to say at the end. It is a [Method],
// and as a [Procedure] in all other respects.
type EventProcedure[In, T, R any] struct{ spec *spec }

// DefineEvents makes the contract of a procedure with a stream of events as
// output: see [Define].
func DefineEvents[In, T, R any](path string, opts ...ProcedureOption) EventProcedure[In, T, R] {
	s := newSpec("DefineEvents", path, opts)
	s.stream = takesStream[In]()
	return EventProcedure[In, T, R]{s}
}

// DefineEventsIn makes the contract of such a procedure in a group, as
// DefineEvents(g.Path()+"."+name).
func DefineEventsIn[In, T, R any](g MethodGroup, name string, opts ...ProcedureOption) EventProcedure[In, T, R] {
	return DefineEvents[In, T, R](g.name+"."+name, opts...)
}

// Path gives the dotted path.
func (p EventProcedure[In, T, R]) Path() string { return strings.Join(p.spec.path, ".") }

// Handler gives the procedure a handler, for [NewRouter]: oRPC's generator
// functions. fn sends events with w, and what it returns ends the stream. It runs
// once the answer has begun, behind all interceptors: these may refuse the call and
// set headers of the answer, and see neither the events nor the end. What fn
// returns as an error is the last event, treated as the error of a [Procedure].
//
// fn gets a context that ends when the caller stops reading or goes away, and when
// an event could not be sent; it has the values that interceptors have added. A
// deadline of theirs is for the opening of the stream only.
func (p EventProcedure[In, T, R]) Handler(fn func(context.Context, In, *EventWriter[T]) (R, error), ics ...Interceptor) Route {
	eventHasRules, resultHasRules := hasRules[T](), hasRules[R]()
	return newRoute[In](p.spec, func(ctx context.Context, call *Call) (any, error) {
		in, err := handlerInput[In](call)
		if err != nil {
			return nil, err
		}
		validator := call.validator
		own := *call // what the handler finds in it is no longer the caller's
		own.ResponseHeader = call.ResponseHeader.Clone()
		ctx = withCall(ctx, &own)
		return &eventRun{ctx: ctx, call: &own, spec: p.spec, handle: func(ctx context.Context, core *eventWriter) (any, error) {
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

// checkEvent checks an event, or the return value of a stream.
func checkEvent(ctx context.Context, v Validator, event any, hasRules bool) error {
	if err := validate(ctx, v, event, hasRules); err != nil {
		return &Error{Code: "EVENT_ITERATOR_VALIDATION_FAILED", Message: "Event iterator validation failed", cause: err}
	}
	return nil
}

// Call calls the procedure on c, and returns when the stream has been opened. The
// error is as that of [Procedure.Call]; what happens later is an error of the
// stream. ctx governs the stream as a whole: when it ends, so does the handler's
// context.
//
// The stream holds resources until it has come to its end, ctx ends, or it is
// closed: close it, unless it is read to the end.
//
// With [Retry] a stream that fails is opened again behind the last event that was
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
