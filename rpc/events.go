package rpc

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"

	"github.com/go-orpc/durable-iterator/internal/validate"
)

// Events is a stream of events. It is oRPC's Event Iterator. A call of an [EventProcedure] returns
// one. It may also be the input of a procedure; a client creates such a stream with [NewEvents].
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
// The events and the return value of an input are validated when they are read. If one is
// invalid, the loop of the handler receives the error, which the handler should return. The input
// is closed when the handler has returned.
//
// All methods are safe for concurrent use. Loops that range at the same time share the events:
// each event is returned to one of them.
//
// Over HTTP a server waits for a slow reader. Over a socket it cannot, because all calls share the
// socket: if more than 1024 events or 4 MiB are unread, the stream fails with [ErrOverflow].
type Events[T, R any] struct{ core *eventStream }

// stream returns the core of e, or nil if e is nil.
func (e *Events[T, R]) stream() *eventStream {
	if e == nil {
		return nil
	}
	return e.core
}

// All returns an iterator over the events in order that waits for further ones. See
// [Events.Events].
func (e *Events[T, R]) All() iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for event, err := range e.Events() {
			if !yield(event.Data, err) {
				return
			}
		}
	}
}

// Events returns an iterator over the events with their metadata, in order, that waits for further
// ones. The loop ends when the stream ends. If the stream fails, because of the server, the
// connection, or the context of the call, the loop receives a [*StreamError] before it ends; it is
// returned only once. After Close the loop ends without an error.
//
// Breaking out of the loop does not close the stream: ranging again continues with the next event.
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

// Result returns the return value of a stream that a loop has read to its end. It does not wait:
// before the end, and after Close, the error wraps [ErrNoResult]. If the stream has failed, it
// returns the error of the stream.
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

// LastEventID returns the id of the last event that a loop has received and that had one. A call
// with [WithLastEventID] continues after it, if the procedure supports that.
func (e *Events[T, R]) LastEventID() string { return e.core.lastEventID() }

// Close ends the stream on both sides: loops end, and an abort is sent to the server. It waits for
// a handler in this process, but not for one on a server. Closing a stream that has ended does
// nothing. Close must not be called by the functions of a [Retry]. The error is always nil.
func (e *Events[T, R]) Close() error {
	e.core.close()
	return nil
}

// NewEvents returns a stream of the events that fn sends; the value that fn returns is its return
// value. It is for the input of a procedure whose input type is [*Events], oRPC's Event Iterator as
// an input. It can also be read in this process.
//
//	var Import = rpc.Define[*rpc.Events[Row, rpc.Void], Report]("import")
//
//	rows := rpc.NewEvents(ctx, func(ctx context.Context, w *rpc.EventWriter[Row]) (rpc.Void, error) {
//		…
//	})
//	report, err := Import.Call(ctx, link, rows)
//
// fn runs on a separate goroutine, which starts with the first read. Its context ends with ctx,
// when the call ends, and when the server stops reading. If fn returns an error, the stream ends.
// The error is sent to the server like the error of a handler: an [*Error] is sent as it is, and
// any other error without details; [Events.Result] returns it locally.
//
// A stream can be the input of one call, which closes it; [Retry] does not repeat such a call. A
// stream that is not passed to a call must be closed. Over HTTP, events are sent as the server
// reads them; over a socket, each event waits until the previous one has been written.
func NewEvents[T, R any](ctx context.Context, fn func(context.Context, *EventWriter[T]) (R, error)) *Events[T, R] {
	life, end := context.WithCancelCause(ctx)
	run := &eventRun{ctx: ctx, call: &Call{}, handle: func(ctx context.Context, core *eventWriter) (any, error) {
		return fn(ctx, &EventWriter[T]{core: core, check: func(T) error { return nil }})
	}}
	s := newEventStream(life, end)
	s.source = &localSource{life: life, run: run}
	return &Events[T, R]{s}
}

// EventsOf returns a stream of the elements of a sequence: see [NewEvents]. If the sequence waits
// for something, it is not interrupted when the stream ends.
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

var (
	errNestedStream = errors.New("a stream of events can only be an input as a whole")
	errStreamSent   = errors.New("the stream of events was the input of a call before")
)

// MarshalJSON returns an error: a stream of events cannot be a part of a value.
func (*Events[T, R]) MarshalJSON() ([]byte, error) { return nil, errNestedStream }

// streamInput is a type of input that is a stream of events.
type streamInput interface {
	// adopt returns s as a stream of this type whose events are validated by v.
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

func (*Events[T, R]) payload() Payload {
	return Payload{Type: reflect.TypeFor[R](), Event: reflect.TypeFor[T]()}
}

// takesStream reports whether In is a stream of events.
func takesStream[In any]() bool {
	var in In
	_, ok := any(in).(streamInput)
	return ok
}

// payloadOf returns the payload of an input or output of type T.
func payloadOf[T any]() Payload {
	var t T
	if s, ok := any(t).(streamInput); ok {
		return s.payload()
	}
	return Payload{Type: reflect.TypeFor[T]()}
}

// inputStream returns the input of a call if it is a stream of events.
func inputStream(call *Call) (*eventStream, bool) {
	if s, ok := call.Input.(*eventStream); ok {
		return s, true
	}
	return streamOf(call.Input)
}

// decodeStream returns the input of a call as an In, which must be a stream of events.
func decodeStream[In any](ctx context.Context, call *Call) (any, error) {
	var in In
	if s, ok := inputStream(call); ok && s != nil {
		return any(in).(streamInput).adopt(ctx, call.validator, s), nil //nolint:forcetypeassert // see takesStream
	}
	issues := []Issue{{Message: "Expect event iterator", Path: []any{}}}
	return nil, invalidInput(issues, fmt.Errorf("rpc: input is no %v", reflect.TypeFor[In]()))
}

// endInput ends the input of a handler, if it is a stream of events, when the context of the
// handler ends for any reason, and when done is called.
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

// claimInput returns the input of a call that a client must send as a stream, or nil if the input
// is a value.
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

// wantedStream returns a pointer to decode the output of a call into, and its stream if the caller
// expects one.
func wantedStream(call *Call) (out any, s *eventStream, ok bool) {
	if call.New == nil {
		return nil, nil, false
	}
	out = call.New()
	s, ok = streamOf(out)
	return out, s, ok
}
