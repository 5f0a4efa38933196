package durableiterator_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/go-orpc/durable-iterator/durableiterator"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

// A contract is shared by server and client: the types of the input and of the events.
func ExampleDefine() {
	onMessage := durableiterator.Define[rpc.Void, string]("chat.onMessage")
	fmt.Println(onMessage.Path())
	// Output: chat.onMessage
}

func ExampleContract_Path() {
	fmt.Println(durableiterator.Define[rpc.Void, string]("chat.onMessage").Path())
	// Output: chat.onMessage
}

// The handler decides which channel the caller may listen to.
func ExampleContract_Handler() {
	onMessage := durableiterator.Define[string, string]("onMessage")
	route := onMessage.Handler(func(_ context.Context, room string) (*durableiterator.Subscription[string], error) {
		if room == "attic" {
			return nil, rpc.Errorf(rpc.CodeForbidden, "Not the attic")
		}
		return durableiterator.New[string](room, &durableiterator.Options{Tags: []string{"guests"}}), nil
	})
	server := httptest.NewServer(rpc.NewHandler(rpc.NewRouter(route), &rpc.HandlerOptions{
		Plugins: []rpc.HandlerPlugin{&durableiterator.HandlerPlugin{Signer: token.Secret("secret-key")}},
	}))
	defer server.Close()

	link := rpc.NewLink(server.URL, nil)
	for _, room := range []string{"hall", "attic"} {
		tok, err := onMessage.Procedure().Call(context.Background(), link, room)
		if err != nil {
			fmt.Println(rpc.CodeOf(err))
			continue
		}
		payload, err := token.Parse(tok)
		fmt.Println(payload.Channel, payload.Tags, err)
	}
	// Output:
	// hall [guests] <nil>
	// FORBIDDEN
}

// A client calls the procedure itself if it needs only the token.
func ExampleContract_Procedure() {
	onMessage := durableiterator.Define[rpc.Void, string]("onMessage")
	link := rpc.NewCaller(func(context.Context, *rpc.Call) (any, error) { return "the token", nil })
	fmt.Println(onMessage.Procedure().Call(context.Background(), link, rpc.Void{}))
	// Output: the token <nil>
}

func ExampleNew() {
	it := durableiterator.New[string]("some-room", &durableiterator.Options{
		Signer:   token.Secret("secret-key"),
		TokenTTL: time.Hour,
		Tags:     []string{"members"},
		Att:      map[string]string{"name": "ann"}, // the client can read it
	})
	tok, err := it.Token(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	p, err := token.Parse(tok)
	fmt.Println(p.Channel, p.Tags, string(p.Att), p.ExpiresAt.Sub(p.IssuedAt), err)
	// Output: some-room [members] {"name":"ann"} 1h0m0s <nil>
}

func ExampleSubscription_Token() {
	_, err := durableiterator.New[string]("some-room", nil).Token(context.Background())
	fmt.Println(errors.Is(err, durableiterator.ErrNoSigner))

	tok, err := durableiterator.New[string]("some-room", &durableiterator.Options{
		Signer: token.Secret("secret-key"),
	}).Token(context.Background())
	fmt.Println(tok != "", err)
	// Output:
	// true
	// true <nil>
}

// Only the token of an iterator can be sent.
func ExampleSubscription_MarshalJSON() {
	_, err := json.Marshal(durableiterator.New[string]("some-room", nil))
	fmt.Println(errors.Is(err, durableiterator.ErrNoPlugin))
	// Output: true
}

// The plugin signs the tokens of iterators without a Signer of their own.
func ExampleHandlerPlugin_InitHandler() {
	onMessage := durableiterator.Define[rpc.Void, string]("onMessage")
	router := rpc.NewRouter(onMessage.Handler(func(context.Context, rpc.Void) (*durableiterator.Subscription[string], error) {
		return durableiterator.New[string]("some-room", nil), nil
	}))
	handler := rpc.NewHandler(router, &rpc.HandlerOptions{Plugins: []rpc.HandlerPlugin{
		&durableiterator.HandlerPlugin{Signer: token.Secret("secret-key"), TokenTTL: time.Hour},
	}})

	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/onMessage", nil))
	fmt.Println(w.Code, w.Header().Get("x-orpc-durable-iterator"), w.Header().Get("cache-control"))
	// Output: 200 1 no-store
}

// Programs that write code from contracts find the type of the events.
func ExampleContract_Describe() {
	type message struct{ Text string }
	d := durableiterator.Define[string, message]("onMessage").Describe()
	fmt.Println(d.Path, d.Input.Type, (*durableiterator.Subscription[message])(nil).EventType())
	// Output: [onMessage] string durableiterator_test.message
}
