package dial

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"syscall/js"
	"time"

	"github.com/coder/websocket"
)

// InBrowser reports whether connections are those of a browser, which sends no pings and
// does not report why a connection was not opened.
const InBrowser = true

const (
	// closeGrace is how long the server may take to answer a close frame.
	closeGrace = time.Second
	// maxArrived is how many bytes may have arrived and wait for Read.
	maxArrived = 64 << 20
	// maxBuffered is how many bytes may wait in the browser for a further message to be
	// written, and writeTick how often that is looked at.
	maxBuffered = 1 << 20
	writeTick   = 20 * time.Millisecond
)

var (
	errTooSlow = errors.New("messages arrive faster than they are read")
	errDropped = errors.New("the connection was dropped")
)

// Conn is one connection, by the WebSocket of the browser. One goroutine calls Read, and
// one, which may be another, Write and Flush; all other methods are safe for concurrent
// use. Fail unblocks all methods.
type Conn struct {
	ws           js.Value
	listeners    []js.Func
	writeTimeout time.Duration
	received     atomic.Int64  // bytes
	opened       chan struct{} // closed when messages can be sent
	ended        chan struct{} // closed when none are any more
	arrived      chan struct{} // has an element when queue may not be empty

	// These belong to Read.
	limit   int64 // 0: none
	skipped io.Writer
	skip    func()

	// mu guards the fields below. cause is why ended is closed.
	mu    sync.Mutex
	queue []message
	size  int // of queue, in bytes
	cause error
}

// listen sets the listeners of the WebSocket, which run on the goroutine of the browser's
// events and must not block.
func (c *Conn) listen() {
	c.ws.Set("binaryType", "arraybuffer")
	c.on("onopen", func(js.Value) { close(c.opened) })
	c.on("onmessage", func(event js.Value) { c.receive(event.Get("data")) })
	c.on("onclose", func(event js.Value) {
		c.end(fmt.Errorf("connection lost: %w", websocket.CloseError{
			Code: websocket.StatusCode(event.Get("code").Int()), Reason: event.Get("reason").String(),
		}))
	})
	c.on("onerror", func(js.Value) {
		select {
		case <-c.opened: // onclose follows
		default: // nothing follows in some versions of Node
			c.Fail(ErrNotOpened)
		}
	})
}

func (c *Conn) on(name string, listener func(event js.Value)) {
	f := js.FuncOf(func(_ js.Value, args []js.Value) any {
		listener(args[0])
		return nil
	})
	c.listeners = append(c.listeners, f)
	c.ws.Set(name, f)
}

// message is a message of the server.
type message struct {
	data   []byte
	binary bool
}

// receive adds a message to those that wait for Read.
func (c *Conn) receive(data js.Value) {
	var m message
	if data.Type() == js.TypeString {
		m.data = []byte(data.String())
	} else {
		array := js.Global().Get("Uint8Array").New(data)
		m = message{make([]byte, array.Length()), true}
		js.CopyBytesToGo(m.data, array)
	}
	c.received.Add(int64(len(m.data)) + 1) // a message may be empty
	c.mu.Lock()
	c.queue = append(c.queue, m)
	c.size += len(m.data)
	late := c.size > maxArrived && len(c.queue) > 1
	c.mu.Unlock()
	if late {
		c.Fail(errTooSlow)
		return
	}
	select {
	case c.arrived <- struct{}{}:
	default:
	}
}

// next takes a message from the queue.
func (c *Conn) next() (m message, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == 0 {
		return m, false
	}
	m, c.queue[0] = c.queue[0], message{}
	if c.queue = c.queue[1:]; len(c.queue) == 0 {
		c.queue = nil
	}
	c.size -= len(m.data)
	return m, true
}

// SetReadLimit bounds the messages of the server, in bytes. A larger one ends the
// connection with close code 1009.
func (c *Conn) SetReadLimit(n int64) { c.limit = n }

// SkipLarge bounds the messages of the server as SetReadLimit does, but keeps the
// connection. Read writes a larger message to w, calls skip, and goes on to the next one.
func (c *Conn) SkipLarge(n int64, w io.Writer, skip func()) { c.limit, c.skipped, c.skip = n, w, skip }

// Received returns a number that changes whenever a message arrives.
func (c *Conn) Received() int64 { return c.received.Load() }

// Read waits for a message. An error is the reason why the connection has ended. Messages
// that have arrived before the server closed it are read first; after Fail Read returns
// none.
func (c *Conn) Read() (data []byte, binary bool, err error) {
	for {
		m, ok := c.next()
		switch {
		case ok && (c.limit <= 0 || int64(len(m.data)) <= c.limit):
			return m.data, m.binary, nil
		case ok && c.skipped == nil:
			c.Fail(websocket.CloseError{Code: websocket.StatusMessageTooBig, Reason: "read limited"})
		case ok:
			if _, err := c.skipped.Write(m.data); err != nil {
				c.Fail(err)
			}
			c.skip()
		case c.failed() != nil:
			return nil, false, c.failed()
		default:
			select {
			case <-c.arrived:
			case <-c.ended:
			}
		}
	}
}

// Write sends a message. It waits while the browser holds too many bytes of those before.
func (c *Conn) Write(message []byte, binary bool) error {
	if err := c.drain(); err != nil {
		return err
	}
	if !binary {
		c.ws.Call("send", string(message))
		return nil
	}
	data := js.Global().Get("Uint8Array").New(len(message))
	js.CopyBytesToJS(data, message)
	c.ws.Call("send", data)
	return nil
}

// drain waits for the browser to have sent most of what was written. If it sends too
// little for the write timeout the connection ends.
func (c *Conn) drain() error {
	for until := time.Now().Add(c.writeTimeout); ; {
		switch {
		case c.failed() != nil:
			return c.failed()
		case c.ws.Get("bufferedAmount").Int() <= maxBuffered:
			return nil
		case time.Now().After(until):
			c.Fail(ErrNotTaken)
			return ErrNotTaken
		}
		select {
		case <-c.ended:
		case <-time.After(writeTick):
		}
	}
}

// Flush does nothing: browsers send messages at once.
func (c *Conn) Flush() {}

// failed returns why the connection has ended, nil if it has not.
func (c *Conn) failed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause
}

// end ends the connection for a reason that Read returns, unless it has ended, and
// reports whether it had not.
func (c *Conn) end(cause error) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause != nil {
		return false
	}
	c.cause = cause
	close(c.ended)
	for _, name := range []string{"onopen", "onmessage", "onclose", "onerror"} {
		c.ws.Set(name, js.Null())
	}
	for _, f := range c.listeners {
		f.Release()
	}
	return true
}

// Fail ends the connection for a reason that Read returns. It does not wait.
func (c *Conn) Fail(cause error) {
	if !c.end(cause) {
		return
	}
	c.mu.Lock()
	c.queue, c.size = nil, 0
	c.mu.Unlock()
	c.ws.Call("close", int(websocket.StatusNormalClosure)) // pages may send no other code below 3000
}

// Close sends a close frame with code 1000, waits for at most a second for the server to
// answer it, and ends the connection.
func (c *Conn) Close() {
	c.ws.Call("close", int(websocket.StatusNormalClosure))
	late := time.NewTimer(closeGrace)
	defer late.Stop()
	select {
	case <-c.ended:
	case <-late.C:
		c.Fail(errDropped)
	}
}

// Drop ends a connection that is not being read. It does not wait for the server.
func (c *Conn) Drop() { c.Fail(errDropped) }
