package socket

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"time"
)

// readBuffer is the size of the buffer that a connection keeps for reading. It holds
// the start of a message; what is longer is read past it.
const readBuffer = 256

// hijacker takes the connection over from net/http in place of coder/websocket, which
// is used for the handshake only. Nothing that lives as long as the connection may
// refer to it: it keeps net/http's buffers alive.
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
	c.wire = nc
	c.buffer = bufio.NewReaderSize((*input)(c), readBuffer)
	none := &handshaken{Conn: nc}
	return none, bufio.NewReadWriter(bufio.NewReaderSize(none, 16), bufio.NewWriterSize(none, 16)), nil
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

// handshaken is the connection as coder/websocket sees it after the handshake: it
// cannot read, write or close.
type handshaken struct{ net.Conn }

func (*handshaken) Read([]byte) (int, error)    { return 0, io.EOF }
func (*handshaken) Write(p []byte) (int, error) { return len(p), nil }
func (*handshaken) Close() error                { return nil }

// input reads from the connection and notes when something has come.
type input Conn

func (in *input) Read(p []byte) (int, error) {
	n, err := in.wire.Read(p)
	if n > 0 {
		in.lastRead.Store(int64(time.Since(in.pool.start)))
	}
	return n, err
}
