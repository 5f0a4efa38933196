package socket

import (
	"errors"
	"net"
	"time"
)

// maxRounds is how many batches one connection gets before others have their turn.
const maxRounds = 8

// next fills a batch with what is to be sent next. done says that the connection is
// to be closed instead.
func (c *Conn) next(b *Batch, wait bool) (more More, done bool) {
	c.mu.Lock()
	control, ending, shut := c.control, c.ending, c.shut
	closing := c.closing && len(control) > 0
	c.control = nil // an idle connection keeps no buffer
	c.mu.Unlock()
	if closing {
		c.src.Pull(b, false)
		b.Own, b.Shared = append(b.Own, b.Shared...), nil
	}
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
// there is nothing left. more says what there is besides b.
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
	if !c.ending {
		_ = c.wire.Conn.SetWriteDeadline(time.Time{})
	}
	c.mu.Unlock()
	c.owned.Store(false)
	if c.dirty.Load() {
		c.Wake()
	}
}

// write gives the peer writeTimeout to take something, again and again, unless the
// connection is ending, which has its own deadline.
func (c *Conn) write(p []byte) bool {
	for len(p) > 0 {
		c.mu.Lock()
		if !c.ending {
			_ = c.wire.Conn.SetWriteDeadline(time.Now().Add(writeTimeout))
		}
		c.mu.Unlock()
		n, err := c.wire.Conn.Write(p)
		p = p[n:]
		if err != nil && (n == 0 || !isTimeout(err)) {
			return false
		}
	}
	return true
}

func isTimeout(err error) bool {
	ne, ok := errors.AsType[net.Error](err)
	return ok && ne.Timeout()
}

// fail gives up on a connection that cannot be written to. Its reader notices.
func (c *Conn) fail() {
	c.mu.Lock()
	c.ending, c.shut = true, true
	c.control = nil
	c.mu.Unlock()
	c.end()
}

func (c *Conn) end() {
	c.mu.Lock()
	already := c.closed
	c.closed = true
	c.mu.Unlock()
	if !already {
		_ = c.wire.Conn.Close()
	}
}
