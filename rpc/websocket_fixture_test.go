//go:build !js

package rpc_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"testing"

	coder "github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/websocket"
)

// network is a net.Listener in memory, which works in a bubble.
type network struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (n *network) Accept() (net.Conn, error) {
	select {
	case c := <-n.conns:
		return c, nil
	case <-n.closed:
		return nil, net.ErrClosed
	}
}

func (n *network) Close() error {
	n.once.Do(func() { close(n.closed) })
	return nil
}

func (n *network) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "unix"} }

func (n *network) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case n.conns <- theirs:
		return ours, nil
	case <-n.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// host serves h in memory and gives the client that leads there.
func host(t *testing.T, h http.Handler) *http.Client {
	t.Helper()
	n := &network{conns: make(chan net.Conn), closed: make(chan struct{})}
	server := &http.Server{Handler: h, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(n) }) // ends with the test
	transport := &http.Transport{DialContext: n.dial}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = server.Close()
		serving.Wait()
	})
	return &http.Client{Transport: transport}
}

// hostRouter serves a router over WebSockets in memory.
func hostRouter(t *testing.T, r *rpc.Router, o *websocket.HandlerOptions) (*websocket.Handler, *http.Client) {
	t.Helper()
	h := websocket.NewHandler(r, o)
	client := host(t, h)
	t.Cleanup(func() { require.NoError(t, h.Shutdown(context.Background())) })
	return h, client
}

// dial opens a link that is closed with the test. Only HTTPClient is set in o.
func dial(t *testing.T, client *http.Client, o websocket.LinkOptions) *websocket.Link {
	t.Helper()
	o.HTTPClient = client
	link, err := websocket.Dial(t.Context(), "ws://memory/rpc", &o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = link.Close() }) // the tests look at how it ends
	return link
}

// dialRaw opens a bare connection.
func dialRaw(t *testing.T, client *http.Client) *coder.Conn {
	t.Helper()
	conn, _, err := coder.Dial(t.Context(), "ws://memory/rpc", &coder.DialOptions{HTTPClient: client})
	require.NoError(t, err)
	conn.SetReadLimit(-1)
	t.Cleanup(func() { _ = conn.CloseNow() }) // it may be closed
	return conn
}

// accept is a WebSocket server that does as serve says.
func accept(serve func(*coder.Conn)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		conn, err := coder.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer func() { _ = conn.CloseNow() }() // serve may have closed it
		serve(conn)
	}
}
