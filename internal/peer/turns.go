package peer

import (
	"context"
	"slices"
	"sync"
)

// turns lets a number of goroutines in at a time, in the order in which they came. It is
// not a lock: user code may run in a turn, and waiting for one ends with a context. free is
// set before the first use.
type turns struct {
	mu      sync.Mutex
	free    int
	closed  bool
	waiters []chan struct{} // nil while free is above 0
}

// take waits for a turn, which ends with give. Without one it returns the cause of ctx, or
// [ErrClosed].
func (t *turns) take(ctx context.Context) error {
	t.mu.Lock()
	switch {
	case t.closed:
		t.mu.Unlock()
		return ErrClosed
	case t.free > 0:
		t.free--
		t.mu.Unlock()
		return nil
	}
	w := make(chan struct{})
	t.waiters = append(t.waiters, w)
	t.mu.Unlock()
	select {
	case <-w:
	case <-ctx.Done():
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := slices.Index(t.waiters, w); i >= 0 {
		t.waiters = slices.Delete(t.waiters, i, i+1)
		return context.Cause(ctx)
	}
	if t.closed {
		return ErrClosed
	}
	return nil
}

func (t *turns) give() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiters) == 0 {
		t.free++
		t.waiters = nil // an idle connection keeps no buffer
		return
	}
	close(t.waiters[0])
	t.waiters = slices.Delete(t.waiters, 0, 1)
}

// close ends all waiting. Turns that have begun go on.
func (t *turns) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	for _, w := range t.waiters {
		close(w)
	}
	t.waiters = nil
}
