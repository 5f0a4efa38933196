package rpc

import (
	"context"
	"errors"
	"fmt"
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
// or is gone, which the handler need not tell anybody; or the event cannot be sent,
// because it does not pass validation or encoding. Events cannot hold files. Then
// the stream ends with this error, also if the handler returns none.
func (w *EventWriter[T]) Send(event T) error { return w.SendEvent(Event[T]{Data: event}) }

// SendEvent sends an event with metadata: oRPC's withEventMeta. An id lets callers
// go on behind the event. Metadata that cannot be sent is an [ErrEventMeta].
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

	// turn holds a value while somebody sends, so that others wait no longer than
	// ctx. err belongs to whoever has put it there; nothing is sent once err is set.
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

// ended gives why the context has ended, nil if it has not.
func (w *eventWriter) ended() error {
	if w.ctx.Err() == nil {
		return nil
	}
	return withCause(w.ctx, context.Cause(w.ctx))
}

// close waits for whoever sends, and tells why events could not be sent, nil if all
// were.
func (w *eventWriter) close() error {
	w.turn <- struct{}{}
	defer func() { <-w.turn }()
	failed := w.err
	if failed == nil {
		w.err = errWriterClosed
	}
	return failed
}
