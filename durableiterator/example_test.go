package durableiterator_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/go-orpc/durable-iterator/durableiterator"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

// A procedure over rpc. The plugin turns the iterator into its token.
func Example() {
	onMessage := durableiterator.Define[rpc.Void, string]("onMessage")
	router := rpc.NewRouter(
		onMessage.Handler(func(context.Context, rpc.Void) (*durableiterator.Subscription[string], error) {
			return durableiterator.New[string]("some-room", nil), nil
		}),
	)
	server := httptest.NewServer(rpc.NewHandler(router, &rpc.HandlerOptions{
		Plugins: []rpc.HandlerPlugin{&durableiterator.HandlerPlugin{Signer: token.Secret("secret-key")}},
	}))
	defer server.Close()

	tok, err := onMessage.Procedure().Call(context.Background(), rpc.NewLink(server.URL, nil), rpc.Void{})
	if err != nil {
		fmt.Println(err)
		return
	}
	payload, err := token.Parse(tok)
	fmt.Println(payload.Channel, err)
	// Output: some-room <nil>
}

// A plain route, without package rpc.
func ExampleSubscription_ServeHTTP() {
	route := func(w http.ResponseWriter, r *http.Request) {
		durableiterator.New[string]("some-room", &durableiterator.Options{
			Signer: token.Secret("secret-key"),
		}).ServeHTTP(w, r)
	}
	w := httptest.NewRecorder()
	route(w, httptest.NewRequest(http.MethodGet, "/token", nil))
	fmt.Println(w.Code, w.Header().Get("Content-Type"), w.Header().Get("x-orpc-durable-iterator"))
	// Output: 200 application/json 1
}

// Methods are allowed by their top-level name: those in a group, by the group.
func ExampleSubscription_RPC() {
	var (
		sendMessage = rpc.Define[string, rpc.Void]("sendMessage")
		admin       = rpc.Group("admin")
	)
	it := durableiterator.New[string]("some-room", &durableiterator.Options{Signer: token.Secret("secret-key")})
	tok, err := it.RPC(sendMessage, admin).Token(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	payload, err := token.Parse(tok)
	fmt.Println(payload.RPC, err)
	// Output: [sendMessage admin] <nil>
}
