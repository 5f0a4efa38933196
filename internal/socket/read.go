package socket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/coder/websocket"
)

// errQuiet is what coder/websocket meets where a frame would begin, right behind a
// control frame, instead of waiting for one. It takes no harm from that: nothing is
// lost, and reading goes on later. See TestControlFramesBetweenMessages.
var errQuiet = errors.New("nothing to read for now")

// Serve reads messages until the connection ends and hands each to receive, which
// must not keep it waiting for long. It gives the close code that the peer sent, -1
// if it sent none, and closes the connection.
//
// The goroutine that calls it only waits. Its stack stays as small as it began,
// therefore it should be a new one.
func (c *Conn) Serve(receive func(message []byte, binary bool)) (code int) {
	c.receive = receive
	c.pool.wheel.Add(&c.visits, c, time.Now())
	for c.readErr == nil {
		// Whatever comes of it, bytes or an error, is met again by who takes it in.
		_, _ = c.buffer.Peek(1)
		c.busy.Add(1)
		c.pool.crew.do(c)
		c.busy.Wait()
	}
	return c.finish()
}

// finish is called when reading has ended.
func (c *Conn) finish() (code int) {
	defer c.shutdown()
	// Unless it is closed, its finalizer keeps it, and all of us, in memory for good.
	defer func() { _ = c.ws.CloseNow() }()
	code = int(websocket.CloseStatus(c.readErr))
	if code < 0 && !isTimeout(c.readErr) {
		c.linger()
	}
	return code
}

// takeIn reads what the reader has met, and sets readErr if that is the end.
func (c *Conn) takeIn() {
	for {
		err := c.message()
		switch {
		case errors.Is(err, errQuiet):
			return
		case err != nil:
			c.readErr = err
			return
		case c.buffer.Buffered() == 0:
			return
		}
	}
}

func (c *Conn) message() error {
	typ, r, err := c.ws.Reader(context.Background())
	if err != nil {
		return fmt.Errorf("socket: read: %w", err)
	}
	c.within = true
	data, err := io.ReadAll(r)
	c.within = false
	if err != nil {
		return fmt.Errorf("socket: read: %w", err)
	}
	c.receive(data, typ == websocket.MessageBinary)
	return nil
}

// controlled is called by coder/websocket behind each ping and pong. If no message
// has begun and no further frame is there, the reader can wait for the next.
func (c *Conn) controlled() { c.quiet = !c.within && c.buffer.Buffered() == 0 }

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
	_, _ = io.Copy(io.Discard, c.wire.Conn)
}
