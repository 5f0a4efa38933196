package natslog

import (
	"context"
	"sync"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// stateReader requests the stream's state for many callers: at most one request is running,
// and calls that are made meanwhile share the next one.
type stateReader struct {
	ctx  context.Context // of the log
	read func(context.Context) (streamState, error)

	requests sync.WaitGroup // grows only under mu while it is open

	mu      sync.Mutex
	closed  bool
	running *stateRead
	next    *stateRead
}

// stateRead is a request. Its result is set when done is closed.
type stateRead struct {
	done  chan struct{}
	state streamState
	err   error
}

// after returns the state of the stream at some time after the call has begun.
func (r *stateReader) after(ctx context.Context) (streamState, error) {
	r.mu.Lock()
	var mine *stateRead
	switch {
	case r.closed:
		r.mu.Unlock()
		return streamState{}, eventlog.ErrClosed
	case r.running == nil:
		mine = &stateRead{done: make(chan struct{})}
		r.running = mine
		r.requests.Go(r.run)
	case r.next == nil:
		mine = &stateRead{done: make(chan struct{})}
		r.next = mine
	default:
		mine = r.next
	}
	r.mu.Unlock()
	select {
	case <-mine.done:
		return mine.state, mine.err
	case <-ctx.Done():
		return streamState{}, ctx.Err()
	}
}

// run sends requests until no caller waits for one.
func (r *stateReader) run() {
	for {
		r.mu.Lock()
		request := r.running
		r.mu.Unlock()
		if request.state, request.err = r.read(r.ctx); r.ctx.Err() != nil {
			request.err = eventlog.ErrClosed
		}
		r.mu.Lock()
		r.running, r.next = r.next, nil
		more := r.running != nil
		r.mu.Unlock()
		close(request.done)
		if !more {
			return
		}
	}
}

// close waits for the running request, whose context has ended.
func (r *stateReader) close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.requests.Wait()
}
