package rpc

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"

	"github.com/go-orpc/durable-iterator/internal/peer"
	"github.com/go-orpc/durable-iterator/internal/serializer"
)

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
// call. What is used for no call has to be closed. Over HTTP the stream is sent as it is
// read there, over a socket each event waits until the one before is written.
func NewEvents[T, R any](ctx context.Context, fn func(context.Context, *EventWriter[T]) (R, error)) *Events[T, R] {
	life, end := context.WithCancelCause(ctx)
	run := &eventRun{ctx: ctx, call: &Call{}, spec: &spec{}, handle: func(ctx context.Context, core *eventWriter) (any, error) {
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
}

func (*Events[T, R]) adopt(ctx context.Context, v Validator, s *eventStream) any {
	eventHasRules, resultHasRules := hasRules[T](), hasRules[R]()
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

// readInputEvent is readEvent for an event that a client has sent.
func readInputEvent(values *serializer.Serializer, kind peer.EventKind, data []byte, meta peer.EventMeta) (item eventItem, ok bool) {
	item, ok = readEvent(values, kind, data, meta)
	if _, malformed := errors.AsType[*serializer.MalformedError](item.err); malformed {
		item.err = malformedRequest(item.err)
	}
	return item, ok
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

// claimInput returns the stream that a client has to send as the input of a call, nil
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

// stop ends a stream without waiting for who reads it. The stream may be nil.
func (s *eventStream) stop() {
	if s != nil {
		s.cancel(errStreamClosed)
	}
}

// sendTo sends all events of a stream, until it has ended or an event cannot be sent.
func (s *eventStream) sendTo(values *serializer.Serializer, send func(*peer.Event) error) {
	for {
		item, more := s.next()
		if !more || item.err != nil {
			_ = send(s.lastEvent(values)) // nobody waits for it any more
			return
		}
		e, err := encodeEvent(values, item)
		if err != nil {
			_ = s.fail(err) // which is the last event
			continue
		}
		if send(e) != nil {
			s.stop()
			_, _ = s.next() // ends the source
			return
		}
	}
}

func encodeEvent(values *serializer.Serializer, item eventItem) (e *peer.Event, err error) {
	defer recoverTo(&err)
	e = &peer.Event{Kind: peer.EventMessage}
	if e.Meta, err = item.meta.peerMeta(); err != nil {
		return nil, err
	}
	e.Data, err = appendValue(nil, values, item.value)
	return e, err
}

// lastEvent makes the event that tells how a stream has ended.
func (s *eventStream) lastEvent(values *serializer.Serializer) *peer.Event {
	result, err := s.outcome()
	if err == nil {
		var e *peer.Event
		if e, err = encodeEvent(values, eventItem{value: result}); err == nil {
			e.Kind = peer.EventDone
			return e
		}
	}
	if errors.Is(err, ErrNoResult) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		err = &Error{Code: CodeClientClosedRequest} // it has not failed, but was given up
	}
	e := &peer.Event{Kind: peer.EventError}
	if e.Data, err = appendValue(nil, values, ToError(err).wire()); err != nil {
		e.Data = unencodableError
	}
	return e
}
