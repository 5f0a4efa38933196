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

// InBrowser reports whether connections use the WebSocket of a browser, which sends no
// pings and does not report why a connection could not be opened.
const InBrowser = true

const (
	// closeGrace is how long the server may take to answer a close frame.
	closeGrace = time.Second
	// maxArrived is the most bytes of messages that may wait for Read.
	maxArrived = 64 << 20
	// maxBuffered is the number of bytes that wait in the browser above which a message is
	// not yet written, and writeTick is how often it is checked.
	maxBuffered = 1 << 20
	writeTick   = 20 * time.Millisecond
)

var (
	errTooSlow = errors.New("messages arrive faster than they are read")
	errDropped = errors.New("the connection was dropped")
)

// Conn is one connection, by the WebSocket of the browser. Read must be called by one
// goroutine at a time, and so must Write and Flush; all other methods are safe for
// concurrent use. Fail makes all methods return.
type Conn struct {
	ws           js.Value
	listeners    []js.Func
	writeTimeout time.Duration
	received     atomic.Int64  // bytes
	opened       chan struct{} // closed when messages can be sent
	ended        chan struct{} // closed when the connection has ended
	arrived      chan struct{} // has an element when queue may not be empty

	// These are used only by Read.
	limit   int64 // 0: none
	skipped io.Writer
	skip    func()

	// mu guards the fields below. cause is the reason for which ended is closed.
	mu    sync.Mutex
	queue []message
	size  int // of queue, in bytes
	cause error
}

// listen sets the listeners of the WebSocket. They run on the goroutine of the browser's
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

// message is a message from the server.
type message struct {
	data   []byte
	binary bool
}

// receive adds a message to the queue for Read.
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

// SetReadLimit sets the size in bytes of the largest message of the server. A larger one
// closes the connection with code 1009.
func (c *Conn) SetReadLimit(n int64) { c.limit = n }

// SkipLarge sets the same limit as SetReadLimit, but keeps the connection open. Read writes
// a larger message to w, then calls skip and reads the next one.
func (c *Conn) SkipLarge(n int64, w io.Writer, skip func()) { c.limit, c.skipped, c.skip = n, w, skip }

// Received returns a number that changes whenever a message arrives.
func (c *Conn) Received() int64 { return c.received.Load() }

// Crowded reports whether so much has arrived that Read must be called soon. While Read is
// not called, messages go on arriving, until more than maxArrived close the connection.
func (c *Conn) Crowded() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.size > maxArrived/4
}

// Read waits for a message. If the connection has ended it returns the reason, but first
// the messages that arrived before the server closed it. After Fail it returns no message.
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

// Write sends a message. It waits while the browser holds too many bytes of earlier
// messages.
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

// drain waits until the browser has sent most of the written bytes. If it sends too little
// for the write timeout the connection is closed.
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

// failed returns the reason for which the connection has ended, or nil if it has not.
func (c *Conn) failed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause
}

// end ends the connection, unless it has ended, and reports whether it did. Read returns
// the cause.
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

// Fail closes the connection. Read returns the cause. Fail does not wait.
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
// answer it, and closes the connection.
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

// Drop closes a connection that is not being read. It does not wait for the server.
func (c *Conn) Drop() { c.Fail(errDropped) }
