package socket

import (
	"crypto/tls"
	"io"
	"net"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// endless is a source that has as many more batches as left.
type endless struct {
	left  int
	frame []byte
	done  chan struct{}
}

func (e *endless) Pull(b *Batch, wait bool) More {
	switch {
	case !wait:
		return WouldBlock
	case e.left == 0:
		close(e.done)
		return None
	}
	e.left--
	b.Shared = e.frame
	return Some
}

func (*endless) Visit(time.Time) (again time.Time) { return again }

// Each op writes a batch over a connection that only shows when a whole write is done.
func BenchmarkBlindWrites(b *testing.B) {
	for name, dial := range map[string]func(tb testing.TB) (server, client net.Conn){
		"pipe": func(testing.TB) (server, client net.Conn) { return net.Pipe() },
		"tls":  overTLS,
	} {
		for size, n := range map[string]int{"event": 128, "batch": BatchSize} {
			b.Run(name+"/"+size, func(b *testing.B) {
				server, client := dial(b)
				src := &endless{left: b.N, frame: make([]byte, n), done: make(chan struct{})}
				pool := NewPool(1, 0)
				c := &Conn{wire: server, src: src, pool: pool, stallTimeout: DefaultStallTimeout}
				go func() { _, _ = io.CopyBuffer(io.Discard, struct{ io.Reader }{client}, make([]byte, 64<<10)) }()
				b.SetBytes(int64(n))
				b.ResetTimer()
				c.Wake()
				<-src.done
				b.StopTimer()
				_ = client.Close()
				c.end()
				pool.Close()
			})
		}
	}
}

// overTLS returns the ends of a connection over TLS.
func overTLS(tb testing.TB) (server, client net.Conn) {
	tb.Helper()
	keys := httptest.NewUnstartedServer(nil)
	keys.StartTLS()
	defer keys.Close()
	far, near := overTCP(tb)
	s := tls.Server(far, &tls.Config{Certificates: keys.TLS.Certificates, MinVersion: tls.VersionTLS13})
	c := tls.Client(near, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13})
	done := make(chan error)
	go func() { done <- s.Handshake() }()
	require.NoError(tb, c.Handshake())
	require.NoError(tb, <-done)
	return s, c
}

// overTCP returns the ends of a TCP connection.
func overTCP(tb testing.TB) (server, client net.Conn) {
	tb.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	defer func() { require.NoError(tb, ln.Close()) }()
	client, err = net.Dial("tcp", ln.Addr().String())
	require.NoError(tb, err)
	server, err = ln.Accept()
	require.NoError(tb, err)
	return server, client
}
