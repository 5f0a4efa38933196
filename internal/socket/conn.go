package socket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

const (
	// BatchSize is about how many bytes a source should give at once.
	BatchSize = 64 << 10

	// writeTimeout is how long a connection may take nothing at all.
	writeTimeout = 30 * time.Second
	// closeTimeout is how long a connection has to answer a close frame.
	closeTimeout = 5 * time.Second
	// maxControl bounds the control frames that wait: a peer that sends pings
	// without reading the answers does not get them all.
	maxControl = 1 << 10
	// maxRounds is how many batches one connection gets before others have their turn.
	maxRounds = 8
)

// Source knows what a connection has to get next.
type Source interface {
	// Pull appends whole frames to dst, about BatchSize bytes at the most, and
	// returns it; nothing appended means that there is nothing to send until the
	// next Wake. What it returns counts as sent.
	//
	// Without wait it must not block: if it would have to, it returns behind,
	// and is called again, with wait, on a goroutine of the connection's own. It
	// is never called concurrently for one connection.
	Pull(dst []byte, wait bool) (frames []byte, behind bool)
}

// Options configures Accept.
type Options struct {
	// ReadLimit is the size of the largest message; a larger one closes the
	// connection with 1009. Required.
	ReadLimit int64
	// OriginPatterns are hosts, as in path.Match, besides the request's own that
	// the Origin header may name. AnyOrigin takes them all.
	OriginPatterns []string
	AnyOrigin      bool
}

// Conn is the server side of one WebSocket connection. Its methods are safe for
// concurrent use, except Serve.
type Conn struct {
	nc     net.Conn
	try    tryWriter // nil: only blocking writes
	ws     *websocket.Conn
	src    Source
	pool   *Pool
	writer *writer

	// The write side belongs to whoever set owned. While it is not owned, what the
	// peer has got ends at the end of a frame. dirty says that there may be
	// something to send that the owner has not seen: it is set before owned is
	// tried, and the owner looks at it again after it has let go, so nothing that
	// sets it and finds the write side taken is forgotten.
	owned, dirty, queued atomic.Bool

	lastRead atomic.Int64 // Unix nanoseconds

	// mu guards the fields below. It is held for a few instructions only.
	// After ending is set, nothing is pulled from the source, but once more if
	// there is a last frame. After shut is set, the connection is closed as soon as
	// these are out.
	mu      sync.Mutex
	control []byte // whole control frames, sent before what the source has
	last    []byte // our close frame
	ending  bool
	shut    bool
	closed  bool
}

// Accept answers a WebSocket handshake. If it fails, the answer was written to w.
// The caller starts Serve on a goroutine of its own and lets the HTTP handler
// return, which frees the buffers of net/http.
func Accept(w http.ResponseWriter, r *http.Request, pool *Pool, src Source, o Options) (*Conn, error) {
	c := &Conn{src: src, pool: pool, writer: pool.assign()}
	hj := &hijacker{ResponseWriter: w, conn: c}
	ws, err := websocket.Accept(hj, r, &websocket.AcceptOptions{
		OriginPatterns:     o.OriginPatterns,
		InsecureSkipVerify: o.AnyOrigin,
		CompressionMode:    websocket.CompressionDisabled,
	})
	if err != nil {
		return nil, fmt.Errorf("socket: accept: %w", err)
	}
	hj.ResponseWriter = nil
	ws.SetReadLimit(o.ReadLimit)
	c.ws = ws
	c.lastRead.Store(time.Now().UnixNano())
	return c, nil
}

// Serve reads messages until the connection ends and hands each to receive,
// which must not keep it waiting for long. It gives the close code that the peer
// sent, -1 if it sent none, and closes the connection.
func (c *Conn) Serve(receive func(message []byte, binary bool)) (code int) {
	defer c.shutdown()
	for {
		typ, message, err := c.ws.Read(context.Background())
		if err != nil {
			code = int(websocket.CloseStatus(err))
			if code < 0 && !isTimeout(err) {
				c.linger()
			}
			return code
		}
		receive(message, typ == websocket.MessageBinary)
	}
}

// linger reads on after a close frame of ours until the peer has answered it or
// gone: closing a connection that has unread input would take the frame back. It
// returns at once if reading has failed.
func (c *Conn) linger() {
	c.mu.Lock()
	ending, shut := c.ending, c.shut
	c.mu.Unlock()
	if !ending || shut {
		return
	}
	c.deadline(closeTimeout)
	_, _ = io.Copy(io.Discard, c.nc)
}

// Wake says that the source may have something to send.
func (c *Conn) Wake() {
	c.dirty.Store(true)
	if c.queued.CompareAndSwap(false, true) && !c.writer.push(c) {
		c.end() // the pool is closed
	}
}

// Ping sends a ping.
func (c *Conn) Ping() {
	c.mu.Lock()
	if !c.ending && len(c.control) < maxControl {
		c.control = appendHeader(c.control, opPing, 0)
	}
	c.mu.Unlock()
	c.Wake()
}

// LastRead is when the peer was last heard of, by a message or a pong.
func (c *Conn) LastRead() time.Time { return time.Unix(0, c.lastRead.Load()) }

// Close sends what the source has at hand, then a close frame, and ends the
// connection once the peer has answered it, at the latest after 5 s. Only the
// first Close counts. It does not wait.
func (c *Conn) Close(code int, reason string) {
	c.mu.Lock()
	first := !c.ending
	if first {
		c.ending = true
		c.last = appendClose(nil, code, reason)
	}
	c.mu.Unlock()
	if first {
		c.deadline(closeTimeout)
		c.Wake()
	}
}

// shutdown ends the connection once what waits in control is out.
func (c *Conn) shutdown() {
	c.mu.Lock()
	c.ending, c.shut = true, true
	c.mu.Unlock()
	_ = c.nc.SetWriteDeadline(time.Now().Add(closeTimeout))
	c.Wake()
}

// Kill ends the connection at once, without a close frame.
func (c *Conn) Kill() {
	c.mu.Lock()
	c.ending, c.shut, c.closed = true, true, true
	c.mu.Unlock()
	_ = c.nc.Close()
}

func (c *Conn) deadline(d time.Duration) { _ = c.nc.SetDeadline(time.Now().Add(d)) }

// next appends what is to be sent next to dst. done says that the connection is
// to be closed instead.
func (c *Conn) next(dst []byte, wait bool) (frames []byte, behind, done bool) {
	c.mu.Lock()
	dst = append(dst, c.control...)
	c.control = c.control[:0]
	ending, shut, last := c.ending, c.shut, c.last
	c.last = nil
	c.mu.Unlock()
	switch {
	case last != nil:
		frames, _ = c.src.Pull(dst, false)
		return append(frames, last...), false, false
	case len(dst) > 0:
		return dst, false, false
	case ending:
		return dst, false, shut
	}
	frames, behind = c.src.Pull(dst, wait)
	return frames, behind, false
}

// flush sends what can be sent without waiting, on a writer's goroutine. buf is
// the writer's.
func (c *Conn) flush(buf *[]byte) {
	for round := 0; c.dirty.Load(); round++ {
		if round == maxRounds {
			c.Wake()
			return
		}
		if !c.owned.CompareAndSwap(false, true) {
			return
		}
		c.dirty.Store(false)
		if c.flushOwned(buf, round) {
			return
		}
		c.owned.Store(false)
	}
}

// flushOwned reports whether it has given the write side to somebody else.
func (c *Conn) flushOwned(buf *[]byte, round int) (passed bool) {
	for {
		frames, behind, done := c.next((*buf)[:0], false)
		switch {
		case done:
			c.end()
			return false
		case behind || (len(frames) > 0 && c.try == nil):
			rest := append([]byte(nil), frames...)
			c.pool.wg.Go(func() { c.drain(rest) })
			return true
		case len(frames) == 0:
			return false
		}
		*buf = keep(*buf, frames)
		n, err := c.try.TryWrite(frames)
		if err != nil {
			c.fail()
			return false
		}
		if n < len(frames) {
			rest := append([]byte(nil), frames[n:]...)
			c.pool.wg.Go(func() { c.drain(rest) })
			return true
		}
		if round++; round >= maxRounds {
			c.dirty.Store(true)
			return false
		}
	}
}

// drain owns the write side and writes, waiting for the peer where it must, until
// there is nothing left.
func (c *Conn) drain(frames []byte) {
	for {
		for len(frames) > 0 {
			if !c.write(frames) {
				c.fail()
				frames = nil
				break
			}
			frames = frames[:0]
		}
		var done bool
		frames, _, done = c.next(frames, true)
		if done {
			c.end()
		}
		if len(frames) == 0 {
			break
		}
	}
	c.mu.Lock()
	if !c.ending {
		_ = c.nc.SetWriteDeadline(time.Time{})
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
			_ = c.nc.SetWriteDeadline(time.Now().Add(writeTimeout))
		}
		c.mu.Unlock()
		n, err := c.nc.Write(p)
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
	c.control, c.last = nil, nil
	c.mu.Unlock()
	c.end()
}

func (c *Conn) end() {
	c.mu.Lock()
	already := c.closed
	c.closed = true
	c.mu.Unlock()
	if !already {
		_ = c.nc.Close()
	}
}

// keep lets a buffer that had to grow stay grown, within reason.
func keep(buf, grown []byte) []byte {
	if cap(grown) > cap(buf) && cap(grown) <= 4*BatchSize {
		return grown[:0]
	}
	return buf
}
