package rpc_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/transport"
	"github.com/go-orpc/durable-iterator/rpc/value"
	"github.com/go-orpc/durable-iterator/rpc/websocket"
)

// greedyPlugin adds to every list of the options that it can.
type greedyPlugin struct{}

func (p greedyPlugin) InitHandler(o *rpc.HandlerOptions) {
	o.Interceptors = append(o.Interceptors, greedy)
	o.Plugins = append(o.Plugins, p)
	o.Serializers = append(o.Serializers, value.JSONSerializer(100,
		func(greedyPlugin) (any, error) { return "", nil }, func(any) (greedyPlugin, error) { return p, nil }))
}

func (p greedyPlugin) InitLink(o *rpc.LinkOptions) {
	own := rpc.HandlerOptions{Interceptors: o.Interceptors, Serializers: o.Serializers}
	p.InitHandler(&own)
	o.Interceptors, o.Serializers = own.Interceptors, own.Serializers
	o.Plugins = append(o.Plugins, p)
}

func greedy(ctx context.Context, call *rpc.Call, next rpc.CallFunc) (any, error) {
	return next(ctx, call)
}

// What a plugin adds to the options is not written behind the caller's own slices, of
// which another handler may be made.
func TestPluginsDoNotChangeTheOptionsOfOthers(t *testing.T) {
	t.Parallel()
	interceptors, serializers := make([]rpc.Interceptor, 1, 4), make([]value.Serializer, 0, 4)
	interceptors[0] = greedy
	handlerPlugins, linkPlugins := make([]rpc.HandlerPlugin, 1, 4), make([]rpc.LinkPlugin, 1, 4)
	handlerPlugins[0], linkPlugins[0] = greedyPlugin{}, greedyPlugin{}
	router := rpc.NewRouter()
	rpc.NewHandler(router, &rpc.HandlerOptions{Interceptors: interceptors, Serializers: serializers, Plugins: handlerPlugins})
	websocket.NewHandler(router, &websocket.HandlerOptions{Interceptors: interceptors, Serializers: serializers, Plugins: handlerPlugins})
	rpc.NewLink("http://localhost", &rpc.LinkOptions{Interceptors: interceptors, Serializers: serializers, Plugins: linkPlugins})
	require.Nil(t, interceptors[:2][1])
	require.Zero(t, serializers[:1][0])
	require.Nil(t, handlerPlugins[:2][1])
	require.Nil(t, linkPlugins[:2][1])
}

// brokenLog is a slog.Handler that panics.
type brokenLog struct{ calls chan string }

func (brokenLog) Enabled(context.Context, slog.Level) bool { return true }
func (l brokenLog) WithAttrs([]slog.Attr) slog.Handler     { return l }
func (l brokenLog) WithGroup(string) slog.Handler          { return l }
func (l brokenLog) Handle(_ context.Context, r slog.Record) error {
	l.calls <- r.Message
	panic("cannot log")
}

// A log that panics takes neither an answer nor the process with it.
func TestLoggersThatPanic(t *testing.T) {
	t.Parallel()
	p := rpc.Define[rpc.Void, rpc.Void]("p")
	router := rpc.NewRouter(p.Handler(func(context.Context, rpc.Void) (rpc.Void, error) { panic("broken") }))
	log := brokenLog{make(chan string, 10)}
	w := post(rpc.NewHandler(router, &rpc.HandlerOptions{Logger: slog.New(log)}), "/p", "{}")
	require.Equal(t, http.StatusInternalServerError, w.Code)
	require.Equal(t, internalError, w.Body.String())
	require.Equal(t, "handler panicked", <-log.calls)

	// A panic outside of Handle is logged by the goroutine that it would end.
	peer := transport.NewServerPeer(t.Context(), &transport.ServerPeerOptions{
		NewState: func() any { panic("broken") },
		Handle:   router.Serve,
		Send:     func(context.Context, []byte, bool) error { return nil },
		Logger:   slog.New(log),
	})
	message, err := json.Marshal(map[string]any{"i": "1", "p": map[string]any{"u": "/p"}})
	require.NoError(t, err)
	require.NoError(t, peer.Receive(message, false))
	require.Equal(t, "call panicked", <-log.calls)
	peer.Close()
	peer.Wait()
}
