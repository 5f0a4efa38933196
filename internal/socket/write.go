package socket

import (
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"github.com/go-orpc/durable-iterator/internal/goroutine"
)

// maxRounds is the most batches that are written for one connection before other
// connections have their turn.
const maxRounds = 8

// next fills a batch with the frames that are to be sent next. done means that there are
// none and the connection must be closed.
func (c *Conn) next(b *Batch, wait bool) (more More, done bool) {
	c.mu.Lock()
	if c.closing > 0 { // the source's frames come first, up to a limit
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
	c.control = nil // an idle connection should hold no buffer
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

// flush sends what it can without waiting. It runs on a writer's goroutine.
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

// flushOwned writes batches until nothing is left, or maxRounds is reached, or writing
// would block. In the last case it starts drain, which then owns the write side, and
// returns true.
func (c *Conn) flushOwned(w *writer, round int) (passed bool) {
	b := &w.batch
	for {
		b.reset()
		more, done := c.next(b, false)
		if done {
			c.end()
			return false
		}
		w.count(b)
		n, err := w.try(c, b)
		switch {
		case err != nil:
			c.fail()
			return false
		case more == WouldBlock, n < len(b.Own)+len(b.Shared):
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

// try writes as much of a batch as the kernel takes without waiting.
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

// drain owns the write side and writes until nothing is left, waiting for the client if
// necessary. b is written first, and more describes what there is after it.
func (c *Conn) drain(b *Batch, more More) {
	if more == WouldBlock { // not needed for writing only
		goroutine.GrowStack()
	}
	for {
		if !c.write(b.Own) || !c.write(b.Shared) {
			c.fail()
		}
		if more == None {
			break
		}
		var done bool
		b.reset()
		c.waiting.Store(true)
		more, done = c.next(b, true)
		c.waiting.Store(false)
		if done {
			c.end()
		}
		c.pool.writers[c.writer].traffic.add(b.Events, len(b.Own)+len(b.Shared))
	}
	c.writeBy(time.Time{})
	c.owned.Store(false)
	if c.dirty.Load() {
		c.Wake()
	}
}

const (
	// stallSteps is the number of times in a stall timeout that a long write is interrupted
	// to see how much the kernel has taken.
	stallSteps = 4
	// blindChunk is the number of bytes written at a time to a connection that only shows
	// when a whole write is done, such as one with TLS, which sends them as one record.
	blindChunk = 16 << 10
	// blindSlack is the part of a stall timeout by which the deadline of such a write may be
	// late, so that one deadline serves several writes.
	blindSlack = 8
	// waited is the least duration of a write that has had to wait for the client.
	waited = 5 * time.Millisecond
)

// write writes all of p. It closes the connection when the client has taken no byte for the
// stall timeout; after that only the deadline of the closing applies. Bytes that are
// written after a wait are a sign of life, since the client must have taken others. It may
// take long to reach the ping that is queued behind them.
func (c *Conn) write(p []byte) bool {
	if len(p) == 0 {
		return true
	}
	step, chunk, slack := c.stallTimeout/stallSteps, len(p), time.Duration(0)
	if c.fd == nil { // a TLS connection cannot be used after a timeout
		step, chunk = c.stallTimeout, blindChunk
	}
	var deadline time.Time
	begun := time.Now()
	moved := begun
	for len(p) > 0 {
		if deadline.Sub(begun) < step {
			deadline = begun.Add(step + slack)
			c.writeBy(deadline)
			if c.fd == nil {
				slack = step / blindSlack
			}
		}
		n, err := c.wire.Write(p[:min(len(p), chunk)])
		p = p[n:]
		now := time.Now()
		if n > 0 {
			moved = now
			if moved.Sub(begun) >= waited {
				c.alive(moved)
			}
		}
		switch {
		case err == nil || n > 0 && isTimeout(err):
		case !isTimeout(err) || c.ending.Load():
			return false
		case now.Sub(moved) >= c.stallTimeout:
			c.abandon(statusTryAgainLater, "Too slow")
		}
		begun = now
	}
	return true
}

// writeBy sets the write deadline, unless the connection is closing, which has its own.
func (c *Conn) writeBy(deadline time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ending.Load() {
		_ = c.wire.SetWriteDeadline(deadline)
	}
}

func isTimeout(err error) bool {
	ne, ok := errors.AsType[net.Error](err)
	return ok && ne.Timeout()
}

// fail closes a connection that cannot be written to. Its reader then gets an error.
func (c *Conn) fail() {
	c.decide(StatusAbnormal, func() {})
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

// tryWriter is a net.Conn that can be written to without waiting, such as a connection in
// memory in tests. A nil error with n < len(p) means that writing more would block.
type tryWriter interface {
	TryWrite(p []byte) (n int, err error)
}

// trier writes without waiting. Each writer has one, so that connections need no memory for
// it.
type trier struct {
	write func(fd uintptr) bool // the method once, converted one time: it would be allocated at each call

	p   []byte
	n   int
	err error
}

func newTrier() *trier {
	t := &trier{}
	t.write = t.once
	return t
}

// descriptor returns the connection's file descriptor, or nil if it has none or the system
// cannot write to one without waiting.
func descriptor(nc net.Conn) syscall.RawConn {
	sc, ok := nc.(syscall.Conn)
	if !ok || !canTry {
		return nil
	}
	fd, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	return fd
}

// try writes as much of p as the connection takes without waiting.
func (t *trier) try(c *Conn, p []byte) (n int, err error) {
	if c.fd == nil {
		if w, ok := c.wire.(tryWriter); ok {
			return w.TryWrite(p)
		}
		return 0, nil
	}
	t.p = p
	err = c.fd.Write(t.write)
	t.p = nil
	if err == nil && !errors.Is(t.err, syscall.EAGAIN) {
		err = t.err
	}
	if err != nil {
		return 0, fmt.Errorf("socket: write: %w", err)
	}
	return t.n, nil
}

func (t *trier) once(fd uintptr) bool {
	for {
		t.n, t.err = write(fd, t.p)
		if !errors.Is(t.err, syscall.EINTR) {
			break
		}
	}
	t.n = max(t.n, 0)
	return true
}
