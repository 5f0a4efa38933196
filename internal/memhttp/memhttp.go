// Package memhttp serves HTTP and WebSockets in memory, for tests. It works inside
// testing/synctest bubbles: nothing waits for a network. Create and close a server in
// the same bubble.
package memhttp

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"
)

// Server is an http.Server without a network.
type Server struct {
	http     *http.Server
	client   *http.Client
	incoming chan net.Conn
	closed   chan struct{} // closed by close
	close    func()
	served   sync.WaitGroup

	// mu guards the fields below. conns are the open connections, as their clients
	// see them. Once down is set no connection is added.
	mu    sync.Mutex
	conns map[*conn]struct{}
	down  bool
}

// NewServer starts a server for h, after configure has changed its settings. The caller
// must close it.
func NewServer(h http.Handler, configure ...func(*http.Server)) *Server {
	s := &Server{
		http:     &http.Server{Handler: h, ReadHeaderTimeout: time.Minute},
		incoming: make(chan net.Conn),
		closed:   make(chan struct{}),
		conns:    map[*conn]struct{}{},
	}
	for _, change := range configure {
		change(s.http)
	}
	s.close = sync.OnceFunc(func() { close(s.closed) })
	s.client = &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return s.Dial(ctx) },
	}}
	s.served.Go(func() { _ = s.http.Serve(listener{s}) })
	return s
}

// URL returns the URL of the server. Its Client connects to the server with any other
// host, too.
func (s *Server) URL() string { return "http://memory" }

// Shutdown shuts the server down, as [http.Server.Shutdown] does.
func (s *Server) Shutdown(ctx context.Context) error { return s.http.Shutdown(ctx) }

// Client returns a client whose connections all lead to the server.
func (s *Server) Client() *http.Client { return s.client }

// Cut closes all connections, as a network failure does.
func (s *Server) Cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		_ = c.Conn.Close()
	}
	clear(s.conns)
}

// SetDown sets whether the server refuses new connections.
func (s *Server) SetDown(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

// Close closes the server and all its connections. It does not wait for handlers that have
// hijacked a connection.
func (s *Server) Close() {
	s.client.CloseIdleConnections()
	s.close()
	_ = s.http.Close()
	s.Cut()
	s.served.Wait()
}

var (
	errDown   = errors.New("memhttp: connection refused")
	errClosed = errors.New("memhttp: server closed")
)

// Dial returns a new connection to the server, for clients other than an http.Client.
func (s *Server) Dial(ctx context.Context) (net.Conn, error) {
	near, far := net.Pipe()
	c := &conn{Conn: near, server: s}
	s.mu.Lock()
	down := s.down
	if !down {
		s.conns[c] = struct{}{}
	}
	s.mu.Unlock()
	if down {
		return nil, errDown
	}
	select {
	case s.incoming <- far:
		return c, nil
	case <-s.closed:
		_ = c.Close()
		return nil, errClosed
	case <-ctx.Done():
		_ = c.Close()
		return nil, ctx.Err()
	}
}

// conn is the client's side of a connection.
type conn struct {
	net.Conn
	server *Server
}

// Close closes the connection and removes it from the server.
func (c *conn) Close() error {
	c.server.mu.Lock()
	delete(c.server.conns, c)
	c.server.mu.Unlock()
	return c.Conn.Close()
}

// listener accepts the server's ends of the connections.
type listener struct{ server *Server }

func (l listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.server.incoming:
		return c, nil
	case <-l.server.closed:
		return nil, net.ErrClosed
	}
}

// Close is also called when the server shuts down.
func (l listener) Close() error {
	l.server.close()
	return nil
}

func (l listener) Addr() net.Addr { return address{} }

type address struct{}

func (address) Network() string { return "memory" }
func (address) String() string  { return "memory" }
