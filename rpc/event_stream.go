package rpc

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-orpc/durable-iterator/internal/bridge"
	"github.com/go-orpc/durable-iterator/internal/peer"
	"github.com/go-orpc/durable-iterator/internal/serializer"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// StreamError is the error of a stream of events that has failed.
type StreamError struct {
	// Err is the reason: an [*Error] if the server has sent one.
	Err error
	// LastEventID is the id of the last event that had one, or empty. A call with
	// [WithLastEventID] can continue after it.
	LastEventID string
	// Retry is how long the server asks its clients to wait before they try again: the
	// [EventMeta.Retry] of the last event that had one. 0 means none.
	Retry time.Duration
	// Data is the value that the server has sent in place of an [*Error], which servers
	// other than oRPC's may do. Otherwise it is undefined.
	Data value.Value
}

// Error returns the message of Err.
func (e *StreamError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *StreamError) Unwrap() error { return e.Err }

// eventItem is an event of a source, or its end.
type eventItem struct {
	value any // a Value, or the event of a handler in this process
	meta  EventMeta
	done  bool  // the stream has ended, and value is its return value
	err   error // the stream has failed
}

// eventSource is the source of the events of a stream: a response of a server. next and close are
// called by one goroutine at a time; next returns when the life of the stream ends.
type eventSource interface {
	next() eventItem
	close()
}

// eventStream is an Events without its types.
type eventStream struct {
	life   context.Context // of the stream
	cancel context.CancelCauseFunc
	again  func(*StreamError) (eventSource, error) // of Retry; if it is nil, a failure is final

	// These are for an input. The functions are nil if nothing is validated.
	checkEvent  func(event any) error
	checkResult func(result any) error
	claimed     atomic.Bool // it is the input of a call

	// turn is full while a goroutine reads or closes; source belongs to that goroutine. source
	// is nil after the stream has ended.
	turn   chan struct{}
	source eventSource

	// mu guards the fields below. result and err are set with ended.
	mu     sync.Mutex
	lastID string
	retry  time.Duration
	ended  bool
	result any
	err    error
}

func newEventStream(life context.Context, cancel context.CancelCauseFunc) *eventStream {
	return &eventStream{life: life, cancel: cancel, turn: make(chan struct{}, 1)}
}

var (
	errStreamClosed     = errors.New("the stream of events is closed")
	errStreamFailed     = errors.New("rpc: the stream of events has failed")
	errNoStream         = errors.New("the answer is not a stream of events")
	errUnexpectedStream = errors.New("the answer is a stream of events")
)

// ErrNoResult is wrapped by the error of [Events.Result] if there is no return value, because the
// stream has not ended yet or was closed before its end.
var ErrNoResult = errors.New("the stream of events has no return value")

// ErrOverflow is wrapped by the error of a stream of events that was read too slowly: see
// [Events].
var ErrOverflow = peer.ErrOverflow

// endOf returns the error for a stream whose life has ended.
func endOf(life context.Context) error {
	return fmt.Errorf("rpc: read events: %w", withCause(life, context.Cause(life)))
}

// streamOf returns the stream of an output that is an *Events, or a pointer to one.
func streamOf(out any) (*eventStream, bool) {
	events, ok := out.(interface{ stream() *eventStream })
	if !ok {
		return nil, false
	}
	return events.stream(), true
}

// next returns the next event, or an item with an error if the stream has failed. ok is false if
// the stream has ended in any other way.
func (s *eventStream) next() (item eventItem, ok bool) {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	for s.source != nil {
		item = s.source.next()
		s.note(item.meta)
		if item.err == nil && !item.done {
			return item, true
		}
		s.source.close()
		if item.err != nil {
			if item.err = s.reopen(s.failure(item)); item.err == nil {
				continue
			}
		}
		item.err = s.end(item.value, item.err)
		return item, item.err != nil
	}
	return eventItem{}, false
}

// reopen replaces a source that has failed.
func (s *eventStream) reopen(failure *StreamError) (err error) {
	if s.again == nil || s.life.Err() != nil {
		return failure
	}
	s.source, err = s.again(failure)
	return err
}

func (s *eventStream) note(m EventMeta) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.ID != "" {
		s.lastID = m.ID
	}
	if m.Retry != 0 || m.RetryNow {
		s.retry = m.Retry
	}
}

func (s *eventStream) failure(item eventItem) *StreamError {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, _ := item.value.(value.Value)
	return &StreamError{Err: item.err, LastEventID: s.lastID, Retry: s.retry, Data: data}
}

// end ends the stream. The caller has the turn and has closed the source. It returns the error for
// readers, which is nil for a stream that was closed.
func (s *eventStream) end(result any, err error) error {
	s.source = nil
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended, s.result, s.err = true, result, err
	if errors.Is(context.Cause(s.life), errStreamClosed) {
		s.result, s.err = nil, errStreamClosed
		err = nil
	}
	s.cancel(errStreamClosed)
	return err
}

// fail ends a stream whose reader cannot read an event.
func (s *eventStream) fail(err error) error {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	failure := s.failure(eventItem{err: err})
	if s.source != nil {
		s.source.close()
		_ = s.end(nil, failure)
	}
	return failure
}

// stop ends a stream without waiting for its reader. s may be nil.
func (s *eventStream) stop() {
	if s != nil {
		s.cancel(errStreamClosed)
	}
}

// close ends the stream, also while it is being read.
func (s *eventStream) close() {
	s.cancel(errStreamClosed)
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	if s.source != nil {
		s.source.close()
		_ = s.end(nil, nil)
	}
}

// outcome returns the return value.
func (s *eventStream) outcome() (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !s.ended:
		return nil, fmt.Errorf("rpc: %w", ErrNoResult)
	case errors.Is(s.err, errStreamClosed):
		return nil, fmt.Errorf("rpc: %w: %w", ErrNoResult, errStreamClosed)
	}
	return s.result, s.err
}

// undecodable returns the error for a value that cannot be decoded. For an input it is an error of
// the client.
func (s *eventStream) undecodable(what string, err error) error {
	err = fmt.Errorf("rpc: decode %s: %w", what, err)
	if s.checkEvent != nil {
		return malformedRequest(err)
	}
	return err
}

func (s *eventStream) lastEventID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lastID
}

// readEvent decodes a received event. ok is false if its kind is unknown.
func readEvent(s *serializer.Serializer, kind peer.EventKind, data []byte, meta peer.EventMeta) (item eventItem, ok bool) {
	switch kind {
	case peer.EventMessage, peer.EventDone, peer.EventError:
	default:
		return item, false
	}
	value, err := s.Value(data)
	item = eventItem{value: value, meta: eventMeta(meta)}
	switch {
	case err != nil:
		item.err = fmt.Errorf("rpc: decode event: %w", err)
	case kind == peer.EventDone:
		item.done = true
	case kind == peer.EventError:
		item.err = errStreamFailed
		if sent, ok := readError(value); ok {
			item.value, item.err = nil, sent
		}
	}
	return item, true
}

// sendTo sends all events of a stream, until it has ended or an event cannot be sent.
func (s *eventStream) sendTo(values *serializer.Serializer, send func(*peer.Event) error) {
	for {
		item, more := s.next()
		if !more || item.err != nil {
			_ = send(s.lastEvent(values)) // if it fails, there is no reader to notify
			return
		}
		e, err := encodeEvent(values, item)
		if err != nil {
			_ = s.fail(err) // sent as the last event
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
	defer bridge.RecoverTo(&err)
	e = &peer.Event{Kind: peer.EventMessage}
	if e.Meta, err = item.meta.peerMeta(); err != nil {
		return nil, err
	}
	e.Data, err = appendValue(nil, values, item.value)
	return e, err
}

// lastEvent returns the event for the end of a stream.
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
		err = &Error{Code: CodeClientClosedRequest} // it has not failed but was closed
	}
	e, err := encodeEvent(values, eventItem{value: ToError(err).wire()})
	if err != nil {
		e = &peer.Event{Data: unencodableError}
	}
	e.Kind = peer.EventError
	return e
}
