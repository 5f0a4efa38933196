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

// A plugin that appends to the options does not write into the caller's slices, because
// they may be used for another handler.
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

// A log that panics ends neither the answer nor the process.
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

// addsNil is a plugin that adds a nil interceptor.
type addsNil struct{}

func (addsNil) InitHandler(o *rpc.HandlerOptions) { o.Interceptors = append(o.Interceptors, nil) }
func (addsNil) InitLink(o *rpc.LinkOptions)       { o.Interceptors = append(o.Interceptors, nil) }

// Wrong options cause a panic when something is made from them. Its text has a sentence for
// each fault.
func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	router, ping := rpc.NewRouter(), rpc.Define[rpc.Void, rpc.Void]("ping")
	handler := func(o rpc.HandlerOptions) func() { return func() { rpc.NewHandler(router, &o) } }
	link := func(o rpc.LinkOptions) func() { return func() { rpc.NewLink("http://localhost", &o) } }
	sockets := func(o websocket.HandlerOptions) func() { return func() { websocket.NewHandler(router, &o) } }
	socket := func(o websocket.LinkOptions) func() {
		return func() { _, _ = websocket.Dial(context.Background(), "ws://localhost", &o) }
	}
	server := func(o transport.ServerPeerOptions) func() { return func() { transport.NewServerPeers(&o) } }
	client := func(o transport.ClientPeerOptions) func() { return func() { transport.NewClientPeer(&o) } }
	send := func(context.Context, []byte, bool) error { return nil }
	none := []rpc.Interceptor{nil}
	for want, build := range map[string]func(){
		"rpc: NewHandler: the router is nil":        func() { rpc.NewHandler(nil, nil) },
		"rpc: NewHandler: MaxBodyBytes is negative": handler(rpc.HandlerOptions{MaxBodyBytes: -1}),
		`rpc: NewHandler: prefix "rpc" has no leading slash; an interceptor is nil; a plugin is nil`: handler(
			rpc.HandlerOptions{Prefix: "rpc", Interceptors: none, Plugins: []rpc.HandlerPlugin{nil}}),
		"rpc: NewHandler: an interceptor of a plugin is nil": handler(rpc.HandlerOptions{Plugins: []rpc.HandlerPlugin{addsNil{}}}),
		"rpc: BatchPlugin: MaxSize is negative":              handler(rpc.HandlerOptions{Plugins: []rpc.HandlerPlugin{&rpc.BatchPlugin{MaxSize: -1}}}),
		"rpc: NewLink: MaxBodyBytes is negative; MaxURLLength is negative; an interceptor is nil; a plugin is nil": link(
			rpc.LinkOptions{MaxBodyBytes: -1, MaxURLLength: -1, Interceptors: none, Plugins: []rpc.LinkPlugin{nil}}),
		"rpc: NewLink: an interceptor of a plugin is nil": link(rpc.LinkOptions{Plugins: []rpc.LinkPlugin{addsNil{}}}),
		"rpc: BatchLinkPlugin: MaxSize is negative; Window is negative": link(
			rpc.LinkOptions{Plugins: []rpc.LinkPlugin{&rpc.BatchLinkPlugin{MaxSize: -1, Window: -1}}}),
		"websocket: NewHandler: the router is nil": func() { websocket.NewHandler(nil, nil) },
		"websocket: NewHandler: MaxMessageBytes is negative; MessageTimeout is negative; MaxCalls is negative": sockets(
			websocket.HandlerOptions{MaxMessageBytes: -1, MessageTimeout: -1, MaxCalls: -1}),
		"websocket: NewHandler: MaxPendingBytes is negative; MaxStreams is negative; MaxUnsentBytes is negative; StallTimeout is negative": sockets(
			websocket.HandlerOptions{MaxPendingBytes: -1, MaxStreams: -1, MaxUnsentBytes: -1, StallTimeout: -1}),
		"websocket: NewHandler: an interceptor is nil; a plugin is nil": sockets(
			websocket.HandlerOptions{Interceptors: none, Plugins: []rpc.HandlerPlugin{nil}}),
		"websocket: NewHandler: an interceptor of a plugin is nil": sockets(websocket.HandlerOptions{Plugins: []rpc.HandlerPlugin{addsNil{}}}),
		"websocket: Dial: MaxMessageBytes is negative; WriteTimeout is negative; an interceptor is nil": socket(
			websocket.LinkOptions{MaxMessageBytes: -1, WriteTimeout: -1, Interceptors: none}),
		"transport: NewServerPeers: Handle is required; MaxCalls is negative; MaxStreams is negative; MaxPendingBytes is negative": server(
			transport.ServerPeerOptions{MaxCalls: -1, MaxStreams: -1, MaxPendingBytes: -1}),
		"transport: NewServerPeers: there are more than 2 Urgent paths": server(
			transport.ServerPeerOptions{Handle: router.Serve, Urgent: []string{"a", "b", "c"}}),
		"transport: NewClientPeer: Send is required":      client(transport.ClientPeerOptions{}),
		"transport: NewClientPeer: an interceptor is nil": client(transport.ClientPeerOptions{Send: send, Interceptors: none}),
		"rpc: Chain: an interceptor is nil": func() {
			ping.Handler(func(context.Context, rpc.Void) (rpc.Void, error) { return rpc.Void{}, nil }, nil)
		},
	} {
		require.PanicsWithValue(t, want, build)
	}
	_, err := ping.Call(t.Context(), router, rpc.Void{}, nil)
	require.EqualError(t, err, "rpc: call ping: an option is nil")
}
