//go:build !js

package client_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/durableiterator"
	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

// The contract, which server and client share.
type Message struct {
	Text string `json:"text"`
}

var (
	OnMessage = durableiterator.Define[rpc.Void, Message]("onMessage")
	Say       = rpc.Define[Message, rpc.Void]("say")
)

// ChatRoom is the object behind a channel.
type ChatRoom struct{ *durableobject.Object[Message] }

func (r *ChatRoom) Say(ctx context.Context, _ *durableobject.Websocket, m Message) (rpc.Void, error) {
	return rpc.Void{}, r.PublishEvent(ctx, m)
}

// chatServer serves procedures below /rpc, sockets at /room and plain tokens at /token.
func chatServer() (url string, stop func()) {
	key := token.Secret("secret-key")
	rooms := durableobject.NewNamespace(func(_ context.Context, o *durableobject.Object[Message]) (*ChatRoom, error) {
		return &ChatRoom{o}, nil
	}, &durableobject.Options{Verifier: key, ResumeRetention: time.Minute})
	durableobject.Handle(rooms, Say, (*ChatRoom).Say)
	room := durableiterator.New[Message]("some-room", &durableiterator.Options{Signer: key}).RPC(Say)
	router := rpc.NewRouter(OnMessage.Handler(
		func(context.Context, rpc.Void) (*durableiterator.Subscription[Message], error) { return room, nil }))

	mux := http.NewServeMux()
	mux.Handle("/rpc/", rpc.NewHandler(router, &rpc.HandlerOptions{
		Prefix: "/rpc", Plugins: []rpc.HandlerPlugin{&durableiterator.HandlerPlugin{}},
	}))
	mux.Handle("/room", durableobject.NewHandler(rooms, nil))
	mux.Handle("/token", room)
	server := httptest.NewServer(mux)
	return server.URL, func() {
		_ = rooms.Shutdown(context.Background())
		server.Close()
	}
}

func Example() {
	url, stop := chatServer()
	defer stop()
	ctx := context.Background()

	link := rpc.NewLink(url+"/rpc", &rpc.LinkOptions{
		Plugins: []rpc.LinkPlugin{&client.LinkPlugin{
			URL: url + "/room",
			OnGap: func(context.Context, *client.GapError) {
				fmt.Println("some messages are gone") // and those that follow are not
			},
		}},
	})
	it, err := client.Subscribe(ctx, link, OnMessage, rpc.Void{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer it.Close()

	if _, err := Say.Call(ctx, it, Message{Text: "Hello"}); err != nil {
		fmt.Println(err)
		return
	}
	for msg, err := range it.All() {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(msg.Text)
		break
	}
	// Output: Hello
}

// Tokens may come from anywhere: here from a plain HTTP route.
func ExampleDial() {
	url, stop := chatServer()
	defer stop()
	ctx := context.Background()

	it, err := client.Dial[Message](ctx, client.HTTPToken(url+"/token", nil), &client.Options{URL: url + "/room"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer it.Close()
	fmt.Println(it.Token().Channel, it.State())
	// Output: some-room live
}

// A process continues where an earlier one has stopped.
func ExampleIterator_LastEventID() {
	url, stop := chatServer()
	defer stop()
	ctx := context.Background()
	source, options := client.HTTPToken(url+"/token", nil), &client.Options{URL: url + "/room"}

	first, err := client.Dial[Message](ctx, source, options)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, text := range []string{"one", "two"} {
		if _, err := Say.Call(ctx, first, Message{text}); err != nil {
			fmt.Println(err)
		}
	}
	for msg, err := range first.All() {
		if err != nil {
			fmt.Println(err)
		}
		fmt.Println("first:", msg.Text)
		break
	}
	last := first.LastEventID()
	_ = first.Close()

	second, err := client.Dial[Message](ctx, source, options, rpc.WithLastEventID(last))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer second.Close()
	for msg, err := range second.All() {
		if err != nil {
			fmt.Println(err)
		}
		fmt.Println("second:", msg.Text)
		break
	}
	// Output:
	// first: one
	// second: two
}
