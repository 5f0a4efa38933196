package socket

import (
	"errors"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"github.com/go-orpc/durable-iterator/internal/goroutine"
)

const (
	// firstPayload is how much room is made for a payload before its bytes come.
	// It doubles as they do, so that a header alone costs nothing.
	firstPayload = 16 << 10
	// maxFragments bounds the frames of one message.
	maxFragments = 1 << 14
)

// errProtocol is returned for frames that make what follows unreadable.
var errProtocol = errors.New("socket: protocol error")

// closedError is returned when the peer's close frame was read.
type closedError struct{ code int }

func (e *closedError) Error() string { return fmt.Sprintf("socket: closed with code %d", e.code) }

// Handler receives what is read from a connection, from one goroutine at a time.
type Handler interface {
	// Receive takes over a message. Text is valid UTF-8. If it returns run, that runs
	// while reading goes on; it is for what takes longer. While Receive waits, nothing
	// is read, and the silence of the peer does not count against it.
	Receive(message []byte, binary bool) (run func())

	// Closing is called once, when the decision to close the connection has been made:
	// by Close, for a fault of the peer, or because the connection has failed. No
	// Receive begins after it, and one that waits has to return. It must not block, and
	// may be called with locks of Close's caller held.
	Closing()

	// Ended is called when reading has ended, after Closing, with the close code that
	// the peer has sent, -1 if it sent none. The connection is closed.
	Ended(code int)
}

// Serve reads messages and passes each to h until the connection closes. It does not
// wait.
func (c *Conn) Serve(h Handler) {
	c.mu.Lock()
	c.handler = h
	ending := c.ending.Load()
	c.mu.Unlock()
	if ending {
		h.Closing()
	}
	c.pool.wheel.Add(&c.visits, c, time.Now())
	go c.read()
}

// read waits for input and reads it. The stack of a goroutine that has done so has
// grown and would stay so, therefore another one waits for what comes next.
func (c *Conn) read() {
	// Bytes and an error are returned again below.
	_, _ = c.buffer.Peek(1)
	goroutine.GrowStack()
	run, err := c.readMessages()
	if err != nil {
		c.handler.Ended(c.finish(err))
		return
	}
	go c.read()
	if run != nil {
		run()
	}
}

// readMessages reads what has been received, up to a message that has something to run.
func (c *Conn) readMessages() (run func(), err error) {
	for {
		c.reading.Store(max(c.lastSign.Load(), 1))
		message, op, err := c.readMessage()
		c.reading.Store(0)
		switch {
		case err != nil:
			return nil, err
		case op != opContinuation && !c.ending.Load():
			c.paused.Store(true)
			run = c.handler.Receive(message, op == opBinary)
			c.paused.Store(false)
		}
		if run != nil || c.buffer.Buffered() == 0 {
			return run, nil
		}
	}
}

// readMessage returns the next message and its opcode. That is opContinuation if there
// is none: there was a control frame with nothing after it, or the connection is
// closing.
func (c *Conn) readMessage() (message []byte, op byte, err error) {
	for fragments := 0; ; fragments++ {
		h, err := c.readHeader()
		if err != nil {
			return nil, 0, err
		}
		if h.control() {
			if err := c.readControl(&h); err != nil {
				return nil, 0, err
			}
			if op == opContinuation && c.buffer.Buffered() == 0 {
				return nil, opContinuation, nil
			}
			continue
		}
		if (op == opContinuation) == (h.op == opContinuation) {
			c.refuse(statusProtocolError, "unexpected continuation")
			return nil, 0, errProtocol
		}
		if op == opContinuation {
			op = h.op
		}
		switch {
		case h.length > uint64(c.readLimit-int64(len(message))):
			c.refuse(statusTooBig, "message is too large")
		case fragments > maxFragments:
			c.refuse(statusPolicy, "message has too many fragments")
		}
		if c.ending.Load() {
			message = nil
			err = c.skip(h.length)
		} else {
			message, err = c.readPayload(message, &h)
		}
		switch {
		case err != nil:
			return nil, 0, err
		case h.final:
			return c.checkText(message, op)
		}
	}
}

// checkText refuses a text message that is not UTF-8.
func (c *Conn) checkText(message []byte, op byte) ([]byte, byte, error) {
	if op == opText && !utf8.Valid(message) {
		c.refuse(statusInvalidText, "text is not UTF-8")
		return nil, opContinuation, nil
	}
	return message, op, nil
}

func (c *Conn) readHeader() (header, error) {
	b, err := c.buffer.Peek(2)
	if err == nil {
		b, err = c.buffer.Peek(headerSize(b[1]))
	}
	if err != nil {
		return header{}, fmt.Errorf("socket: read: %w", err)
	}
	h, fault := parseHeader(b)
	if fault != "" {
		c.refuse(statusProtocolError, fault)
		return header{}, errProtocol
	}
	_, _ = c.buffer.Discard(len(b)) // they are there
	return h, nil
}

// readPayload appends the payload of a frame to message, which is not larger than the
// read limit with it.
func (c *Conn) readPayload(message []byte, h *header) ([]byte, error) {
	start, total := len(message), len(message)+int(h.length)
	if total == 0 {
		return message, nil
	}
	for len(message) < total {
		if len(message) == cap(message) {
			room := max(2*cap(message), firstPayload)
			if h.final {
				room = min(room, total)
			}
			grown := make([]byte, len(message), min(room, int(c.readLimit)))
			copy(grown, message)
			message = grown
		}
		end := len(message)
		n, err := c.buffer.Read(message[end:min(total, cap(message))])
		message = message[:end+n]
		unmask(message[end:], h.key, end-start)
		if err != nil {
			return nil, fmt.Errorf("socket: read: %w", err)
		}
	}
	return message, nil
}

func (c *Conn) skip(n uint64) error {
	for n > 0 {
		k, err := c.buffer.Discard(int(min(n, 1<<20)))
		if n -= uint64(k); err != nil {
			return fmt.Errorf("socket: read: %w", err)
		}
	}
	return nil
}

func (c *Conn) readControl(h *header) error {
	payload, err := c.buffer.Peek(int(h.length))
	if err != nil {
		return fmt.Errorf("socket: read: %w", err)
	}
	unmask(payload, h.key, 0)
	switch h.op {
	case opPing:
		c.answer(opPong, payload)
	case opClose:
		code, refusal := parseClose(payload)
		switch {
		case refusal != 0:
			c.refuse(refusal, "bad close frame")
		default: // answered with the same, unless it is an answer to ours
			closed := code
			if closed < 0 {
				closed = StatusNone
			}
			c.decide(closed, func() {
				c.byPeer = true
				c.control = append(appendHeader(c.control, opClose, len(payload)), payload...)
			})
		}
		return &closedError{code}
	}
	_, _ = c.buffer.Discard(len(payload)) // they are there
	return nil
}

// finish ends the connection when reading has.
func (c *Conn) finish(err error) (code int) {
	defer c.shutdown()
	if closed, ok := errors.AsType[*closedError](err); ok {
		return closed.code
	}
	if !isTimeout(err) {
		c.linger()
	}
	return -1
}

// linger reads on after a close frame of ours until the peer has gone: closing a
// connection that has unread input would take the frame back. It returns at once if
// reading has failed.
func (c *Conn) linger() {
	c.mu.Lock()
	shut := c.shut
	c.mu.Unlock()
	if !c.ending.Load() || shut {
		return
	}
	c.deadline(closeTimeout)
	_, _ = io.Copy(io.Discard, c.wire)
}
