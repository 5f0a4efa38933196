package durableobject_test

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// sink is the server's end of a connection in memory that accepts all that is written to it, at no
// cost. It sends one message: the request to subscribe.
type sink struct {
	writes atomic.Int64
	ended  atomic.Bool // the last event has arrived: see lastWords
	closed chan struct{}
	once   sync.Once
	input  bytes.Reader
}

const (
	// lastWords are what a sink takes for the last event.
	lastWords = "that was all"
	// closeFrame is the first byte of the frame after which a sink, like a client, closes
	// its connection. It has no deadlines that would end it otherwise.
	closeFrame = 0x88
)

func newSink(input []byte) *sink {
	s := &sink{closed: make(chan struct{})}
	s.input.Reset(input)
	return s
}

func (s *sink) Read(p []byte) (int, error) {
	if s.input.Len() > 0 {
		return s.input.Read(p)
	}
	<-s.closed
	return 0, io.EOF
}

// Write accepts the answer to the handshake, which does not count, and everything that TryWrite
// accepts.
func (s *sink) Write(p []byte) (int, error) {
	if isHandshakeAnswer(p) {
		return len(p), nil
	}
	return s.TryWrite(p)
}

func isHandshakeAnswer(p []byte) bool { return bytes.HasPrefix(p, []byte("HTTP/1.1 101 ")) }

func (s *sink) TryWrite(p []byte) (int, error) {
	s.writes.Add(1)
	if p[0] == closeFrame {
		_ = s.Close()
	}
	if bytes.Contains(p[max(0, len(p)-256):], []byte(lastWords)) {
		s.ended.Store(true)
	}
	return len(p), nil
}

func (s *sink) Close() error {
	s.once.Do(func() { close(s.closed) })
	return nil
}

// wait returns when the expected number of events has arrived, and then expects one more. It fails
// the test if the connection is closed before that.
func (s *sink) wait(tb testing.TB) {
	tb.Helper()
	for !s.ended.Swap(false) {
		select {
		case <-s.closed:
			require.FailNow(tb, "the server has closed the connection before its last event")
		default:
			runtime.Gosched()
		}
	}
}

func (*sink) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (*sink) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (*sink) SetDeadline(time.Time) error      { return nil }
func (*sink) SetReadDeadline(time.Time) error  { return nil }
func (*sink) SetWriteDeadline(time.Time) error { return nil }

// upgrading is the response to a request whose connection is in memory.
type upgrading struct {
	*httptest.ResponseRecorder
	conn net.Conn
}

func (u upgrading) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return u.conn, bufio.NewReadWriter(bufio.NewReaderSize(u.conn, 16), bufio.NewWriterSize(u.conn, 16)), nil
}

// connectSink opens a socket with a token and subscribes with an id, after an event unless that is
// empty.
func connectSink(tb testing.TB, h http.Handler, id, token, subscription, lastEventID string) *sink {
	tb.Helper()
	headers := ""
	if lastEventID != "" {
		headers = fmt.Sprintf(`,"h":{"last-event-id":%q}`, lastEventID)
	}
	return subscribeSink(tb, h, id, token, subscription, headers)
}

// subscribeSink is connectSink with headers, which are the member h of the request.
func subscribeSink(tb testing.TB, h http.Handler, id, token, subscription, headers string) *sink {
	tb.Helper()
	conn := newSink(masked(fmt.Appendf(nil, `{"i":%s,"p":{"u":"/subscribe"%s}}`, subscription, headers)))
	upgrade(tb, h, id, token, conn)
	return conn
}

// upgrade passes a request with a token to the handler, whose connection is in memory.
func upgrade(tb testing.TB, h http.Handler, id, token string, conn net.Conn) {
	tb.Helper()
	r := httptest.NewRequest(http.MethodGet, "/?"+url.Values{"id": {id}, "token": {token}}.Encode(), nil)
	r.Header = http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"},
		"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"AAAAAAAAAAAAAAAAAAAAAA=="},
	}
	w := upgrading{httptest.NewRecorder(), conn}
	h.ServeHTTP(w, r)
	require.Empty(tb, w.Body.String(), "the upgrade is refused")
}

// masked returns a text frame as a client sends it.
func masked(payload []byte) []byte {
	frame := []byte{0x81, 0x80 | 126}
	frame = binary.BigEndian.AppendUint16(frame, uint16(len(payload)))
	var key [4]byte
	_, _ = rand.Read(key[:])
	frame = append(frame, key[:]...)
	for i, c := range payload {
		frame = append(frame, c^key[i%len(key)])
	}
	return frame
}
