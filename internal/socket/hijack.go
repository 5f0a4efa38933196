package socket

import (
	"bufio"
	"bytes"
	"net"
	"net/http"
	"time"
)

// Sizes of the buffers that a connection keeps. The one for reading holds the start of
// a message; what is longer is read past it. Only close frames are written through the
// other, which is as small as bufio lets it be.
const (
	readBuffer  = 256
	writeBuffer = 16
)

// hijacker gives coder/websocket a connection that it cannot write to behind our
// back, and buffers that are smaller than those of net/http. Nothing that lives as
// long as the connection may refer to it: it keeps net/http's buffers alive.
type hijacker struct {
	http.ResponseWriter
	conn *Conn
}

func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, brw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	early, _ := brw.Reader.Peek(brw.Reader.Buffered())
	// net/http may have left deadlines of its own on the connection.
	_ = nc.SetDeadline(time.Time{})
	c := h.conn
	c.fd = descriptor(nc)
	if len(early) > 0 {
		nc = &headed{nc, bytes.Clone(early)}
	}
	c.wire = transport{nc, c}
	c.buffer = bufio.NewReaderSize(&c.wire, readBuffer)
	return &c.wire, bufio.NewReadWriter(c.buffer, bufio.NewWriterSize(&c.wire, writeBuffer)), nil
}

// headed is a connection of which something was read already.
type headed struct {
	net.Conn
	head []byte
}

func (h *headed) Read(p []byte) (int, error) {
	if len(h.head) == 0 {
		return h.Conn.Read(p)
	}
	n := copy(p, h.head)
	h.head = h.head[n:]
	return n, nil
}

// transport is the net.Conn that coder/websocket gets. Reads pass through.
type transport struct {
	net.Conn
	c *Conn
}

func (t *transport) Read(p []byte) (int, error) {
	if t.c.quiet {
		t.c.quiet = false
		return 0, errQuiet
	}
	n, err := t.Conn.Read(p)
	if n > 0 {
		t.c.lastRead.Store(int64(time.Since(t.c.pool.start)))
	}
	return n, err
}

// Write gets nothing but a close frame, perhaps in pieces: pings are answered by us.
func (t *transport) Write(p []byte) (int, error) {
	t.c.mu.Lock()
	if !t.c.closing { // our own close frame is the last one
		t.c.control = append(t.c.control, p...)
		t.c.ending = true
	}
	t.c.mu.Unlock()
	t.c.Wake()
	return len(p), nil
}

// Close leaves the closing to Serve, which lets a close frame out first, but ends a
// read that goes on for much longer.
func (t *transport) Close() error {
	_ = t.Conn.SetReadDeadline(time.Now().Add(closeTimeout))
	return nil
}
