package peer

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"sync/atomic"
)

// outgoing is a frame that waits to be sent: the request of a call, its abort, or an
// event of its input.
type outgoing struct {
	call  *pending
	abort bool
	event *inputEvent
}

// progress is how far the sending of a request has got.
type progress int8

const (
	// waiting: the request is in the queue. It is withdrawn if the call ends.
	waiting progress = iota
	// begun: the request was passed to send. An abort is sent if the call ends.
	begun
	// dropped: the request is not sent, and no abort either.
	dropped
)

// enqueue adds a frame to the queue. mu must be held. Frames are sent on a separate
// goroutine, in the order of the queue, so that a stuck socket cannot keep Do from
// returning when its context ends.
func (c *Client) enqueue(f outgoing) {
	c.queue = append(c.queue, f)
	switch {
	case !c.sending:
		c.sending = true
		c.sender.Go(c.sendQueue)
	case len(c.queue) == 1:
		c.queued.Signal()
	}
}

// sendQueue sends queued frames until the client is closed and the queue is empty. Aborts
// are then still sent, though the socket may be closed.
func (c *Client) sendQueue() {
	var batch []outgoing
	for {
		if c.awaitQueued() > 1 {
			// Other callers that were answered at the same time may be about to call again.
			// Then one write sends all their requests.
			runtime.Gosched()
		}
		c.mu.Lock()
		batch, c.queue, c.withdrawn = c.queue, batch[:0], 0
		closed := c.closed != nil
		c.mu.Unlock()
		if closed && len(batch) == 0 {
			return // if not closed, all queued requests have been withdrawn
		}
		for _, f := range batch {
			c.sendOne(f)
		}
		clear(batch) // the slice is used again and must not hold its frames
		c.flush()
	}
}

// withdraw drops a request that has not been passed to send, and reports whether it did. mu
// must be held.
func (c *Client) withdraw(p *pending) bool {
	if p.progress != waiting {
		return false
	}
	p.progress, p.frame = dropped, Frame{}
	// Dropped requests are also removed from the queue, so that it cannot grow when a
	// server takes nothing. The request may be in the batch that is being sent instead.
	if c.withdrawn++; c.withdrawn > len(c.queue)/2 {
		c.queue = slices.DeleteFunc(c.queue, func(f outgoing) bool { return f.call.progress == dropped })
		c.withdrawn = 0
	}
	return true
}

// awaitQueued waits until a frame is queued or the client is closed. It returns how many
// calls there are.
func (c *Client) awaitQueued() (calls int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.queue) == 0 && c.closed == nil {
		c.queued.Wait()
	}
	return len(c.calls)
}

func (c *Client) sendOne(f outgoing) {
	p := f.call
	if f.event != nil {
		f.event.sent <- c.sendInput(p, f.event.frame)
		return
	}
	c.mu.Lock()
	if p.progress == dropped {
		c.mu.Unlock()
		return
	}
	frame := p.frame
	p.progress, p.frame = begun, Frame{}
	c.mu.Unlock()
	if f.abort {
		// The owner of the socket handles a failure: the call has ended anyway, and a
		// socket that does not take an abort is about to close.
		_ = c.send(c.life, Frame{Data: AppendAbort(nil, p.id)})
		return
	}
	err := c.send(&p.sending, frame)
	if err == nil {
		return
	}
	c.mu.Lock()
	p.progress = dropped
	failed := c.remove(p)
	c.mu.Unlock()
	if failed {
		p.fail(fmt.Errorf("send request: %w", err))
	}
}

// ValuesContext is a context that ends with its Context and has the values of both, those
// of Values first.
type ValuesContext struct {
	context.Context
	Values context.Context // never ends, so that it cannot be mistaken for Context
}

// WithValues returns a context that ends with life and has the values of both.
func WithValues(life, values context.Context) ValuesContext {
	return ValuesContext{life, context.WithoutCancel(values)}
}

// Value implements [context.Context].
func (c ValuesContext) Value(key any) any {
	if v := c.Values.Value(key); v != nil {
		return v
	}
	return c.Context.Value(key)
}

// Sequence makes the ids of requests: 1, 2, … in base 36. The zero value is ready for use.
// Many clients may use one sequence, one after another or at once, so that an iterator
// never uses an id twice on any of its connections.
type Sequence struct{ last atomic.Uint64 }

// Next returns the next id. It is safe for concurrent use.
func (s *Sequence) Next() ID {
	id := append(make(ID, 0, 16), '"')
	id = strconv.AppendUint(id, s.last.Add(1), 36)
	return append(id, '"')
}
