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

// Handler is told what is read from a connection, by one goroutine at a time.
type Handler interface {
	// Receive takes a message and returns soon. What takes longer it returns as run,
	// which runs while reading goes on; nil is nothing.
	Receive(message []byte, binary bool) (run func())
	// Ended is called when reading has ended, with the close code that the peer has
	// sent, -1 if it sent none. The connection is closed.
	Ended(code int)
}

// Serve has h told of messages until the connection ends. It does not wait.
func (c *Conn) Serve(h Handler) {
	c.handler = h
	c.pool.wheel.Add(&c.visits, c, time.Now())
	go c.read()
}

// read waits for input and takes it in. The stack of a goroutine that has done so has
// grown and would stay so, therefore another one waits for what comes next.
func (c *Conn) read() {
	// Whatever comes of it, bytes or an error, is met again below.
	_, _ = c.buffer.Peek(1)
	run, err := c.takeIn()
	if err != nil {
		c.handler.Ended(c.finish(err))
		return
	}
	go c.read()
	if run != nil {
		run()
	}
}

// takeIn reads what is there, up to a message that has something to run.
func (c *Conn) takeIn() (run func(), err error) {
	for {
		run, err = c.message()
		switch {
		case errors.Is(err, errQuiet):
			return run, nil
		case err != nil || run != nil || c.buffer.Buffered() == 0:
			return run, err
		}
	}
}

// finish ends the connection when reading has.
func (c *Conn) finish(err error) (code int) {
	defer c.shutdown()
	// Unless it is closed, its finalizer keeps it, and all of us, in memory for good.
	defer func() { _ = c.ws.CloseNow() }()
	code = int(websocket.CloseStatus(err))
	if code < 0 && !isTimeout(err) {
		c.linger()
	}
	return code
}

func (c *Conn) message() (run func(), err error) {
	typ, r, err := c.ws.Reader(context.Background())
	if err != nil {
		return nil, fmt.Errorf("socket: read: %w", err)
	}
	c.within = true
	data, err := io.ReadAll(r)
	c.within = false
	if err != nil {
		return nil, fmt.Errorf("socket: read: %w", err)
	}
	return c.handler.Receive(data, typ == websocket.MessageBinary), nil
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
