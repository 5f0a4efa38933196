package socket

import (
	"errors"
	"net"
	"time"
)

// maxRounds is how many batches one connection gets before others have their turn.
const maxRounds = 8

// next fills a batch with what is to be sent next. done means that the connection is
// to be closed instead.
func (c *Conn) next(b *Batch, wait bool) (more More, done bool) {
	c.mu.Lock()
	if c.closing > 0 { // what the source has comes first, up to a limit
		c.closing--
		c.mu.Unlock()
		if c.src.Pull(b, false) != Some {
			c.mu.Lock()
			c.closing = 0
			c.mu.Unlock()
		}
		return Some, false
	}
	control, ending, shut := c.control, c.ending.Load(), c.shut
	c.control = nil // an idle connection keeps no buffer
	c.mu.Unlock()
	b.Own = append(b.Own, control...)
	switch {
	case len(control) > 0:
		return Some, false
	case ending:
		return None, shut
	}
	return c.src.Pull(b, wait), false
}

func (c *Conn) run(w *writer) {
	c.queued.Store(false)
	c.flush(w)
}

// flush sends what can be sent without waiting, on a writer's goroutine.
func (c *Conn) flush(w *writer) {
	for round := 0; c.dirty.Load(); round++ {
		if round == maxRounds {
			c.Wake()
			return
		}
		if !c.owned.CompareAndSwap(false, true) {
			return
		}
		c.dirty.Store(false)
		if c.flushOwned(w, round) {
			return
		}
		c.owned.Store(false)
	}
}

// flushOwned reports whether it has given the write side to somebody else.
func (c *Conn) flushOwned(w *writer, round int) (passed bool) {
	b := &w.batch
	for {
		b.reset()
		more, done := c.next(b, false)
		if done {
			c.end()
			return false
		}
		n, err := w.try(c, b)
		switch {
		case err != nil:
			c.fail()
			return false
		case more == Slow, n < len(b.Own)+len(b.Shared):
			rest := b.sent(n)
			c.pool.wg.Go(func() { c.drain(&rest, more) })
			return true
		case more == None:
			return false
		}
		if round++; round >= maxRounds {
			c.dirty.Store(true)
			return false
		}
	}
}

// try writes what the kernel takes at once.
func (w *writer) try(c *Conn, b *Batch) (n int, err error) {
	if len(b.Own) > 0 {
		if n, err = w.trier.try(c, b.Own); n < len(b.Own) || err != nil {
			return n, err
		}
	}
	if len(b.Shared) > 0 {
		var m int
		m, err = w.trier.try(c, b.Shared)
		n += m
	}
	return n, err
}

// drain owns the write side and writes, waiting for the peer where it must, until
// there is nothing left. more is what there is besides b.
func (c *Conn) drain(b *Batch, more More) {
	for {
		if !c.write(b.Own) || !c.write(b.Shared) {
			c.fail()
		}
		if more == None {
			break
		}
		var done bool
		b.reset()
		if more, done = c.next(b, true); done {
			c.end()
		}
	}
	c.mu.Lock()
	if !c.ending.Load() {
		_ = c.wire.SetWriteDeadline(time.Time{})
	}
	c.mu.Unlock()
	c.owned.Store(false)
	if c.dirty.Load() {
		c.Wake()
	}
}

const (
	// stallSteps is how often in a stall timeout it is looked at what the kernel has
	// accepted of a long write.
	stallSteps = 4
	// blindChunk is what is written at a time to a connection of which only whole
	// writes can be observed, as one with TLS.
	blindChunk = 8 << 10
	// waited is how long a write takes at least that has waited for the peer.
	waited = 5 * time.Millisecond
)

// write writes all of p. It closes the connection when that has accepted nothing for
// the stall timeout; from then on the deadline of the closing counts. Bytes for which
// there was room only after a wait are a sign of life: the peer has taken others. It may
// be long before it reads the ping that is behind them.
func (c *Conn) write(p []byte) bool {
	step, chunk := c.stallTimeout/stallSteps, len(p)
	if c.fd == nil { // a TLS connection cannot be used after a timeout
		step, chunk = c.stallTimeout, blindChunk
	}
	moved := time.Now()
	for len(p) > 0 {
		c.mu.Lock()
		if !c.ending.Load() {
			_ = c.wire.SetWriteDeadline(time.Now().Add(step))
		}
		c.mu.Unlock()
		begun := time.Now()
		n, err := c.wire.Write(p[:min(len(p), chunk)])
		p = p[n:]
		if n > 0 {
			moved = time.Now()
			if moved.Sub(begun) >= waited {
				c.alive(moved)
			}
		}
		switch {
		case err == nil || n > 0 && isTimeout(err):
		case !isTimeout(err) || c.ending.Load():
			return false
		case time.Since(moved) >= c.stallTimeout:
			c.abandon(statusTryAgainLater, "Too slow")
		}
	}
	return true
}

func isTimeout(err error) bool {
	ne, ok := errors.AsType[net.Error](err)
	return ok && ne.Timeout()
}

// fail abandons a connection that cannot be written to. Its reader notices.
func (c *Conn) fail() {
	c.decide(func() {})
	c.mu.Lock()
	c.shut = true
	c.control = nil
	c.closing = 0
	c.mu.Unlock()
	c.end()
}

func (c *Conn) end() {
	c.mu.Lock()
	already := c.closed
	c.closed = true
	c.mu.Unlock()
	if !already {
		_ = c.wire.Close()
	}
}
