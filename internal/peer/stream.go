package peer

import (
	"cmp"
	"context"
	"errors"
	"io"
	"sync"
)

// Stream is the event stream that answers a request. Its methods are safe for concurrent
// use; each event is returned to one reader.
type Stream struct {
	client *Client
	call   *pending
	queue  *queue
}

// Next waits for the next event. The event of kind done or error is the last one; after it
// Next returns [io.EOF]. A stream that fails earlier returns the events that it holds and
// then the reason: [ErrOverflow] if it was read too slowly, a *[DecodeError] if an event
// could not be read, an error that wraps [ErrClosed] if the client was closed, [ErrAborted]
// after Close. If ctx ends, Next returns its cause and the stream stays open.
func (s *Stream) Next(ctx context.Context) (*Event, error) { return s.queue.next(ctx) }

// Close ends the stream and drops its unread events. The server is sent an abort unless the
// stream had ended. Close always returns nil; it implements [io.Closer].
func (s *Stream) Close() error {
	s.client.stop(s.call)
	s.queue.drop(ErrAborted)
	return nil
}

// ErrOverflow is the error of a stream whose reader is too slow: an event arrived while the
// queue was full. The events in the queue are returned before it.
var ErrOverflow = errors.New("too many unread events")

// The defaults of [Limit].
const (
	DefaultLimitEvents = 1 << 10
	DefaultLimitBytes  = 4 << 20
)

// Limit bounds the unread events of one stream. A zero field means its default.
type Limit struct {
	Events int // number of events; default [DefaultLimitEvents]
	Bytes  int // size of the frames that the events keep in memory; default [DefaultLimitBytes]
}

func (l Limit) withDefaults() Limit {
	return Limit{
		Events: cmp.Or(l.Events, DefaultLimitEvents),
		Bytes:  cmp.Or(l.Bytes, DefaultLimitBytes),
	}
}

// queue holds the events of a stream that its reader has not taken yet. Of several readers
// each takes different events.
type queue struct {
	limit Limit     // zero: push does not bound the queue, its caller does
	freed func(int) // called with the cost of events that are no longer held; may be nil

	// wake holds a token if there may be something for a waiting reader. A
	// reader that does not take everything puts the token back.
	wake chan struct{}

	// mu guards the fields below. bytes is the cost of all events. After end is set,
	// nothing is added, and only drop may change end.
	mu     sync.Mutex
	events []*Event
	bytes  int
	end    error // returned to readers when events is empty
}

func newQueue(l Limit) *queue {
	return &queue{limit: l.withDefaults(), wake: make(chan struct{}, 1)}
}

// newInput returns a queue without a limit: the server counts its events.
func newInput(freed func(cost int)) *queue {
	return &queue{freed: freed, wake: make(chan struct{}, 1)}
}

// push adds an event. It returns false if the queue has failed because it is full.
// The event that ends the stream is always added.
func (q *queue) push(e *Event) bool {
	q.mu.Lock()
	if q.end != nil {
		q.mu.Unlock()
		q.free(e.cost())
		return true
	}
	defer q.mu.Unlock()
	defer q.signal()
	full := q.limit.Events > 0 && (len(q.events) >= q.limit.Events || q.bytes+e.cost() > q.limit.Bytes)
	if e.ends() {
		q.end = io.EOF
	} else if full {
		q.end = ErrOverflow
		return false
	}
	q.events = append(q.events, e)
	q.bytes += e.cost()
	return true
}

// fail ends the queue, unless it has ended. Its events can still be read. It reports
// whether the queue was open.
func (q *queue) fail(err error) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.end != nil {
		return false
	}
	q.end = err
	q.signal()
	return true
}

// drop is like fail, but also drops the events. If there were unread ones, reads return err
// even if the queue had ended before. It reports whether the queue was open.
func (q *queue) drop(err error) bool {
	q.mu.Lock()
	open := q.end == nil
	if open || len(q.events) > 0 {
		q.end = err
	}
	bytes := q.bytes
	q.events, q.bytes = nil, 0
	q.signal()
	q.mu.Unlock()
	q.free(bytes)
	return open
}

// next waits for the next event. After the last one it returns the error that ended the
// queue.
func (q *queue) next(ctx context.Context) (*Event, error) {
	for {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if e, err := q.take(); e != nil || err != nil {
			return e, err
		}
		select {
		case <-q.wake:
		case <-ctx.Done():
		}
	}
}

func (q *queue) take() (*Event, error) {
	q.mu.Lock()
	if len(q.events) == 0 {
		defer q.mu.Unlock()
		if q.end != nil {
			q.signal()
		}
		return nil, q.end
	}
	e := q.events[0]
	q.events[0] = nil
	q.events = q.events[1:]
	q.bytes -= e.cost()
	if len(q.events) > 0 || q.end != nil {
		q.signal()
	}
	q.mu.Unlock()
	q.free(e.cost())
	return e, nil
}

func (q *queue) free(cost int) {
	if q.freed != nil && cost > 0 {
		q.freed(cost)
	}
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}
