package peer

import (
	"context"
	"slices"
	"sync"
)

// callTable finds the calls of a server by their ids. An idle socket has one call or none,
// so up to shortTable calls are kept in a list without an index.
type callTable struct {
	list []*Call
	byID map[string]*Call // nil while the list is short
}

// shortTable is the number of calls up to which there is no index.
const shortTable = 16

func (t *callTable) find(id ID) *Call {
	if t.byID != nil {
		return t.byID[string(id)]
	}
	for _, c := range t.list {
		if string(c.id) == string(id) {
			return c
		}
	}
	return nil
}

func (t *callTable) add(c *Call) {
	c.place = len(t.list)
	t.list = append(t.list, c)
	switch {
	case t.byID != nil:
		t.byID[string(c.id)] = c
	case len(t.list) > shortTable:
		t.byID = make(map[string]*Call, 2*len(t.list))
		for _, c := range t.list {
			t.byID[string(c.id)] = c
		}
	}
}

func (t *callTable) remove(c *Call) {
	last := len(t.list) - 1
	t.list[c.place], t.list[last].place = t.list[last], c.place
	t.list[last] = nil
	t.list = t.list[:last]
	if t.byID != nil {
		delete(t.byID, string(c.id))
	}
	if last == 0 {
		t.byID = nil
		if cap(t.list) > shortTable {
			t.list = nil
		}
	}
}

// lane limits how many calls run at a time; others wait in order. A call that ends while it
// waits is removed in amortized constant time. When a call that runs ends, up to two
// waiting calls begin: after a pause in which the client has not read, outputs then grow
// only as fast as the client reads.
type lane struct {
	limit      int
	running    int
	unanswered int // running calls that wait with their outputs for a turn to answer
	calls      []*Call
	ended      int // number of calls that have ended
}

func (l *lane) free() bool { return l.running < l.limit && l.unanswered < maxUnanswered }

func (l *lane) empty() bool { return len(l.calls) == l.ended }

func (l *lane) push(c *Call) { l.calls = append(l.calls, c) }

// drop must be called when a call ends while it waits.
func (l *lane) drop() {
	if l.ended++; l.ended > len(l.calls)/2 {
		l.calls = slices.DeleteFunc(l.calls, func(c *Call) bool { return c.over != nil })
		l.ended = 0
	}
}

// pop removes and returns the first call, or returns nil if there is none.
func (l *lane) pop() (first *Call) {
	for len(l.calls) > 0 {
		first, l.calls[0] = l.calls[0], nil
		if l.calls = l.calls[1:]; len(l.calls) == 0 {
			l.calls = nil
		}
		if first.over == nil {
			return first
		}
		l.ended--
	}
	return nil
}

// turns limits how many goroutines may do something at a time, in the order in which they
// came. It is not a lock: user code may run in a turn, and waiting for one ends with a
// context. free must be set before the first use.
type turns struct {
	mu      sync.Mutex
	free    int
	closed  bool
	waiters []chan struct{} // nil while free is above 0
}

// tryTake takes a turn if there is one, without waiting, and reports whether it did.
func (t *turns) tryTake() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed || t.free == 0 {
		return false
	}
	t.free--
	return true
}

// take waits for a turn, which the caller must end with release. It returns the cause of ctx
// if that ends first, and [ErrClosed] if t is closed.
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

func (t *turns) release() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiters) == 0 {
		t.free++
		t.waiters = nil // an idle connection should hold no buffer
		return
	}
	close(t.waiters[0])
	t.waiters = slices.Delete(t.waiters, 0, 1)
}

// close makes all calls of take that wait, and later ones, return [ErrClosed]. Turns that
// have begun continue.
func (t *turns) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	for _, w := range t.waiters {
		close(w)
	}
	t.waiters = nil
}
