// Package dial is the client side of WebSocket connections: it opens them, and sends
// with one write what is to be sent at a time.
package dial

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/coder/websocket"
)

const (
	// closeGrace is how long a server has to answer the close frame of a client.
	// Some never do.
	closeGrace = time.Second
	// keptBuffer is the largest buffer that is kept for the next message.
	keptBuffer = 64 << 10
)

// ErrNotTaken is the reason for the end of a connection that did not take anything
// for as long as [Options] say.
var ErrNotTaken = errors.New("the server does not take messages")

// Conn is one connection. Read is called by one goroutine, Write and Flush are by
// another one; all other methods are safe for concurrent use.
//
// Messages are read and written without a context: each that can end would cost the
// WebSocket a callback of its own. Fail ends whatever waits.
type Conn struct {
	ws   *websocket.Conn
	wire *wire // below ws

	// These belong to Read. Without skipped, ws bounds messages by itself.
	message bytes.Buffer
	limited io.LimitedReader
	limit   int64
	skipped io.Writer
	skip    func()

	// mu guards cause, which is set once: why this side has given the connection up.
	mu    sync.Mutex
	cause error
}

// SetReadLimit bounds the messages of the server, in bytes. A larger one ends the
// connection with close code 1009.
func (c *Conn) SetReadLimit(n int64) { c.ws.SetReadLimit(n) }

// SkipLarge bounds the messages of the server as SetReadLimit does, but keeps the
// connection. Read writes a larger message to w while it arrives, calls skip, and goes on
// to the next one.
func (c *Conn) SkipLarge(n int64, w io.Writer, skip func()) {
	c.ws.SetReadLimit(-1)
	c.limit, c.skipped, c.skip = n, w, skip
}

// Received returns a number that changes whenever bytes arrive, also in the middle of a
// message.
func (c *Conn) Received() int64 { return c.wire.received() }

// Read waits for a message, which is good until the next Read. An error is the reason
// why the connection has ended; nothing of it is left then. After Fail there are no
// messages any more.
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

// receive reads a message, of which it keeps no more than the limit. It reports whether
// the message was larger.
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

// Write puts a message behind those that wait for Flush. It may send some of them.
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

// Flush sends what Write has kept. If that fails the connection ends.
func (c *Conn) Flush() {
	if err := c.wire.flush(); err != nil {
		c.Fail(c.lost(err))
	}
}

// Ping asks for a sign of life and waits for it.
func (c *Conn) Ping(ctx context.Context) error {
	if err := c.ws.Ping(ctx); err != nil {
		return c.lost(err)
	}
	return nil
}

// lost gives the reason why the connection has ended, which shows as err.
func (c *Conn) lost(err error) error {
	if cause := c.failed(); cause != nil {
		return cause
	}
	return fmt.Errorf("connection lost: %w", err)
}

// failed gives what Fail was called with, if it was.
func (c *Conn) failed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause
}

// Fail gives the connection up, for a reason that Read returns. It does not wait.
func (c *Conn) Fail(cause error) {
	c.mu.Lock()
	if c.cause == nil {
		c.cause = cause
	}
	c.mu.Unlock()
	_ = c.wire.Close()
}

// Close sends a close frame with code 1000 and ends the connection, once the server has
// answered it or has not done so in time.
func (c *Conn) Close() {
	late := time.AfterFunc(closeGrace, func() { _ = c.wire.Close() })
	defer late.Stop()
	_ = c.wire.letGo()                                // fails like what follows
	_ = c.ws.Close(websocket.StatusNormalClosure, "") // fails if the server does not answer
}

// Drop ends a connection that nobody reads. It does not wait for the server.
func (c *Conn) Drop() {
	_ = c.wire.Close()
	_ = c.ws.CloseNow() // frees what is left; fails if it is closed
}
