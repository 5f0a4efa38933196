package socket

import (
	"bufio"
	"cmp"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/coder/websocket"

	"github.com/go-orpc/durable-iterator/internal/wheel"
)

// Defaults of Options.
const (
	DefaultMessageTimeout = 30 * time.Second
	DefaultStallTimeout   = 10 * time.Second
)

const (
	// closeTimeout is how long a connection has to answer a close frame.
	closeTimeout = 5 * time.Second
	// maxControl bounds the control frames that wait: a peer that sends pings
	// without reading the answers is not sent all of them.
	maxControl = 1 << 10
	// closeBatches is how many batches of the source go out before a close frame.
	closeBatches = 16
)

// Options configures Accept.
type Options struct {
	// ReadLimit is the size of the largest message, over all its fragments. A frame
	// header that announces more closes the connection with 1009. Required.
	ReadLimit int64
	// MessageTimeout is how long a message may take from its first frame to its
	// last. A message that takes longer closes the connection with 1008. 0 is
	// [DefaultMessageTimeout].
	MessageTimeout time.Duration
	// StallTimeout is how long the connection may accept no bytes while some wait
	// to be written. Then it is closed with 1013. Of a connection without a file
	// descriptor, as one with TLS, it must accept 16 KiB, or all that there is, in that
	// time. 0 is [DefaultStallTimeout].
	StallTimeout time.Duration
	// OriginPatterns are hosts, as in path.Match, besides the request's own that
	// the Origin header may name. AnyOrigin allows all.
	OriginPatterns []string
	AnyOrigin      bool
	// Subprotocols are those that the server speaks. The first that the client offers
	// too is selected.
	Subprotocols []string
}

// Conn is the server side of one WebSocket connection. It is meant to be a part of
// its source, and not to be copied. After Accept its methods are safe for concurrent
// use.
type Conn struct {
	wire   net.Conn
	fd     syscall.RawConn // nil: only blocking writes
	src    Source
	pool   *Pool
	writer int

	readLimit      int64
	messageTimeout time.Duration
	stallTimeout   time.Duration

	// buffer belongs to the goroutine that reads: see read.
	buffer *bufio.Reader

	// lastSign is when the peer last showed that it lives: bytes came from it, or a write
	// went on that had waited for it. reading is when the frame or message that
	// is incomplete began, 0 if there is none; both in nanoseconds since the pool was
	// made. paused is set while the handler keeps the reader waiting.
	lastSign atomic.Int64
	reading  atomic.Int64
	paused   atomic.Bool
	visits   wheel.Entry

	// The write side belongs to the goroutine that has set owned. While it is not
	// owned, what was written ends at the end of a frame. dirty means that there may
	// be something to send that the owner has not seen: it is set before owned is
	// tried, and the owner looks at it again after it has cleared owned, so nothing
	// that sets it and finds the write side taken is forgotten.
	owned, dirty, queued atomic.Bool

	// waiting is set while drain may wait for the source, and the close frame with it. It is
	// set before ending is looked at.
	waiting atomic.Bool

	// ending is set, under mu, when the decision to close was made. From then on no
	// message is handed on, and nothing is pulled from the source except before our
	// close frame.
	ending atomic.Bool

	// mu guards the fields below. It is held for a few instructions only.
	//
	//   - control frames are sent before what the source has; closing, if it is above
	//     0, is how many batches of the source may still go out before them, the last
	//     of which is our close frame.
	//   - After shut is set, the connection is closed as soon as control is out.
	//   - handler is called once with Closing: by the one that sets ending, or by
	//     Serve if that was before.
	mu      sync.Mutex
	handler Handler
	control []byte
	closing int
	shut    bool
	closed  bool
	byPeer  bool   // code is the client's
	code    uint16 // with which it was closed; 0 before ending is set
}

// Accept answers a WebSocket handshake and makes c, which is new, its connection. If
// it fails, the request was answered, or its connection is closed; see [RefusalLevel] for
// whose mistake that is. The caller calls Serve and lets the HTTP handler
// return, which frees the buffers of net/http.
func (c *Conn) Accept(w http.ResponseWriter, r *http.Request, pool *Pool, src Source, o Options) error {
	c.src, c.pool, c.writer = src, pool, pool.assign()
	c.readLimit = o.ReadLimit
	c.messageTimeout = cmp.Or(o.MessageTimeout, DefaultMessageTimeout)
	c.stallTimeout = cmp.Or(o.StallTimeout, DefaultStallTimeout)
	h := &hijacker{ResponseWriter: w, conn: c}
	handshake, err := websocket.Accept(h, r, &websocket.AcceptOptions{
		OriginPatterns:     o.OriginPatterns,
		InsecureSkipVerify: o.AnyOrigin,
		Subprotocols:       o.Subprotocols,
		CompressionMode:    websocket.CompressionDisabled,
	})
	if err != nil {
		h.refuse()
		return fmt.Errorf("socket: accept: %w", err)
	}
	_ = handshake.CloseNow() // frees it; the connection stays open: see handshaken
	c.alive(time.Now())
	return nil
}

// Writer returns the number of the writer that the connection is assigned to.
func (c *Conn) Writer() int { return c.writer }

// Wake must be called when the source may have something to send.
func (c *Conn) Wake() {
	c.dirty.Store(true)
	if c.queued.CompareAndSwap(false, true) && !c.pool.writers[c.writer].push(c) {
		c.end() // the pool is closed
	}
}

// Visit implements [wheel.Visitor]: it visits the source, pings a silent peer, and
// closes the connection if the peer stays silent or takes too long over a message.
func (c *Conn) Visit(now time.Time) (again time.Time) {
	again = now.Add(c.messageTimeout) // for a message that begins right after this
	sooner := func(t time.Time) {
		if !t.IsZero() && t.Before(again) {
			again = t
		}
	}
	sooner(c.src.Visit(now))
	if began := c.reading.Load(); began > 0 {
		late := c.pool.start.Add(time.Duration(began) + c.messageTimeout)
		if !now.Before(late) {
			c.abandon(statusPolicy, "Message took too long")
			return time.Time{}
		}
		sooner(late)
	}
	interval := c.pool.ping
	if interval <= 0 {
		return again
	}
	if c.paused.Load() { // silence is ours
		c.alive(now)
	}
	lastSign := c.pool.start.Add(time.Duration(c.lastSign.Load()))
	switch silent := now.Sub(lastSign); {
	case silent >= 2*interval:
		c.Kill()
		return time.Time{}
	case silent >= interval:
		c.answer(opPing, nil)
		sooner(lastSign.Add(2 * interval))
	default:
		sooner(lastSign.Add(interval))
	}
	return again
}

// alive records a sign of life of the client.
func (c *Conn) alive(now time.Time) { c.lastSign.Store(int64(now.Sub(c.pool.start))) }

// VisitAt makes sure that the source is visited at a time, up to a second late.
func (c *Conn) VisitAt(t time.Time) { c.pool.wheel.Hurry(&c.visits, t) }

// answer sends a control frame.
func (c *Conn) answer(op byte, payload []byte) {
	c.mu.Lock()
	if !c.ending.Load() && len(c.control)+len(payload) < maxControl {
		c.control = append(appendHeader(c.control, op, len(payload)), payload...)
	}
	c.mu.Unlock()
	c.Wake()
}

// Close sends what the source has at hand, then a close frame, and ends the
// connection once the peer has answered it, at the latest after 5 s. No message is
// handed on any more. Only the first Close counts, and only it reports true. It does not
// wait. The code is one that may be sent: see [MaySend].
func (c *Conn) Close(code int, reason string) (first bool) {
	first = c.decide(code, func() {
		c.closing = closeBatches
		c.control = appendClose(c.control, code, reason)
	})
	if first {
		c.deadline(closeTimeout)
		c.Wake()
	}
	return first
}

// refuse sends a close frame because of what the peer has sent. Reading goes on, since
// a connection that is closed with unread input may take the frame back.
func (c *Conn) refuse(code int, reason string) {
	if c.decide(code, func() { c.control = appendClose(c.control, code, reason) }) {
		c.deadline(closeTimeout)
		c.Wake()
	}
}

// abandon sends a close frame, and neither reads anything more nor sends what the
// source has.
func (c *Conn) abandon(code int, reason string) {
	if c.decide(code, func() { c.control = appendClose(c.control, code, reason) }) {
		_ = c.wire.SetWriteDeadline(time.Now().Add(closeTimeout))
		_ = c.wire.SetReadDeadline(time.Now())
		c.Wake()
	}
}

// CloseCode returns the code with which the connection was closed: that of our close frame, or
// the client's if that came first, [StatusNone] if it had no code, [StatusAbnormal] if there
// was no close frame. byPeer is set if the code is the client's. It is 0 before the decision
// to close.
func (c *Conn) CloseCode() (code int, byPeer bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return int(c.code), c.byPeer
}

// decide makes the decision to close with a code, and calls change with the lock held, unless it was
// made before. It reports whether it was not, and then calls the handler's Closing.
func (c *Conn) decide(code int, change func()) (first bool) {
	c.mu.Lock()
	first = !c.ending.Load()
	if first {
		c.ending.Store(true)
		c.code = uint16(code) // codes have two bytes
		change()
	}
	h := c.handler
	c.mu.Unlock()
	if first && h != nil {
		h.Closing()
	}
	return first
}

// shutdown ends the connection once what waits in control is out.
func (c *Conn) shutdown() {
	c.pool.wheel.Remove(&c.visits)
	c.decide(StatusAbnormal, func() {})
	c.mu.Lock()
	c.shut = true
	c.mu.Unlock()
	_ = c.wire.SetWriteDeadline(time.Now().Add(closeTimeout))
	c.Wake()
	if c.waiting.Load() {
		time.AfterFunc(closeTimeout, c.end)
	}
}

// Kill ends the connection at once, without a close frame.
func (c *Conn) Kill() {
	c.decide(StatusAbnormal, func() {})
	c.mu.Lock()
	c.shut, c.closed = true, true
	c.mu.Unlock()
	_ = c.wire.Close()
}

func (c *Conn) deadline(d time.Duration) { _ = c.wire.SetDeadline(time.Now().Add(d)) }
