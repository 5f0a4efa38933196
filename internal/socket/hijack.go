package socket

import (
	"bufio"
	"net"
	"net/http"
	"time"
)

// Sizes of the buffers that a connection keeps. They hold a control frame and
// the start of a message; longer ones are read past the buffer.
const (
	readBuffer  = 128
	writeBuffer = 144
)

// hijacker gives coder/websocket a connection that it cannot write to behind our
// back, and buffers that are smaller than those of net/http.
type hijacker struct {
	http.ResponseWriter // nil after the handshake: it keeps net/http's buffers alive
	conn                *Conn
}

func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, brw, err := http.NewResponseController(h.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	early, _ := brw.Reader.Peek(brw.Reader.Buffered())
	// net/http may have left deadlines of its own on the connection.
	_ = nc.SetDeadline(time.Time{})
	h.conn.nc = nc
	h.conn.try = newTryWriter(nc)
	t := &transport{Conn: nc, c: h.conn, early: append([]byte(nil), early...)}
	return t, bufio.NewReadWriter(bufio.NewReaderSize(t, readBuffer), bufio.NewWriterSize(t, writeBuffer)), nil
}

// transport is the net.Conn that coder/websocket gets. Reads pass through; what
// it writes, control frames only and each in one piece, waits for its turn.
type transport struct {
	net.Conn
	c     *Conn
	early []byte // bytes that the peer sent right behind its handshake
}

func (t *transport) Read(p []byte) (int, error) {
	if len(t.early) > 0 {
		n := copy(p, t.early)
		t.early = t.early[n:]
		return n, nil
	}
	n, err := t.Conn.Read(p)
	if n > 0 {
		t.c.lastRead.Store(time.Now().UnixNano())
	}
	return n, err
}

func (t *transport) Write(p []byte) (int, error) {
	t.c.mu.Lock()
	switch {
	case t.c.ending: // our own close frame was the last one
	case len(p) > 0 && p[0] == finalFrame|opClose:
		t.c.control = append(t.c.control, p...)
		t.c.ending = true
	case len(t.c.control)+len(p) <= maxControl:
		t.c.control = append(t.c.control, p...)
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
