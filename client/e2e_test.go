//go:build !js

package client_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/durableiterator"
	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/internal/memhttp"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
	"github.com/stretchr/testify/require"
)

type message struct {
	Text string `json:"text"`
}

var (
	key     = token.Secret("secret-key")
	onEvent = durableiterator.Define[rpc.Void, message]("onEvent")
	say     = rpc.Define[message, rpc.Void]("say")
	ping    = rpc.DefineIn[rpc.Void, string](rpc.Group("group"), "ping")
)

type room struct {
	*durableobject.Object[message]
}

func (r *room) Say(ctx context.Context, _ *durableobject.Websocket, m message) (rpc.Void, error) {
	return rpc.Void{}, r.PublishEvent(ctx, m)
}

func (r *room) Ping(context.Context, *durableobject.Websocket, rpc.Void) (string, error) {
	return "pong", nil
}

func TestSmoke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rooms := durableobject.NewNamespace(func(_ context.Context, o *durableobject.Object[message]) (*room, error) {
			return &room{o}, nil
		}, &durableobject.Options{Verifier: key, ResumeRetention: time.Minute})
		durableobject.Handle(rooms, say, (*room).Say)
		durableobject.Handle(rooms, ping, (*room).Ping)
		router := rpc.NewRouter(onEvent.Handler(func(context.Context, rpc.Void) (*durableiterator.Iterator[message], error) {
			return durableiterator.New[message]("room", nil).RPC(say, rpc.Group("group")), nil
		}))
		mux := http.NewServeMux()
		mux.Handle("/rpc/", rpc.NewHandler(router, &rpc.HandlerOptions{Prefix: "/rpc", Plugins: []rpc.HandlerPlugin{&durableiterator.HandlerPlugin{Signer: key}}}))
		mux.Handle("/room", durableobject.UpgradeHandler(rooms, nil))
		server := memhttp.NewServer(mux)
		defer server.Close()
		defer rooms.Shutdown(t.Context())

		link := rpc.NewLink(server.URL()+"/rpc", &rpc.LinkOptions{HTTPClient: server.Client(), Plugins: []rpc.LinkPlugin{&client.LinkPlugin{URL: server.URL() + "/room",
			OnStateChange: func(s client.State, err error) { t.Log(time.Now(), s, err) }}}})
		it, err := client.Subscribe(t.Context(), link, onEvent, rpc.Void{})
		require.NoError(t, err)
		_, err = say.Call(t.Context(), it, message{"one"})
		require.NoError(t, err)
		text, err := ping.Call(t.Context(), it, rpc.Void{})
		require.NoError(t, err)
		require.Equal(t, "pong", text)
		n := 0
		for e, err := range it.Events() {
			require.NoError(t, err)
			t.Log(e.Data, e.Meta)
			if n++; n == 1 {
				server.Cut()
				hub, err := rooms.Get(t.Context(), "room")
				require.NoError(t, err)
				require.NoError(t, hub.PublishEvent(t.Context(), message{"two"}))
			}
			if n == 2 {
				break
			}
		}
		require.NoError(t, it.Close())
	})
}
