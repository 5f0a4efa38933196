package durableobject_test

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/internal/memhttp"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

type Message struct {
	Text string `json:"text"`
}

var Shout = rpc.Define[Message, string]("shout")

// Room is an object with a method that clients may call.
type Room struct{ *durableobject.Object[Message] }

func (r *Room) Shout(ctx context.Context, _ *durableobject.Websocket, in Message) (string, error) {
	return "done", r.PublishEvent(ctx, Message{in.Text + "!"})
}

func Example() {
	secret := token.Secret("keep this secret")
	rooms := durableobject.NewNamespace(func(_ context.Context, o *durableobject.Object[Message]) (*Room, error) {
		return &Room{o}, nil
	}, &durableobject.Options{Verifier: secret, ResumeRetention: 2 * time.Minute})
	durableobject.Handle(rooms, Shout, (*Room).Shout)

	mux := http.NewServeMux()
	mux.Handle("/room", durableobject.NewHandler(rooms, nil))
	srv := memhttp.NewServer(mux) // in memory, for the example

	// A client that has a token. See package durableiterator for how it gets one.
	ctx := context.Background()
	now := time.Now()
	tok, err := secret.Sign(ctx, &token.Payload{
		Channel: "lobby", RPC: []string{"shout"}, IssuedAt: now, ExpiresAt: now.Add(time.Hour),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	it, err := client.Dial[Message](ctx, client.StaticToken(tok), &client.Options{
		URL: srv.URL() + "/room", HTTPClient: srv.Client(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	// The server publishes; the client calls a method, which publishes too.
	room, err := rooms.Get(ctx, "lobby")
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := room.PublishEvent(ctx, Message{"hello"}); err != nil {
		fmt.Println(err)
		return
	}
	answer, err := Shout.Call(ctx, it, Message{"hey"})
	fmt.Println("answer:", answer, err)
	events := 0
	for m, err := range it.All() {
		fmt.Println("event:", m.Text, err)
		if events++; events == 2 {
			break
		}
	}

	_ = it.Close()
	fmt.Println("shut down:", rooms.Shutdown(ctx))
	srv.Close()
	// Output:
	// answer: done <nil>
	// event: hello <nil>
	// event: hey! <nil>
	// shut down: <nil>
}
