package durableobject_test

import (
	"bufio"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// wire is the server's end of a connection in memory. Bytes that the server writes wait in out,
// which has room for space bytes, until the client takes them. The client never waits.
type wire struct {
	mu       sync.Mutex
	changed  sync.Cond
	in, out  []byte
	space    int
	choppy   *rand.Rand // takes less than there is room for, and its time, now and then
	opened   bool       // the handshake was answered
	closed   bool       // by the server
	gone     bool       // the client is
	readEnd  alarm
	writeEnd alarm
}

// alarm is a deadline.
type alarm struct {
	at    time.Time
	timer *time.Timer
}

func newWire(space int, seed uint64) *wire {
	w := &wire{space: space, choppy: rand.New(rand.NewPCG(seed, 1))}
	w.changed.L = &w.mu
	return w
}

// pause lets other goroutines run, as a system call may.
func (w *wire) pause() {
	w.mu.Lock()
	yes := w.choppy.IntN(3) == 0
	w.mu.Unlock()
	if yes {
		runtime.Gosched()
	}
}

// tryWire is a wire with TryWrite.
type tryWire struct{ *wire }

// TryWrite accepts as much as fits, or some of it, or nothing.
func (w tryWire) TryWrite(p []byte) (int, error) {
	w.pause()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || w.gone {
		return 0, syscall.EPIPE
	}
	n := min(len(p), w.space-len(w.out))
	if w.choppy.IntN(4) == 0 {
		n = w.choppy.IntN(n + 1)
	}
	w.out = append(w.out, p[:n]...)
	return n, nil
}

func (w *wire) Write(p []byte) (n int, err error) {
	w.pause()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.opened && isHandshakeAnswer(p) {
		w.opened = true
		return len(p), nil
	}
	for {
		switch {
		case w.closed || w.gone:
			return n, syscall.EPIPE
		case w.writeEnd.over():
			return n, os.ErrDeadlineExceeded
		}
		k := min(len(p)-n, w.space-len(w.out))
		w.out = append(w.out, p[n:n+k]...)
		if n += k; n == len(p) {
			return n, nil
		}
		w.changed.Wait()
	}
}

func (w *wire) Read(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.in) == 0 {
		switch {
		case w.closed:
			return 0, net.ErrClosed
		case w.gone:
			return 0, io.EOF
		case w.readEnd.over():
			return 0, os.ErrDeadlineExceeded
		}
		w.changed.Wait()
	}
	n := copy(p, w.in)
	w.in = w.in[n:]
	return n, nil
}

func (w *wire) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	w.changed.Broadcast()
	return nil
}

func (w *wire) LocalAddr() net.Addr  { return &net.UnixAddr{Name: "wire"} }
func (w *wire) RemoteAddr() net.Addr { return w.LocalAddr() }

func (w *wire) SetDeadline(t time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.readEnd.set(w, t)
	w.writeEnd.set(w, t)
	return nil
}

func (w *wire) SetReadDeadline(t time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.readEnd.set(w, t)
	return nil
}

func (w *wire) SetWriteDeadline(t time.Time) error {
	defer w.pause()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writeEnd.set(w, t)
	return nil
}

// set is called with the lock of the wire held, and so is over.
func (a *alarm) set(w *wire, t time.Time) {
	a.at = t
	if a.timer != nil {
		a.timer.Stop()
		a.timer = nil
	}
	if !t.IsZero() {
		a.timer = time.AfterFunc(time.Until(t), func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.changed.Broadcast()
		})
	}
	w.changed.Broadcast()
}

func (a *alarm) over() bool { return !a.at.IsZero() && !time.Now().Before(a.at) }

// send is called by the client, as take and cut are.
func (w *wire) send(op byte, payload []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.in = append(w.in, 0x80|op)
	switch size := len(payload); {
	case size < 126:
		w.in = append(w.in, 0x80|byte(size))
	default:
		w.in = binary.BigEndian.AppendUint16(append(w.in, 0x80|126), uint16(size))
	}
	w.in = append(append(w.in, 0, 0, 0, 0), payload...) // masked with zeros
	w.changed.Broadcast()
}

// take appends to dst what has arrived, at most limit bytes. over means that nothing more will
// arrive.
func (w *wire) take(dst []byte, limit int) (b []byte, over bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := min(limit, len(w.out))
	dst = append(dst, w.out[:n]...)
	w.out = append(w.out[:0], w.out[n:]...)
	w.changed.Broadcast()
	return dst, w.closed && len(w.out) == 0
}

// cut ends the connection. Data that was not taken is lost.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gone, w.out = true, nil
	w.changed.Broadcast()
}

// splitFrame returns the first frame that a server has sent, and the rest.
func splitFrame(b []byte) (op byte, payload, rest []byte, ok bool) {
	if len(b) < 2 {
		return 0, nil, b, false
	}
	head, size := 2, int(b[1])
	switch {
	case size == 126 && len(b) >= 4:
		head, size = 4, int(binary.BigEndian.Uint16(b[2:]))
	case size == 127 && len(b) >= 10:
		head, size = 10, int(binary.BigEndian.Uint64(b[2:]))
	case size >= 126:
		return 0, nil, b, false
	}
	if len(b) < head+size {
		return 0, nil, b, false
	}
	return b[0] & 0xF, b[head : head+size], b[head+size:], true
}

// handshake is the ResponseWriter of an upgrade whose connection is a wire.
type handshake struct {
	conn   net.Conn
	header http.Header
	status int
	body   []byte
}

func (h *handshake) Header() http.Header { return h.header }

func (h *handshake) WriteHeader(status int) { h.status = status }

func (h *handshake) Write(p []byte) (int, error) {
	h.body = append(h.body, p...)
	return len(p), nil
}

func (h *handshake) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.conn, bufio.NewReadWriter(bufio.NewReaderSize(h.conn, 16), bufio.NewWriterSize(h.conn, 16)), nil
}
