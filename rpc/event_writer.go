package rpc

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-orpc/durable-iterator/internal/peer"
)

// EventWriter sends the events of a stream. It is passed to the handler of an [EventProcedure] and
// is safe for concurrent use until the handler returns.
type EventWriter[T any] struct {
	core  *eventWriter
	check func(event T) error
}

// Send sends an event. It returns when the transport has accepted the event, and waits while the
// caller reads more slowly than events are sent.
//
// An error is final and ends the context of the handler. Either the caller has stopped reading or
// has disconnected, which the handler does not have to report; or the event cannot be sent,
// because it is invalid or cannot be encoded, for example because it contains a file. The stream
// then ends with this error, even if the handler returns nil.
func (w *EventWriter[T]) Send(event T) error { return w.SendEvent(Event[T]{Data: event}) }

// SendEvent sends an event with metadata. It is oRPC's withEventMeta. With an id, callers can
// continue after the event. If the metadata is invalid, the error wraps [ErrEventMeta]. In all
// other respects it is like Send.
func (w *EventWriter[T]) SendEvent(event Event[T]) error {
	return w.core.send(event.Data, event.Meta, func() error { return w.check(event.Data) })
}

var errWriterClosed = errors.New("rpc: send event: the handler has returned")

// eventWriter is the part of an EventWriter that does not depend on T.
type eventWriter struct {
	ctx    context.Context // of the handler
	cancel context.CancelCauseFunc
	sink   eventSink

	// turn is full while a goroutine sends, so that others can wait for it until ctx ends. err
	// belongs to that goroutine; nothing is sent after err is set.
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

// take waits for the turn. It returns false if the context ends before that.
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

// ended returns the reason why the context has ended, or nil if it has not.
func (w *eventWriter) ended() error {
	if w.ctx.Err() == nil {
		return nil
	}
	return withCause(w.ctx, context.Cause(w.ctx))
}

// close waits for the goroutine that sends, and returns the error because of which an event could
// not be sent, or nil.
func (w *eventWriter) close() error {
	w.turn <- struct{}{}
	defer func() { <-w.turn }()
	failed := w.err
	if failed == nil {
		w.err = errWriterClosed
	}
	return failed
}

// eventRun is the output of an event procedure on a server. It runs the handler, once, after the
// response has begun, on the goroutine that answers the call.
type eventRun struct {
	ctx    context.Context // used only for its values, because interceptors have returned
	call   *Call
	mark   func(error) error // sets Error.Defined; nil for a stream without a contract
	handle func(ctx context.Context, w *eventWriter) (result any, err error)
}

// errShuttingDown is the cause of the end of a stream of events during a shutdown, and the error
// that is sent to its caller.
var errShuttingDown = &Error{Code: CodeServiceUnavailable, Message: "Shutting down"}

// eventSink sends the events of a run.
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
		if !returned { // otherwise the caller would wait forever
			_ = w.close()
			sink.end(nil, errEndedGoroutine)
		}
	}()
	result, err := guarded(func(ctx context.Context, _ *Call) (any, error) { return r.handle(ctx, w) })(ctx, r.call)
	returned = true
	// The caller receives the error of an event that could not be sent, even if the handler ignores it.
	if failed := w.close(); err == nil {
		err = failed
	}
	if _, answered := findError(err); !answered && errors.Is(context.Cause(ctx), errShuttingDown) {
		// The handler has returned an error because its context has ended. Its caller is still
		// connected and may try again.
		result, err = nil, errShuttingDown
	}
	if err != nil && r.mark != nil {
		err = r.mark(err)
	}
	sink.end(result, err)
}

// localSource reads the events of a handler in this process, which starts with the first read
// unless it was started before.
type localSource struct {
	life   context.Context
	run    *eventRun
	cancel context.CancelCauseFunc // of the handler
	items  chan eventItem
	ended  chan struct{} // closed when the handler has returned; nil if it was not started
}

func (s *localSource) start() {
	var ctx context.Context
	ctx, s.cancel = context.WithCancelCause(s.life)
	s.items, s.ended = make(chan eventItem), make(chan struct{})
	go func() {
		defer close(s.ended)
		s.run.run(ctx, localSink{ctx, s.items})
	}()
}

func (s *localSource) next() eventItem {
	if s.life.Err() == nil {
		if s.ended == nil {
			s.start()
		}
		select {
		case item := <-s.items:
			return item
		case <-s.life.Done():
		}
	}
	return eventItem{err: endOf(s.life)}
}

func (s *localSource) close() {
	if s.ended != nil {
		s.cancel(errStreamClosed)
		<-s.ended
	}
}

// localSink passes events to a localSource, one by one and without encoding them.
type localSink struct {
	ctx   context.Context
	items chan<- eventItem
}

func (s localSink) message(value any, meta EventMeta) error {
	if err := meta.check(); err != nil {
		return err
	}
	return s.put(eventItem{value: value, meta: meta})
}

func (s localSink) end(result any, err error) {
	_ = s.put(eventItem{value: result, done: err == nil, err: err}) // fails if there is no reader
}

func (s localSink) put(item eventItem) error {
	select {
	case s.items <- item:
		return nil
	case <-s.ctx.Done():
		return context.Cause(s.ctx)
	}
}
