package rpc

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"

	"github.com/go-orpc/durable-iterator/internal/validate"
)

// Events is a stream of events: oRPC's Event Iterator. It is what a call of an
// [EventProcedure] returns, and the input of a procedure whose input type it is, which
// [NewEvents] makes.
//
//	events, err := Progress.Call(ctx, link, job)
//	if err != nil {
//		return err
//	}
//	defer events.Close()
//	for step, err := range events.All() {
//		if err != nil {
//			return err
//		}
//		fmt.Println(step)
//	}
//	report, err := events.Result()
//
// The events and the return value of an input are validated as they are read; a
// handler gets the error of one that is refused from the loop, and returns it. The
// input is closed when the handler has returned.
//
// All methods are safe for concurrent use. Loops that range at the same time share
// the events: each goes to one of them.
//
// Over HTTP a server waits for a slow reader. Over a socket it cannot, as the calls
// of one socket share it: a stream of which too much is unread, 1024 events or
// 4 MiB, fails with [ErrOverflow].
type Events[T, R any] struct{ core *eventStream }

// stream returns nil for a nil e, which is no input.
func (e *Events[T, R]) stream() *eventStream {
	if e == nil {
		return nil
	}
	return e.core
}

// All returns the events in order and waits for further ones. See [Events.Events].
func (e *Events[T, R]) All() iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for event, err := range e.Events() {
			if !yield(event.Data, err) {
				return
			}
		}
	}
}

// Events returns the events with their metadata, in order, and waits for further
// ones. The loop ends with the stream. If the stream has failed, a [*StreamError]
// comes first, once: of the server, of the connection, or of the context of the
// call. After Close the loop just ends.
//
// Breaking out of the loop does not close the stream: ranging again goes on with
// the next event.
func (e *Events[T, R]) Events() iter.Seq2[Event[T], error] {
	return func(yield func(Event[T], error) bool) {
		for {
			item, ok := e.core.next()
			if !ok {
				return
			}
			event := Event[T]{Meta: item.meta}
			err := item.err
			if err == nil {
				if event.Data, err = e.read(item.value); err != nil {
					err = e.core.fail(err)
				}
			}
			if !yield(event, err) || err != nil {
				return
			}
		}
	}
}

func (e *Events[T, R]) read(value any) (T, error) {
	event, err := typed[T](value)
	if err != nil {
		return event, e.core.undecodable("event", err)
	}
	if e.core.checkEvent != nil {
		err = e.core.checkEvent(event)
	}
	return event, err
}

// Result returns the return value of a stream that a loop has read to its end. It
// does not wait: before that, and after Close, the error wraps [ErrNoResult]. Of a
// stream that has failed it returns the error.
func (e *Events[T, R]) Result() (R, error) {
	var zero R
	value, err := e.core.outcome()
	if err != nil {
		return zero, err
	}
	result, err := typed[R](value)
	if err != nil {
		return zero, e.core.undecodable("return value", err)
	}
	if e.core.checkResult != nil {
		if err := e.core.checkResult(result); err != nil {
			return zero, err
		}
	}
	return result, nil
}

// LastEventID returns the id of the last event that was yielded and had one. A call
// [WithLastEventID] goes on after it, if the procedure supports that.
func (e *Events[T, R]) LastEventID() string { return e.core.lastEventID() }

// Close ends the stream on both sides: loops end, and the server is sent an abort.
// It does not wait for a handler on another machine; one in this process it does
// wait for. Closing again, or after the end, does nothing. It is not for the
// functions of a [Retry], which a waiting loop calls. The error is always nil.
func (e *Events[T, R]) Close() error {
	e.core.close()
	return nil
}

// NewEvents returns a stream of the events that fn sends, with what fn returns at its
// end. It is for the input of a procedure whose input type is [*Events], oRPC's Event
// Iterator as an input, and can be read in this process too.
//
//	var Import = rpc.Define[*rpc.Events[Row, rpc.Void], Report]("import")
//
//	rows := rpc.NewEvents(ctx, func(ctx context.Context, w *rpc.EventWriter[Row]) (rpc.Void, error) {
//		…
//	})
//	report, err := Import.Call(ctx, link, rows)
//
// fn runs on a goroutine of its own from the first read on. Its context ends with ctx,
// when the call ends, and when the server stops reading. An error of fn ends the
// stream: the server is sent it as the error of a handler, so what is no [*Error] stays
// here, where [Events.Result] returns it.
//
// A stream is the input of one call, which closes it; [Retry] does not repeat such a
// call. A stream that is used for no call must be closed. Over HTTP the stream is sent as it is
// read there, over a socket each event waits until the one before is written.
func NewEvents[T, R any](ctx context.Context, fn func(context.Context, *EventWriter[T]) (R, error)) *Events[T, R] {
	life, end := context.WithCancelCause(ctx)
	run := &eventRun{ctx: ctx, call: &Call{}, handle: func(ctx context.Context, core *eventWriter) (any, error) {
		return fn(ctx, &EventWriter[T]{core: core, check: func(T) error { return nil }})
	}}
	s := newEventStream(life, end)
	s.source = &lazySource{life: life, run: run}
	return &Events[T, R]{s}
}

// EventsOf returns a stream of the elements of a sequence: see [NewEvents]. A sequence
// that waits for something is not interrupted when the stream ends.
func EventsOf[T any](ctx context.Context, events iter.Seq[T]) *Events[T, Void] {
	return NewEvents(ctx, func(_ context.Context, w *EventWriter[T]) (Void, error) {
		for event := range events {
			if err := w.Send(event); err != nil {
				return Void{}, err
			}
		}
		return Void{}, nil
	})
}

// lazySource is a localSource that begins with the first read.
type lazySource struct {
	life   context.Context
	run    *eventRun
	source eventSource
}

func (s *lazySource) next() eventItem {
	if s.source == nil {
		if s.life.Err() != nil {
			return eventItem{err: fmt.Errorf("rpc: read events: %w", withCause(s.life, context.Cause(s.life)))}
		}
		s.source = startLocal(s.life, s.run)
	}
	return s.source.next()
}

func (s *lazySource) close() {
	if s.source != nil {
		s.source.close()
	}
}

var (
	errNestedStream = errors.New("rpc: a stream of events can only be an input as a whole")
	errStreamSent   = errors.New("rpc: the stream of events was the input of a call before")
)

// MarshalJSON always fails: a stream of events is no part of a value.
func (*Events[T, R]) MarshalJSON() ([]byte, error) { return nil, errNestedStream }

// streamInput is a type of input that is a stream of events.
type streamInput interface {
	// adopt returns a stream of that type whose events are checked by a validator.
	adopt(ctx context.Context, v Validator, s *eventStream) any
	// payload returns the types of its events and its result.
	payload() Payload
}

func (*Events[T, R]) adopt(ctx context.Context, v Validator, s *eventStream) any {
	eventHasRules, resultHasRules := validate.HasRules[T](), validate.HasRules[R]()
	s.checkEvent = func(event any) error { return checkEvent(ctx, v, event, eventHasRules) }
	s.checkResult = func(result any) error { return checkEvent(ctx, v, result, resultHasRules) }
	return &Events[T, R]{s}
}

// takesStream reports whether an input of type In is a stream of events.
func takesStream[In any]() bool {
	var in In
	_, ok := any(in).(streamInput)
	return ok
}

// inputStream returns the stream of events that the input of a call is.
func inputStream(call *Call) (*eventStream, bool) {
	if s, ok := call.Input.(*eventStream); ok {
		return s, true
	}
	return streamOf(call.Input)
}

// decodeStream returns the input of a call, an In, which is a stream of events.
func decodeStream[In any](ctx context.Context, call *Call) (any, error) {
	var in In
	if s, ok := inputStream(call); ok && s != nil {
		return any(in).(streamInput).adopt(ctx, call.validator, s), nil //nolint:forcetypeassert // see takesStream
	}
	return nil, &Error{
		Code:    CodeBadRequest,
		Message: "Input validation failed",
		Data:    ValidationIssues{Issues: []Issue{{Message: "Expect event iterator", Path: []any{}}}},
		cause:   fmt.Errorf("rpc: input is no %v", reflect.TypeFor[In]()),
	}
}

// endInput ends the input of a handler, if it is a stream of events, with the context of
// the handler, whatever that ends of, and when done is called.
func endInput(ctx context.Context, in any) (done func()) {
	s, ok := streamOf(in)
	if !ok || s == nil {
		return func() {}
	}
	release := context.AfterFunc(ctx, func() { s.cancel(context.Cause(ctx)) })
	return func() {
		release()
		s.stop()
	}
}

// claimInput returns the stream that a client must send as the input of a call, nil
// if the input is a value.
func claimInput(call *Call) (*eventStream, error) {
	s, ok := streamOf(call.Input)
	if !ok || s == nil {
		return nil, nil //nolint:nilnil // see above
	}
	if s.claimed.Swap(true) {
		return nil, errStreamSent
	}
	return s, nil
}

// wantedStream returns a pointer to decode the output of a call into, and the stream
// in it if the caller wants one.
func wantedStream(call *Call) (out any, s *eventStream, ok bool) {
	if call.New == nil {
		return nil, nil, false
	}
	out = call.New()
	s, ok = streamOf(out)
	return out, s, ok
}
