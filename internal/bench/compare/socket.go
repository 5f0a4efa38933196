//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"syscall"

	"github.com/go-orpc/durable-iterator/internal/bench/host"
)

// socket is one subscriber. It reads all bytes that have arrived into a buffer that it
// shares with the others, searches it for sequence numbers, and keeps only the beginning of
// an incomplete frame while it waits.
type socket struct {
	crowd      *crowd
	conn       *net.TCPConn
	rest       []byte // the beginning of a frame
	subscribed bool
	next       int64 // the number of the next event
	at         int   // where in a message the last event was found
}

// dial opens a socket without a subscription: see subscribe.
func (c *crowd) dial(ctx context.Context, i int) (*socket, error) {
	var d net.Dialer
	conn, err := d.DialTCP(ctx, "tcp", netip.AddrPort{}, c.addr)
	if err != nil {
		return nil, err
	}
	s := &socket{crowd: c, conn: conn, next: c.first}
	if err := s.upgrade(c.dialect.target(i)); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return s, nil
}

func (s *socket) upgrade(target string) error {
	_, err := fmt.Fprintf(s.conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", target, s.crowd.addr)
	if err != nil {
		return err
	}
	r := bufio.NewReaderSize(s.conn, 1024)
	answer, err := http.ReadResponse(r, nil)
	if err != nil {
		return err
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("upgrade: %s", answer.Status)
	}
	s.rest, _ = r.Peek(r.Buffered())
	return nil
}

// subscribe sends the request for events.
func (s *socket) subscribe(after string) error {
	_, err := s.conn.Write(textFrame(s.crowd.dialect.subscribe(after)))
	return err
}

// close resets the connection, so that its port is free at once.
func (s *socket) close() {
	_ = s.conn.SetLinger(0)
	_ = s.conn.Close()
}

const bufferSize = 256 << 10

var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// read reads until the connection ends.
func (s *socket) read() error {
	raw, err := s.conn.SyscallConn()
	if err != nil {
		return err
	}
	var ended error
	err = raw.Read(func(fd uintptr) bool {
		buf, _ := buffers.Get().(*[bufferSize]byte)
		defer buffers.Put(buf)
		ended = s.readAll(int(fd), buf[:])
		return ended != nil // otherwise called again when there is more
	})
	return errors.Join(ended, err)
}

// readAll reads all bytes that have arrived.
func (s *socket) readAll(fd int, buf []byte) error {
	for {
		had := copy(buf, s.rest)
		n, err := syscall.Read(fd, buf[had:])
		switch {
		case errors.Is(err, syscall.EAGAIN):
			return nil
		case errors.Is(err, syscall.EINTR):
			continue
		case err != nil:
			return err
		case n == 0:
			return io.ErrUnexpectedEOF
		}
		if err := s.take(buf[:had+n]); err != nil {
			return err
		}
		if had+n < len(buf) {
			return nil
		}
	}
}

// take handles the frames in b, keeps the beginning of another, and counts the arrivals.
func (s *socket) take(b []byte) error {
	arrived, before := 0, s.next
	for {
		op, payload, size := parseFrame(b)
		if size == 0 {
			break
		}
		if op != finalBit|opText {
			return unexpected(op, payload)
		}
		n, err := s.message(payload)
		if err != nil {
			return err
		}
		arrived += n
		b = b[size:]
	}
	if len(b) == bufferSize {
		return errors.New("a frame does not fit into the buffer")
	}
	s.rest = append(s.rest[:0], b...)
	s.crowd.round.Load().arrive(int64(arrived), before, s.next)
	return nil
}

func unexpected(op byte, payload []byte) error {
	if op == finalBit|opClose {
		return fmt.Errorf("closed by the server: %q", payload)
	}
	return fmt.Errorf("unexpected frame, opcode %#x: %q", op, payload)
}

// sequence precedes the number of an event.
var sequence = []byte(`"bseq":`)

const (
	digits        = len("1000000000")
	afterSequence = eventSize - len(`{"bseq":`) // number of bytes of an event from the digits on
)

// message counts arrivals: the answer that confirms the subscription, and events, which
// must be consecutive.
func (s *socket) message(m []byte) (arrived int, err error) {
	if s.crowd.kept != nil {
		s.crowd.kept.Write(m)
	}
	if !s.subscribed {
		if s.subscribed, err = s.crowd.dialect.subscribed(m); err != nil {
			return 0, err
		}
		if s.subscribed {
			arrived++
		}
	}
	i := s.at // usually at the same position as in the previous message
	if i > len(m) || !bytes.HasPrefix(m[i:], sequence) {
		i = bytes.Index(m, sequence)
	}
	for s.at = max(i, 0); i >= 0; i = bytes.Index(m, sequence) {
		m = m[i+len(sequence):]
		seq, err := number(m)
		if err != nil {
			return arrived, err
		}
		if seq != s.next {
			return arrived, fmt.Errorf("received event %d instead of %d", seq, s.next)
		}
		s.next++
		arrived++
		m = m[min(len(m), afterSequence):]
	}
	return arrived, nil
}

// number reads the number of an event.
func number(b []byte) (int64, error) {
	if len(b) < digits {
		return 0, io.ErrUnexpectedEOF
	}
	n := int64(0)
	for _, c := range b[:digits] {
		n = 10*n + int64(c-'0')
	}
	return n - host.FirstSeq, nil
}
