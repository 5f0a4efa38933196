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
	// maxControl is the most bytes of control frames that may wait to be sent. A client
	// that sends pings without reading the answers is not sent all of them.
	maxControl = 1 << 10
	// closeBatches is the most batches of the source that are sent before a close frame.
	closeBatches = 16
)

// Options configures Accept.
type Options struct {
	// ReadLimit is the size of the largest message in bytes, over all its fragments. A
	// frame header that announces more closes the connection with code 1009. It is
	// required.
	ReadLimit int64
	// MessageTimeout is how long a message may take from its first byte to its last, not
	// counting the time for which the handler keeps the reader waiting. A message that takes
	// longer closes the connection with code 1008. 0 means [DefaultMessageTimeout].
	MessageTimeout time.Duration
	// StallTimeout is how long the client may take none of the bytes that wait to be
	// written. The connection is then closed with code 1013. A connection without a file
	// descriptor, such as one with TLS, must take 16 KiB, or all bytes if fewer wait,
	// within that time. 0 means [DefaultStallTimeout].
	StallTimeout time.Duration
	// OriginPatterns are the hosts, as patterns of path.Match, that the Origin header may
	// name besides the request's own host. AnyOrigin allows every origin.
	OriginPatterns []string
	AnyOrigin      bool
	// Subprotocols are those that the server speaks. The first one that the client also
	// offers is selected.
	Subprotocols []string
}

// Conn is the server side of one WebSocket connection. It is a field of its source and must
// not be copied. After Accept its methods are safe for concurrent use.
type Conn struct {
	wire   net.Conn
	fd     syscall.RawConn // nil: it can only be written to by blocking
	src    Source
	pool   *Pool
	writer int

	readLimit      int64
	messageTimeout time.Duration
	stallTimeout   time.Duration

	// buffer is used only by the goroutine that runs read.
	buffer *bufio.Reader

	// lastSign is when the client last showed that it is alive: bytes arrived from it, or a
	// write that had waited for it went on. While the server does not read, or cannot send
	// a ping, it cannot show that, so lastSign is moved on. reading is when the
	// incomplete frame or message began, 0 if there is none. pinged is when the last ping
	// was sent; only Visit uses it. All three are in nanoseconds since the pool was made.
	// paused is set while the handler keeps the reader waiting.
	lastSign atomic.Int64
	reading  atomic.Int64
	pinged   int64
	paused   atomic.Bool
	visits   wheel.Entry

	// Only the goroutine that has set owned writes. While owned is not set, the bytes
	// written so far end at the end of a frame. dirty means that there may be something to
	// send that the owner has not seen. It is set before owned is tried, and the owner
	// looks at it again after it has cleared owned, so that nothing is forgotten when the
	// write side is taken.
	owned, dirty, queued atomic.Bool

	// waiting is set while drain may wait for the source, during which no close frame can
	// be sent. It is set before ending is read.
	waiting atomic.Bool

	// ending is set, under mu, when it is decided to close the connection. After that no
	// message is passed to the handler, and nothing is pulled from the source except before
	// our close frame.
	ending atomic.Bool

	// mu guards the fields below. It is held for a few instructions only.
	//
	//   - Control frames are sent before the source's, unless closing is above 0: so many
	//     batches of the source may still be sent before them, the last of which is our
	//     close frame.
	//   - After shut is set, the connection is closed as soon as control has been sent.
	//   - The handler's Closing is called once: by the goroutine that sets ending, or by
	//     Serve if ending was set before.
	mu      sync.Mutex
	handler Handler
	control []byte
	closing int
	shut    bool
	closed  bool
	byPeer  bool   // code was sent by the client
	code    uint16 // the close code; 0 until ending is set
}

// Accept answers a WebSocket handshake and makes c, which must be new, its connection. If
// it returns an error, the request has been answered or its connection closed;
// [RefusalLevel] returns at which level to log the error. After a success the caller must
// call Serve and return from the HTTP handler, which frees the buffers of net/http.
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
	_ = handshake.CloseNow() // frees its memory; the connection stays open: see handshaken
	return nil
}

// Writer returns the number of the writer that the connection is assigned to.
func (c *Conn) Writer() int { return c.writer }

// Wake makes the pool pull from the source soon. It must be called when the source may have
// something to send.
func (c *Conn) Wake() {
	c.dirty.Store(true)
	if c.queued.CompareAndSwap(false, true) && !c.pool.writers[c.writer].push(c) {
		c.end() // the pool is closed
	}
}

// Visit implements [wheel.Visitor]: it visits the source, pings a silent client, and closes
// the connection if the client stays silent or a message takes too long.
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
	if c.pool.ping > 0 {
		next, dead := c.checkSilence(now)
		if dead {
			c.Kill()
			return time.Time{}
		}
		sooner(next)
	}
	return again
}

// checkSilence pings a client that has been silent for the ping interval. dead means that
// the client has stayed silent for that long since the ping. again is when to check next.
func (c *Conn) checkSilence(now time.Time) (again time.Time, dead bool) {
	if c.paused.Load() || c.waiting.Load() { // nothing is read, or no ping can be sent
		c.alive(now)
	}
	at, interval, lastSign := int64(now.Sub(c.pool.start)), int64(c.pool.ping), c.lastSign.Load()
	since := at // when the time until the next check began
	switch {
	case at-lastSign < interval:
		since = lastSign
	case c.pinged <= lastSign: // the client has not been asked
		if c.answer(opPing, nil) {
			c.pinged = at
		}
	case at-c.pinged >= interval:
		return time.Time{}, true
	default:
		since = c.pinged
	}
	return c.pool.start.Add(time.Duration(since + interval)), false
}

// alive records that the client has shown that it is alive.
func (c *Conn) alive(now time.Time) { c.lastSign.Store(int64(now.Sub(c.pool.start))) }

// VisitAt schedules a visit to the source at t; it may run up to a second late.
func (c *Conn) VisitAt(t time.Time) { c.pool.wheel.Hurry(&c.visits, t) }

// answer sends a control frame. It returns false if the connection is closing, or if too
// many control frames wait already.
func (c *Conn) answer(op byte, payload []byte) bool {
	c.mu.Lock()
	fits := !c.ending.Load() && len(c.control)+len(payload) < maxControl
	if fits {
		c.control = append(appendHeader(c.control, op, len(payload)), payload...)
	}
	c.mu.Unlock()
	c.Wake()
	return fits
}

// Close sends what the source has ready, then a close frame, and closes the connection when
// the client has answered it, or after 5 s. No further message is passed to the handler.
// Only the first call has an effect, and only it returns true. Close does not wait. The
// code must be one that [MaySend] allows.
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

// refuse sends a close frame because of what the client has sent. Reading continues: if a
// connection is closed with unread input, the client may never see the frame.
func (c *Conn) refuse(code int, reason string) {
	if c.decide(code, func() { c.control = appendClose(c.control, code, reason) }) {
		c.deadline(closeTimeout)
		c.Wake()
	}
}

// abandon sends a close frame, without reading anything more and without sending what the
// source has.
func (c *Conn) abandon(code int, reason string) {
	if c.decide(code, func() { c.control = appendClose(c.control, code, reason) }) {
		_ = c.wire.SetWriteDeadline(time.Now().Add(closeTimeout))
		_ = c.wire.SetReadDeadline(time.Now())
		c.Wake()
	}
}

// CloseCode returns the code that the connection was closed with: that of our close frame,
// or the client's if that came first, or [StatusNone] if the client's frame had no code, or
// [StatusAbnormal] if there was no close frame. byPeer reports whether the client sent the
// code. The code is 0 until it is decided to close the connection.
func (c *Conn) CloseCode() (code int, byPeer bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return int(c.code), c.byPeer
}

// decide sets ending and the close code, unless they have been set. It calls change with mu
// held, and then the handler's Closing. It reports whether this was the first call.
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

// shutdown closes the connection when the waiting control frames have been sent.
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

// Kill closes the connection at once, without a close frame.
func (c *Conn) Kill() {
	c.decide(StatusAbnormal, func() {})
	c.mu.Lock()
	c.shut, c.closed = true, true
	c.mu.Unlock()
	_ = c.wire.Close()
}

func (c *Conn) deadline(d time.Duration) { _ = c.wire.SetDeadline(time.Now().Add(d)) }
