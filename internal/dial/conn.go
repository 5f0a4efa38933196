//go:build !js

package dial

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"github.com/coder/websocket"
)

const (
	// closeGrace is how long the server may take to answer a close frame. Some servers
	// never do.
	closeGrace = time.Second
	// keptBuffer is the largest buffer, in bytes, that is kept for the next message.
	keptBuffer = 64 << 10
)

// InBrowser reports whether connections use the WebSocket of a browser, which sends no
// pings and does not report why a connection could not be opened.
const InBrowser = false

// Conn is one connection. Read must be called by one goroutine at a time, and so must Write
// and Flush; all other methods are safe for concurrent use.
//
// Messages are read and written without a context, since the WebSocket would register a
// callback for each context that can end. Fail makes all methods return.
type Conn struct {
	ws   *websocket.Conn
	wire *wire // below ws

	// These are used only by Read. If skipped is nil, ws limits the size of messages.
	message bytes.Buffer
	limited io.LimitedReader
	limit   int64
	skipped io.Writer
	skip    func()

	unsent sync.Once // the first failure to send

	// mu guards cause, the reason that was passed to Fail, which is set once.
	mu    sync.Mutex
	cause error
}

// SetReadLimit sets the size in bytes of the largest message of the server. A larger one
// closes the connection with code 1009.
func (c *Conn) SetReadLimit(n int64) { c.ws.SetReadLimit(n) }

// SkipLarge sets the same limit as SetReadLimit, but keeps the connection open. Read writes
// a larger message to w while it arrives, then calls skip and reads the next one.
func (c *Conn) SkipLarge(n int64, w io.Writer, skip func()) {
	c.ws.SetReadLimit(-1)
	c.limit, c.skipped, c.skip = n, w, skip
}

// Received returns a number that changes whenever bytes arrive, even in the middle of a
// message.
func (c *Conn) Received() int64 { return c.wire.received() }

// Crowded reports whether so much has arrived that Read must be called soon. It is always
// false: while Read is not called, the kernel keeps the server from sending.
func (*Conn) Crowded() bool { return false }

// Read waits for a message, which is valid until the next Read. If the connection has ended
// it returns the reason. After Fail it returns no message.
func (c *Conn) Read() (message []byte, binary bool, err error) {
	for {
		kind, large, err := c.read()
		switch {
		case err != nil:
			c.Drop()
			return nil, false, c.lost(err)
		case !large:
			return c.message.Bytes(), kind == websocket.MessageBinary, nil
		}
		c.skip()
	}
}

func (c *Conn) read() (kind websocket.MessageType, large bool, err error) {
	if err := c.failed(); err != nil {
		return 0, false, err
	}
	if c.message.Cap() > keptBuffer {
		c.message = bytes.Buffer{}
	}
	kind, r, err := c.ws.Reader(context.Background())
	if err == nil {
		c.message.Reset()
		large, err = c.receive(r)
	}
	return kind, large, err
}

// receive reads a message, and keeps no more of it than the limit. It reports whether the
// message was larger.
func (c *Conn) receive(r io.Reader) (large bool, err error) {
	if c.skipped == nil {
		_, err := c.message.ReadFrom(r)
		return false, err
	}
	c.limited = io.LimitedReader{R: r, N: c.limit + 1}
	n, err := c.message.ReadFrom(&c.limited)
	c.limited.R = nil
	if err != nil || n <= c.limit {
		return false, err
	}
	if _, err = c.message.WriteTo(c.skipped); err == nil {
		_, err = io.Copy(c.skipped, r)
	}
	return true, err
}

// Write adds a message to those that wait for Flush. It may send some of them.
func (c *Conn) Write(message []byte, binary bool) error {
	kind := websocket.MessageText
	if binary {
		kind = websocket.MessageBinary
	}
	c.wire.hold()
	if err := c.ws.Write(context.Background(), kind, message); err != nil {
		return c.lost(err)
	}
	return nil
}

// Flush sends the messages that wait. If that fails the connection ends within a second, so
// that a close frame that the server has already sent can still be read: it has a better
// reason.
func (c *Conn) Flush() {
	if err := c.wire.flush(); err != nil {
		c.unsent.Do(func() { time.AfterFunc(closeGrace, func() { c.Fail(c.lost(err)) }) })
	}
}

// Ping sends a ping and waits for the pong.
func (c *Conn) Ping(ctx context.Context) error {
	if err := c.ws.Ping(ctx); err != nil {
		return c.lost(err)
	}
	return nil
}

// lost returns the reason why the connection has ended: that of Fail, or err.
func (c *Conn) lost(err error) error {
	if cause := c.failed(); cause != nil {
		return cause
	}
	return &lostError{err}
}

// lostError is the error of a connection that has ended without Fail.
type lostError struct{ cause error }

// Error returns the cause without the steps of reading a WebSocket that it has interrupted.
func (e *lostError) Error() string {
	closed, isClosed := errors.AsType[websocket.CloseError](e.cause)
	network, isNetwork := errors.AsType[*net.OpError](e.cause)
	switch {
	case isClosed:
		return "connection lost: closed by the server: " + closed.Error()
	case errors.Is(e.cause, io.EOF), errors.Is(e.cause, io.ErrUnexpectedEOF):
		return "connection lost: the server closed it without a close frame"
	case isNetwork:
		return "connection lost: " + network.Error()
	}
	return "connection lost: " + e.cause.Error()
}

// Unwrap returns the cause.
func (e *lostError) Unwrap() error { return e.cause }

// failed returns the reason that was passed to Fail, or nil if Fail was not called.
func (c *Conn) failed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause
}

// Fail closes the connection. Read returns the cause. Fail does not wait.
func (c *Conn) Fail(cause error) {
	c.mu.Lock()
	if c.cause == nil {
		c.cause = cause
	}
	c.mu.Unlock()
	_ = c.wire.Close()
}

// Close sends a close frame with code 1000, waits for at most a second for the server to
// answer it, and closes the connection.
func (c *Conn) Close() {
	late := time.AfterFunc(closeGrace, func() { _ = c.wire.Close() })
	defer late.Stop()
	_ = c.wire.release()                              // if it fails, so does the close frame
	_ = c.ws.Close(websocket.StatusNormalClosure, "") // returns an error if the server does not answer
}

// Drop closes a connection that is not being read. It does not wait for the server.
func (c *Conn) Drop() {
	_ = c.wire.Close()
	_ = c.ws.CloseNow() // frees the rest; returns an error if it is closed
}
