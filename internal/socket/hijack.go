package socket

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/go-orpc/durable-iterator/internal/writers"
)

// readBuffer is the size of the buffer that a connection keeps for reading. It holds
// the start of a message; what is longer is read past it.
const readBuffer = 256

// ErrHijack is wrapped by the error of Accept where the connection cannot be taken over,
// mostly because middleware hides the http.Hijacker of net/http. The request was answered
// with 501.
var ErrHijack = errors.New("the connection cannot be taken over")

// RefusalLevel returns the level at which an error of Accept is logged: a server that can
// serve no WebSocket at all is a mistake of its owner, any other refusal is the client's.
func RefusalLevel(err error) slog.Level {
	if errors.Is(err, ErrHijack) {
		return slog.LevelError
	}
	return slog.LevelDebug
}

// hijacker is the http.ResponseWriter that coder/websocket answers a handshake on. It
// takes the connection over before it writes the answer 101, which it writes itself:
// a writer of a framework may keep a status back, or refuse to hand over a connection
// that has a status, and once 101 is out no error can be reported. coder/websocket, which
// is used for the handshake only, gets a connection that does nothing. Nothing that lives as
// long as the connection may refer to the hijacker: it keeps net/http's buffers alive.
type hijacker struct {
	http.ResponseWriter
	conn  *Conn
	taken bool  // the connection is no longer net/http's
	err   error // of Hijack: what coder/websocket answers from then on is dropped
}

// WriteHeader writes the status of a refusal. Hijack writes that of an upgrade.
func (h *hijacker) WriteHeader(status int) {
	if status != http.StatusSwitchingProtocols && h.err == nil {
		h.ResponseWriter.WriteHeader(status)
	}
}

// Write writes the text of a refusal.
func (h *hijacker) Write(p []byte) (int, error) {
	if h.err == nil {
		return h.ResponseWriter.Write(p)
	}
	return len(p), nil
}

func (h *hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, early, err := takeOver(h.ResponseWriter)
	if err != nil {
		h.err = fmt.Errorf("%w: %w", ErrHijack, err)
		return nil, nil, h.err
	}
	h.taken = true
	if err := switchProtocols(nc, h.Header()); err != nil {
		_ = nc.Close()
		h.err = err
		return nil, nil, err
	}
	c := h.conn
	c.fd = descriptor(nc)
	if len(early) > 0 {
		nc = &headed{nc, early}
	}
	c.wire = nc
	c.buffer = bufio.NewReaderSize((*input)(c), readBuffer)
	none := &handshaken{Conn: nc}
	return none, bufio.NewReadWriter(bufio.NewReaderSize(none, 16), bufio.NewWriterSize(none, 16)), nil
}

// refuse answers a handshake for which Hijack has failed.
func (h *hijacker) refuse() {
	if h.err == nil || h.taken {
		return
	}
	header := h.Header()
	for _, name := range []string{"Connection", "Upgrade", "Sec-Websocket-Accept"} {
		header.Del(name)
	}
	http.Error(h.ResponseWriter, http.StatusText(http.StatusNotImplemented), http.StatusNotImplemented)
}

// takeOver returns the connection behind w and what was read from it already. It tries
// every writer that w wraps: an outer one may know only the next, and that not be an
// http.Hijacker itself. It tries none if the innermost is no http.Hijacker: gin's counts a
// try that fails as an answer, and no status could be written.
func takeOver(w http.ResponseWriter) (nc net.Conn, early []byte, err error) {
	inner := writers.Innermost(w)
	if _, ok := inner.(http.Hijacker); !ok {
		return nil, nil, fmt.Errorf("%T is no http.Hijacker", inner)
	}
	for ; w != nil; w = writers.Unwrap(w) {
		if h, ok := w.(http.Hijacker); ok {
			if nc, early, err = hijack(h); err == nil {
				return nc, early, nil
			}
		}
	}
	return nil, nil, err
}

// hijack turns a panic into an error: some writers assert that what they wrap is an
// http.Hijacker.
func hijack(h http.Hijacker) (nc net.Conn, early []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	nc, brw, err := h.Hijack()
	if err != nil || brw == nil {
		return nc, nil, err
	}
	early, _ = brw.Reader.Peek(brw.Reader.Buffered())
	return nc, bytes.Clone(early), nil
}

// bodyHeaders are what middleware may have set for an answer with a body.
var bodyHeaders = map[string]bool{
	"Content-Encoding": true, "Content-Length": true, "Content-Type": true, "Trailer": true, "Transfer-Encoding": true,
}

// switchProtocols writes the answer to a handshake.
func switchProtocols(nc net.Conn, header http.Header) error {
	answer := bytes.NewBuffer(make([]byte, 0, 512))
	answer.WriteString("HTTP/1.1 101 Switching Protocols\r\n")
	_ = header.WriteSubset(answer, bodyHeaders) // to memory
	answer.WriteString("\r\n")
	// Also in place of the deadlines that net/http may have left on the connection.
	_ = nc.SetDeadline(time.Now().Add(closeTimeout))
	_, err := nc.Write(answer.Bytes())
	_ = nc.SetDeadline(time.Time{})
	return err
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
		(*Conn)(in).alive(time.Now())
	}
	return n, err
}
