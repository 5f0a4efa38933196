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
	// firstPayload is the first capacity for a payload, in bytes. The capacity doubles as
	// bytes arrive, so that a header alone allocates little.
	firstPayload = 16 << 10
	// maxFragments bounds the frames of one message.
	maxFragments = 1 << 14
)

// errProtocol is returned for frames after which nothing more can be read.
var errProtocol = errors.New("socket: protocol error")

// closedError is returned when the client's close frame has been read.
type closedError struct{ code int }

func (e *closedError) Error() string { return fmt.Sprintf("socket: closed with code %d", e.code) }

// Handler receives the messages of a connection. Its methods are called by one goroutine at
// a time, except Closing.
type Handler interface {
	// Receive handles a message, which it may keep. A text message is valid UTF-8. If
	// Receive returns a function, that runs while reading continues; it is for work that
	// takes longer. While Receive runs nothing is read, and that time does not count against
	// the client, neither as silence nor for a message of which a part has arrived.
	Receive(message []byte, binary bool) (run func())

	// Closing is called once, when it is decided to close the connection: by Close, because
	// of a fault of the client, or because the connection has failed. Receive is not called
	// after it, and a running Receive should return. Closing must not block, and may be
	// called with locks of Close's caller held.
	Closing()

	// Ended is called after Closing, when reading has ended and the connection is closed.
	// code is the close code that the client has sent, or -1 if there was none.
	Ended(code int)
}

// Serve starts a goroutine that reads messages and passes each to h until the connection
// closes.
func (c *Conn) Serve(h Handler) {
	c.mu.Lock()
	c.handler = h
	ending := c.ending.Load()
	c.mu.Unlock()
	if ending {
		h.Closing()
	}
	now := time.Now()
	c.alive(now)
	c.pool.wheel.Add(&c.visits, c, now)
	go c.read()
}

// read waits for input and reads it. Reading grows the stack of its goroutine, which would
// stay so; therefore another goroutine waits for the next input.
func (c *Conn) read() {
	// The bytes or the error are returned again by readMessages.
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

// readMessages reads the received messages, up to one for which the handler returns a
// function.
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
			if c.buffer.Buffered() > 0 { // the next message has begun, and its time begins now
				c.alive(time.Now())
			}
			c.paused.Store(false)
		}
		if run != nil || c.buffer.Buffered() == 0 {
			return run, nil
		}
	}
}

// readMessage returns the next message and its opcode. The opcode is opContinuation if
// there is no message: a control frame was the last frame received, or the connection is
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

// checkText closes the connection with code 1007 if a text message is not UTF-8.
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
	_, _ = c.buffer.Discard(len(b)) // they are in the buffer
	return h, nil
}

// readPayload appends the payload of a frame to message. The caller has checked that both
// are within the read limit.
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
		_ = c.answer(opPong, payload) // a client that does not read may not get all pongs
	case opClose:
		code, refusal := parseClose(payload)
		switch {
		case refusal != 0:
			c.refuse(refusal, "bad close frame")
		default: // answered with the same frame, unless it is the answer to ours
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
	_, _ = c.buffer.Discard(len(payload)) // they are in the buffer
	return nil
}

// finish closes the connection after reading has ended with err. It returns the client's
// close code, or -1.
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

// linger reads and drops input after our close frame until the client closes the
// connection: if that were closed with unread input, the client might never see the frame.
// It returns at once if reading has failed.
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
