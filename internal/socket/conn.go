package socket

import (
	"context"
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

// Conn is the server side of one WebSocket connection. Its methods are safe for
// concurrent use, except Serve.
type Conn struct {
	nc     net.Conn
	try    tryWriter // nil: only blocking writes
	ws     *websocket.Conn
	src    Source
	pool   *Pool
	writer int

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
	// Unless it is closed, its finalizer keeps it, and all of us, in memory for good.
	defer func() { _ = c.ws.CloseNow() }()
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

// Writer is the number of the writer that the connection is assigned to.
func (c *Conn) Writer() int { return c.writer }

// Wake says that the source may have something to send.
func (c *Conn) Wake() {
	c.dirty.Store(true)
	if c.queued.CompareAndSwap(false, true) && !c.pool.writers[c.writer].push(c) {
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
