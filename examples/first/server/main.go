// Command server serves a room.
package main

import (
	"context"
	"log"
	"log/slog"
	"net/http"
	"time"

	"github.com/go-orpc/durable-iterator/durableiterator"
	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/examples/first/chat"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

type Room struct {
	*durableobject.Object[chat.Message]
}

func (r *Room) Say(ctx context.Context, ws *durableobject.Websocket, in chat.Message) (rpc.Void, error) {
	return rpc.Void{}, r.PublishEvent(ctx, in, durableobject.WithExclude(ws)) // to all but the one who speaks
}

func main() {
	key := token.Secret("keep this secret")
	rooms := durableobject.NewNamespace(func(_ context.Context, o *durableobject.Object[chat.Message]) (*Room, error) {
		return &Room{o}, nil
	}, &durableobject.Options{Verifier: key, ResumeRetention: 2 * time.Minute, Logger: slog.Default()})
	durableobject.Handle(rooms, chat.Say, (*Room).Say)

	router := rpc.NewRouter(chat.OnMessage.Handler(
		func(context.Context, rpc.Void) (*durableiterator.Subscription[chat.Message], error) {
			return durableiterator.New[chat.Message]("lobby", nil).RPC(chat.Say), nil
		}))
	http.Handle("/rpc/", rpc.NewHandler(router, &rpc.HandlerOptions{
		Prefix: "/rpc", Plugins: []rpc.HandlerPlugin{&durableiterator.HandlerPlugin{Signer: key}},
		Logger: slog.Default(), // clients are not sent the reasons of internal errors
	}))
	http.Handle("/room", durableobject.NewHandler(rooms, nil))
	srv := &http.Server{Addr: "127.0.0.1:3000", ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(srv.ListenAndServe())
}
