//go:build !js

package rpc_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"testing"

	coder "github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/memhttp"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/websocket"
)

// host serves h in memory until the test ends.
func host(t *testing.T, h http.Handler) *memhttp.Server {
	t.Helper()
	server := memhttp.NewServer(h, func(s *http.Server) { s.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) })
	t.Cleanup(server.Close)
	return server
}

// hostRouter serves a router over WebSockets in memory and returns the client for it.
func hostRouter(t *testing.T, r *rpc.Router, o *websocket.HandlerOptions) *http.Client {
	t.Helper()
	h := websocket.NewHandler(r, o)
	server := host(t, h)
	t.Cleanup(func() { require.NoError(t, h.Shutdown(context.Background())) })
	return server.Client()
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

// rawServer serves h in memory, and returns the client's end of one connection.
func rawServer(t *testing.T, h http.Handler) net.Conn {
	t.Helper()
	conn, err := host(t, h).Dial(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() }) // the server may have closed it
	return conn
}
