package socket

import (
	"bufio"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/coder/websocket"

	"github.com/go-orpc/durable-iterator/internal/wheel"
)

const (
	// writeTimeout is how long a connection may take nothing at all.
	writeTimeout = 30 * time.Second
	// closeTimeout is how long a connection has to answer a close frame.
	closeTimeout = 5 * time.Second
	// maxControl bounds the control frames that wait: a peer that sends pings
	// without reading the answers does not get them all.
	maxControl = 1 << 10
)

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

// Conn is the server side of one WebSocket connection. It is meant to be a part of
// its source, and not to be copied. After Accept its methods are safe for concurrent
// use.
type Conn struct {
	wire   transport
	fd     syscall.RawConn // nil: only blocking writes
	ws     *websocket.Conn
	src    Source
	pool   *Pool
	writer int

	// The read side belongs to the goroutine that reads: see read.
	buffer  *bufio.Reader // of ws
	handler Handler
	within  bool // a message
	quiet   bool // the next read is of a new frame, and is not to be waited for

	// The write side belongs to whoever set owned. While it is not owned, what the
	// peer has got ends at the end of a frame. dirty says that there may be
	// something to send that the owner has not seen: it is set before owned is
	// tried, and the owner looks at it again after it has let go, so nothing that
	// sets it and finds the write side taken is forgotten.
	owned, dirty, queued atomic.Bool

	lastRead atomic.Int64 // nanoseconds since the pool was made
	visits   wheel.Entry

	// mu guards the fields below. It is held for a few instructions only.
	// After ending is set, nothing is pulled from the source, but once more if closing
	// is. After shut is set, the connection is closed as soon as control is out.
	mu      sync.Mutex
	control []byte // control frames, sent before what the source has
	closing bool   // the last of them is our close frame: all come behind what the source has
	ending  bool
	shut    bool
	closed  bool
}

// Accept answers a WebSocket handshake and makes c, which is new, its connection. If
// it fails, the request was answered, or its connection is closed; [RefusalLevel] tells
// apart whose mistake that is. The caller calls Serve and lets the HTTP handler
// return, which frees the buffers of net/http.
func (c *Conn) Accept(w http.ResponseWriter, r *http.Request, pool *Pool, src Source, o Options) error {
	c.src, c.pool, c.writer = src, pool, pool.assign()
	options := &websocket.AcceptOptions{
		OriginPatterns:     o.OriginPatterns,
		InsecureSkipVerify: o.AnyOrigin,
		CompressionMode:    websocket.CompressionDisabled,
	}
	c.takeControl(options)
	h := &hijacker{ResponseWriter: w, conn: c}
	ws, err := websocket.Accept(h, r, options)
	if err != nil {
		h.refuse()
		return fmt.Errorf("socket: accept: %w", err)
	}
	ws.SetReadLimit(o.ReadLimit)
	c.ws = ws
	c.buffer.Reset(&c.wire) // from what coder/websocket has put between
	c.lastRead.Store(int64(time.Since(pool.start)))
	return nil
}

// Writer is the number of the writer that the connection is assigned to.
func (c *Conn) Writer() int { return c.writer }

// Wake says that the source may have something to send.
func (c *Conn) Wake() {
	c.dirty.Store(true)
	if c.queued.CompareAndSwap(false, true) && !c.pool.writers[c.writer].push(c) {
		c.end() // the pool is closed
	}
}

// Visit implements [wheel.Visitor]: it looks after the source, asks a peer that is
// silent for a sign of life, and ends the connection if there is none.
func (c *Conn) Visit(now time.Time) (again time.Time) {
	again = c.src.Visit(now)
	interval := c.pool.ping
	if interval <= 0 {
		return again
	}
	lastRead := c.pool.start.Add(time.Duration(c.lastRead.Load()))
	next := lastRead.Add(interval)
	switch silent := now.Sub(lastRead); {
	case silent >= 2*interval:
		c.Kill()
		return time.Time{}
	case silent >= interval:
		c.answer(opPing, nil)
		next = lastRead.Add(2 * interval)
	}
	if again.IsZero() || next.Before(again) {
		again = next
	}
	return again
}

// VisitAt has the source visited at a time, if it would be only later.
func (c *Conn) VisitAt(t time.Time) { c.pool.wheel.Hurry(&c.visits, t) }

// answer sends a control frame.
func (c *Conn) answer(op byte, payload []byte) {
	c.mu.Lock()
	if !c.ending && len(c.control)+len(payload) < maxControl {
		c.control = append(appendHeader(c.control, op, len(payload)), payload...)
	}
	c.mu.Unlock()
	c.Wake()
}

// Close sends what the source has at hand, then a close frame, and ends the
// connection once the peer has answered it, at the latest after 5 s. Only the
// first Close counts. It does not wait.
func (c *Conn) Close(code int, reason string) {
	c.mu.Lock()
	first := !c.ending
	if first {
		c.ending, c.closing = true, true
		c.control = appendClose(c.control, code, reason)
	}
	c.mu.Unlock()
	if first {
		c.deadline(closeTimeout)
		c.Wake()
	}
}

// shutdown ends the connection once what waits in control is out.
func (c *Conn) shutdown() {
	c.pool.wheel.Remove(&c.visits)
	c.mu.Lock()
	c.ending, c.shut = true, true
	c.mu.Unlock()
	_ = c.wire.Conn.SetWriteDeadline(time.Now().Add(closeTimeout))
	c.Wake()
}

// Kill ends the connection at once, without a close frame.
func (c *Conn) Kill() {
	c.mu.Lock()
	c.ending, c.shut, c.closed = true, true, true
	c.mu.Unlock()
	_ = c.wire.Conn.Close()
}

func (c *Conn) deadline(d time.Duration) { _ = c.wire.Conn.SetDeadline(time.Now().Add(d)) }
