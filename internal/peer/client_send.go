package peer

import (
	"fmt"
	"runtime"
)

// letter is a frame that waits to be sent: the request of a call, its abort, or an
// event of its input.
type letter struct {
	call  *pending
	abort bool
	event *inputEvent
}

// progress is how far a request has got on its way out.
type progress int8

const (
	// waiting: the request is in the queue. A call that ends takes it out again.
	waiting progress = iota
	// begun: send has got the request, so that a call that ends needs an abort.
	begun
	// dropped: the server does not get the request, and needs no abort.
	dropped
)

// post queues a letter, with mu held. Frames are sent on a goroutine of their own, in
// the order of the queue, so that a stuck socket cannot keep Do from returning when its
// context ends.
func (c *Client) post(l letter) {
	c.queue = append(c.queue, l)
	switch {
	case !c.sending:
		c.sending = true
		c.sender.Go(c.sendQueue)
	case len(c.queue) == 1:
		c.posted.Signal()
	}
}

// sendQueue sends what is queued until the client is closed, and what was queued until
// then: the aborts, for whatever use they are.
func (c *Client) sendQueue() {
	var batch []letter
	for {
		if c.awaitPost() > 1 {
			// Others who have got an answer at the same time may be about to call
			// again: one write takes it all.
			runtime.Gosched()
		}
		c.mu.Lock()
		batch, c.queue = c.queue, batch[:0]
		c.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		for _, l := range batch {
			c.sendLetter(l)
		}
		clear(batch) // which is kept, but not what is in it
		c.flush()
	}
}

// withdraw takes a request back that is not on its way yet, with mu held.
func (c *Client) withdraw(p *pending) bool {
	if p.progress != waiting {
		return false
	}
	p.progress, p.frame = dropped, Frame{}
	return true
}

// awaitPost waits for a letter, or the end, and gives how many calls there are.
func (c *Client) awaitPost() (calls int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.queue) == 0 && c.closed == nil {
		c.posted.Wait()
	}
	return len(c.calls)
}

func (c *Client) sendLetter(l letter) {
	p := l.call
	if l.event != nil {
		l.event.sent <- c.sendInput(p, l.event.frame)
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
	if l.abort {
		// A failure is left to whoever owns the socket: the call is over anyway, and
		// a socket that cannot take an abort is about to go.
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
		p.fail(fmt.Errorf("peer: send request: %w", err))
	}
}
