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

// readBuffer is the size of the buffer that a connection keeps for reading. It holds the
// start of a message; the rest of a longer one is read directly into the message.
const readBuffer = 256

// ErrHijack is wrapped by the errors of Accept when the connection cannot be taken over,
// usually because middleware hides the http.Hijacker of net/http. The request has been
// answered with status 501.
var ErrHijack = errors.New("the connection cannot be taken over")

// hijackCure is the body of that response. It is for the developer of the server.
const hijackCure = "Not Implemented: middleware hides the http.Hijacker of the http.ResponseWriter; " +
	"give its ResponseWriter the method Unwrap() http.ResponseWriter"

// RefusalLevel returns the level at which to log an error of Accept: Error if the server
// cannot accept any WebSocket, which its operator must mend, and Debug if the request was
// at fault.
func RefusalLevel(err error) slog.Level {
	if errors.Is(err, ErrHijack) {
		return slog.LevelError
	}
	return slog.LevelDebug
}

// hijacker is the http.ResponseWriter on which coder/websocket answers a handshake. It
// takes over the connection before it writes the 101 response, and writes that response
// itself: a framework's writer may hold back a status, or refuse to hand over a connection
// that has one, and after the 101 response no error can be reported. coder/websocket only
// does the handshake, on a connection whose methods do nothing. Nothing that lives as long
// as the connection may refer to the hijacker, which keeps the buffers of net/http alive.
type hijacker struct {
	http.ResponseWriter
	conn  *Conn
	taken bool  // the connection has been taken from net/http
	err   error // from Hijack; once set, what coder/websocket answers is dropped
}

// WriteHeader writes the status of a refusal. The status of an upgrade is written by
// Hijack.
func (h *hijacker) WriteHeader(status int) {
	if status != http.StatusSwitchingProtocols && h.err == nil {
		h.ResponseWriter.WriteHeader(status)
	}
}

// Write writes the body of a refusal.
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

// refuse answers with status 501 if Hijack has failed.
func (h *hijacker) refuse() {
	if h.err == nil || h.taken {
		return
	}
	header := h.Header()
	for _, name := range []string{"Connection", "Upgrade", "Sec-Websocket-Accept"} {
		header.Del(name)
	}
	http.Error(h.ResponseWriter, hijackCure, http.StatusNotImplemented)
}

// takeOver takes the connection from net/http and returns it with the bytes that have
// already been read from it. It tries every writer that w wraps: an outer one may only know
// the next one, which need not be an http.Hijacker. It tries none if the innermost is not
// an http.Hijacker: gin's writer takes a failed attempt for an answer, and then no status
// could be written.
func takeOver(w http.ResponseWriter) (nc net.Conn, early []byte, err error) {
	inner := writers.Innermost(w)
	if _, ok := inner.(http.Hijacker); !ok {
		return nil, nil, fmt.Errorf("%T is not an http.Hijacker and has no method Unwrap() http.ResponseWriter", inner)
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

// hijack calls h.Hijack and returns an error if that panics: some writers assert, without a
// check, that the writer below them is an http.Hijacker.
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

// bodyHeaders are headers of a body, which middleware may have set and a 101 response must
// not have.
var bodyHeaders = map[string]bool{
	"Content-Encoding": true, "Content-Length": true, "Content-Type": true, "Trailer": true, "Transfer-Encoding": true,
}

// switchProtocols writes the 101 response.
func switchProtocols(nc net.Conn, header http.Header) error {
	answer := bytes.NewBuffer(make([]byte, 0, 512))
	answer.WriteString("HTTP/1.1 101 Switching Protocols\r\n")
	_ = header.WriteSubset(answer, bodyHeaders) // to memory
	answer.WriteString("\r\n")
	// This also replaces the deadlines that net/http may have left on the connection.
	_ = nc.SetDeadline(time.Now().Add(closeTimeout))
	_, err := nc.Write(answer.Bytes())
	_ = nc.SetDeadline(time.Time{})
	return err
}

// headed is a connection from which some bytes have already been read. Read returns them
// first.
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

// handshaken is the connection that coder/websocket has after the handshake. It cannot
// read, write or close.
type handshaken struct{ net.Conn }

func (*handshaken) Read([]byte) (int, error)    { return 0, io.EOF }
func (*handshaken) Write(p []byte) (int, error) { return len(p), nil }
func (*handshaken) Close() error                { return nil }

// input is a Conn as an io.Reader. It records when bytes arrive.
type input Conn

func (in *input) Read(p []byte) (int, error) {
	n, err := in.wire.Read(p)
	if n > 0 {
		(*Conn)(in).alive(time.Now())
	}
	return n, err
}
