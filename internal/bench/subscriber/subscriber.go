// Package subscriber is a client that uses as little CPU as possible, for benchmarks of
// servers: it subscribes and reads frames without decoding them.
package subscriber

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
)

// Subscriber is a socket with a subscription.
type Subscriber struct {
	conn net.Conn
	in   *bufio.Reader
	buf  []byte
}

// Options configures a subscriber: the server and the identity.
type Options struct {
	Address string // host and port of the server
	Path    string
	From    string // the address to connect from; empty means any
	ID      string
	Token   string
}

// Dial opens a socket and subscribes.
func Dial(ctx context.Context, o Options) (*Subscriber, error) {
	dialer := &net.Dialer{}
	if o.From != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(o.From)}
	}
	conn, err := dialer.DialContext(ctx, "tcp", o.Address)
	if err != nil {
		return nil, fmt.Errorf("subscriber: dial: %w", err)
	}
	s := &Subscriber{conn: conn, in: bufio.NewReaderSize(conn, 512)}
	if err := s.begin(o); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("subscriber: dial: %w", err)
	}
	return s, nil
}

func (s *Subscriber) begin(o Options) error {
	_, err := fmt.Fprintf(s.conn, "GET %s?%s HTTP/1.1\r\nHost: bench\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
		o.Path, url.Values{"id": {o.ID}, "token": {o.Token}}.Encode())
	if err != nil {
		return err
	}
	response, err := http.ReadResponse(s.in, nil)
	if err != nil {
		return err
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("status %s", response.Status)
	}
	const request = `{"i":"1","p":{"u":"/subscribe","b":{}}}`
	header := []byte{0x81, 0x80 | byte(len(request)), 0, 0, 0, 0} // masked with zeros
	if _, err := s.conn.Write(append(header, request...)); err != nil {
		return err
	}
	answer, err := s.Next()
	if err == nil && !bytes.Contains(answer, []byte("text/event-stream")) {
		err = fmt.Errorf("no subscription: %s", answer)
	}
	return err
}

// Next waits for a frame and returns its payload, which is valid until the next call. It
// does not answer pings.
func (s *Subscriber) Next() ([]byte, error) {
	const ping = 0x9
	for {
		op, err := s.frame()
		if err != nil {
			return nil, fmt.Errorf("subscriber: next: %w", err)
		}
		if op != ping {
			return s.buf, nil
		}
	}
}

// frame reads a frame into buf.
func (s *Subscriber) frame() (op byte, err error) {
	var h [8]byte
	if _, err := io.ReadFull(s.in, h[:2]); err != nil {
		return 0, err
	}
	op = h[0] & 0xf
	size := uint64(h[1])
	switch size {
	case 126:
		_, err = io.ReadFull(s.in, h[:2])
		size = uint64(binary.BigEndian.Uint16(h[:2]))
	case 127:
		_, err = io.ReadFull(s.in, h[:])
		size = binary.BigEndian.Uint64(h[:])
	}
	if err != nil {
		return 0, err
	}
	if uint64(cap(s.buf)) < size {
		s.buf = make([]byte, size)
	}
	s.buf = s.buf[:size]
	_, err = io.ReadFull(s.in, s.buf)
	return op, err
}

// Close ends the socket, without a close frame.
func (s *Subscriber) Close() error { return s.conn.Close() }
