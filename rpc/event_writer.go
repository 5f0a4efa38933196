package rpc

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-orpc/durable-iterator/internal/peer"
)

// EventWriter sends the events of a stream, for the handler of an
// [EventProcedure]. It is safe for concurrent use, until the handler returns.
type EventWriter[T any] struct {
	core  *eventWriter
	check func(event T) error
}

// Send sends an event. It returns when the event has been handed to the transport,
// and waits while the caller reads more slowly than events are sent.
//
// The error is final, and ends the context of the handler: the caller has stopped
// or is gone, which the handler need not report; or the event cannot be sent,
// because it does not pass validation or encoding. Events cannot hold files. Then
// the stream ends with this error, also if the handler returns none.
func (w *EventWriter[T]) Send(event T) error { return w.SendEvent(Event[T]{Data: event}) }

// SendEvent sends an event with metadata: oRPC's withEventMeta. An id lets callers
// go on after the event. Metadata that cannot be sent is an [ErrEventMeta].
// Otherwise it is as Send.
func (w *EventWriter[T]) SendEvent(event Event[T]) error {
	return w.core.send(event.Data, event.Meta, func() error { return w.check(event.Data) })
}

var errWriterClosed = errors.New("rpc: send event: the handler has returned")

// eventWriter is an EventWriter without its type.
type eventWriter struct {
	ctx    context.Context // of the handler
	cancel context.CancelCauseFunc
	sink   eventSink

	// turn holds a value while a goroutine sends, so that others wait no longer than
	// ctx. err belongs to that goroutine; nothing is sent after err is set.
	turn chan struct{}
	err  error
}

func (w *eventWriter) send(value any, meta EventMeta, check func() error) error {
	if !w.take() {
		return fmt.Errorf("rpc: send event: %w", w.ended())
	}
	defer func() { <-w.turn }()
	if w.err != nil {
		return w.err
	}
	err := w.ended()
	if err == nil {
		err = check()
	}
	if err == nil {
		err = w.sink.message(value, meta)
	}
	if err != nil {
		err = withCause(w.ctx, err)
		w.err = fmt.Errorf("rpc: send event: %w", err)
		w.cancel(err)
	}
	return w.err
}

// take waits for the turn. It reports false if the context has ended before.
func (w *eventWriter) take() bool {
	select {
	case w.turn <- struct{}{}:
		return true
	default:
	}
	select {
	case w.turn <- struct{}{}:
		return true
	case <-w.ctx.Done():
		return false
	}
}

// ended returns the reason why the context has ended, nil if it has not.
func (w *eventWriter) ended() error {
	if w.ctx.Err() == nil {
		return nil
	}
	return withCause(w.ctx, context.Cause(w.ctx))
}

// close waits for the goroutine that sends, and returns the reason why events could not be
// sent, nil if all were.
func (w *eventWriter) close() error {
	w.turn <- struct{}{}
	defer func() { <-w.turn }()
	failed := w.err
	if failed == nil {
		w.err = errWriterClosed
	}
	return failed
}

// eventRun is the output of an event procedure on a server: what is left to do once
// the answer has begun. It is run once, by the goroutine that answers the call.
type eventRun struct {
	ctx    context.Context // only its values count: interceptors have returned
	call   *Call
	mark   func(error) error // sets Error.Defined; nil for a stream without a contract
	handle func(ctx context.Context, w *eventWriter) (result any, err error)
}

// errShuttingDown is the cause of the end of a stream of events that is cut short by a
// shutdown, and the error that its caller is sent.
var errShuttingDown = &Error{Code: CodeServiceUnavailable, Message: "Shutting down"}

// eventSink is where the events of a run go.
type eventSink interface {
	// message sends an event. It waits until there is room.
	message(value any, meta EventMeta) error
	// end sends the last event: an error if err is not nil.
	end(result any, err error)
}

// run calls the handler, until ctx ends.
func (r *eventRun) run(ctx context.Context, sink eventSink) {
	ctx, cancel := context.WithCancelCause(peer.WithValues(ctx, r.ctx))
	defer cancel(nil)
	w := &eventWriter{ctx: ctx, cancel: cancel, sink: sink, turn: make(chan struct{}, 1)}
	returned := false
	defer func() {
		if !returned { // the caller would wait for ever
			_ = w.close()
			sink.end(nil, errEndedGoroutine)
		}
	}()
	result, err := guarded(func(ctx context.Context, _ *Call) (any, error) { return r.handle(ctx, w) })(ctx, r.call)
	returned = true
	// The caller learns that an event could not be sent, even if the handler ignores it.
	if failed := w.close(); err == nil {
		err = failed
	}
	if _, answered := findError(err); !answered && errors.Is(context.Cause(ctx), errShuttingDown) {
		// The error of a handler whose context has ended is no result, and its caller is
		// still connected and can come back.
		result, err = nil, errShuttingDown
	}
	if err != nil && r.mark != nil {
		err = r.mark(err)
	}
	sink.end(result, err)
}

// localSource reads the events of a handler in this process.
type localSource struct {
	life   context.Context
	cancel context.CancelCauseFunc // of the handler
	items  chan eventItem
	ended  chan struct{} // closed when the handler has returned
}

func startLocal(life context.Context, run *eventRun) *localSource {
	ctx, cancel := context.WithCancelCause(life)
	s := &localSource{life: life, cancel: cancel, items: make(chan eventItem), ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		run.run(ctx, localSink{ctx, s.items})
	}()
	return s
}

func (s *localSource) next() eventItem {
	if s.life.Err() == nil {
		select {
		case item := <-s.items:
			return item
		case <-s.life.Done():
		}
	}
	return eventItem{err: fmt.Errorf("rpc: read events: %w", withCause(s.life, context.Cause(s.life)))}
}

func (s *localSource) close() {
	s.cancel(errStreamClosed)
	<-s.ended
}

// localSink hands events to a localSource as they are, one by one.
type localSink struct {
	ctx   context.Context
	items chan<- eventItem
}

func (s localSink) message(value any, meta EventMeta) error {
	if err := meta.Validate(); err != nil {
		return err
	}
	return s.put(eventItem{value: value, meta: meta})
}

func (s localSink) end(result any, err error) {
	_ = s.put(eventItem{value: result, done: err == nil, err: err}) // fails if no reader is left
}

func (s localSink) put(item eventItem) error {
	select {
	case s.items <- item:
		return nil
	case <-s.ctx.Done():
		return context.Cause(s.ctx)
	}
}
