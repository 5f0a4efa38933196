package socket

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
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

// open takes the connection of a good request over and answers it. It does so in this
// order, and writes the answer itself: a writer of a framework may keep a status back, or
// refuse to hand over a connection that has a status, and once 101 is out no error can be
// reported. Nothing that lives as long as the connection may refer to w: it keeps
// net/http's buffers alive.
func (c *Conn) open(w http.ResponseWriter, r *http.Request, subprotocols []string) error {
	header := w.Header()
	setAnswer(header, r, subprotocols)
	nc, early, err := takeOver(w)
	if err != nil {
		for _, name := range answerHeaders {
			header.Del(name)
		}
		http.Error(w, http.StatusText(http.StatusNotImplemented), http.StatusNotImplemented)
		return fmt.Errorf("%w: %w", ErrHijack, err)
	}
	if err := switchProtocols(nc, header); err != nil {
		_ = nc.Close()
		return err
	}
	c.fd = descriptor(nc)
	if len(early) > 0 {
		nc = &headed{nc, early}
	}
	c.wire = nc
	c.buffer = bufio.NewReaderSize((*input)(c), readBuffer)
	return nil
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

// input reads from the connection and notes when something has come.
type input Conn

func (in *input) Read(p []byte) (int, error) {
	n, err := in.wire.Read(p)
	if n > 0 {
		(*Conn)(in).alive(time.Now())
	}
	return n, err
}
