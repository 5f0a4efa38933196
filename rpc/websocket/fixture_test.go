//go:build !js

package websocket_test

import (
	"context"
	"log/slog"
	"net/http"
	"testing"
	"time"

	coder "github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/memhttp"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/websocket"
)

type messageInput struct {
	Message string `json:"message" validate:"required"`
}

type teapotData struct {
	Kind string `json:"kind"`
}

var (
	errTeapot = rpc.DefineError[teapotData]("TEAPOT", 418, "I am a teapot")

	echo        = rpc.Define[any, any]("echo")
	ping        = rpc.DefineIn[rpc.Void, string](rpc.Group("nested"), "ping")
	sendMessage = rpc.Define[messageInput, rpc.Void]("sendMessage")
	readable    = rpc.Define[any, map[string]any]("readable", rpc.WithMethod(http.MethodGet))
	fail        = rpc.Define[teapotData, any]("fail", errTeapot)
	lastEventID = rpc.Define[rpc.Void, string]("lastEventId")
)

func pong(context.Context, rpc.Void) (string, error) { return "pong", nil }

func fixtureRouter() *rpc.Router {
	return rpc.NewRouter(
		echo.Handler(func(_ context.Context, in any) (any, error) { return in, nil }),
		ping.Handler(pong),
		sendMessage.Handler(func(context.Context, messageInput) (rpc.Void, error) { return rpc.Void{}, nil }),
		readable.Handler(func(_ context.Context, in any) (map[string]any, error) { return map[string]any{"got": in}, nil }),
		fail.Handler(func(_ context.Context, in teapotData) (any, error) { return nil, errTeapot.New(in) }),
		lastEventID.Handler(func(ctx context.Context, _ rpc.Void) (string, error) {
			call, _ := rpc.CallOf(ctx)
			return call.LastEventID, nil
		}),
	)
}

func date() time.Time { return time.Date(2024, 1, 2, 3, 4, 5, 678e6, time.UTC) }

// blocked is a handler that blocks.
type blocked struct {
	release chan struct{}
	started chan struct{} // receives a value for each call
	ended   chan error    // receives the cause for each call whose context has ended
}

func newBlocked() *blocked {
	return &blocked{release: make(chan struct{}), started: make(chan struct{}, 1000), ended: make(chan error, 100)}
}

func (b *blocked) handle(ctx context.Context, _ rpc.Void) (string, error) {
	b.started <- struct{}{}
	select {
	case <-b.release:
		return "released", nil
	case <-ctx.Done():
		b.ended <- context.Cause(ctx)
		return "", ctx.Err()
	}
}

// blockedRouter has one procedure, which b handles.
func blockedRouter(b *blocked) *rpc.Router { return rpc.NewRouter(ping.Handler(b.handle)) }

// startPing calls ping in the background.
func startPing(ctx context.Context, c rpc.Caller) <-chan error {
	done := make(chan error, 1)
	go func() {
		_, err := ping.Call(ctx, c, rpc.Void{})
		done <- err
	}()
	return done
}

// host serves h in memory until the test ends, and returns the client for it.
func host(t *testing.T, h http.Handler) *http.Client {
	t.Helper()
	server := memhttp.NewServer(h, func(s *http.Server) { s.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) })
	t.Cleanup(server.Close)
	return server.Client()
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
	t.Cleanup(func() { _ = link.Close() }) // the tests check how it ends
	return link
}

// dialRaw opens a connection without a link.
func dialRaw(t *testing.T, client *http.Client) *coder.Conn {
	t.Helper()
	conn, _, err := coder.Dial(t.Context(), "ws://memory/rpc", &coder.DialOptions{HTTPClient: client})
	require.NoError(t, err)
	conn.SetReadLimit(-1)
	t.Cleanup(func() { _ = conn.CloseNow() }) // it may be closed
	return conn
}

// accept is a WebSocket server that serves each connection with serve.
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
