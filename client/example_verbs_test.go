//go:build !js

package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/durableiterator"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

// chatIterator opens an iterator of the chat server.
func chatIterator(ctx context.Context, o client.Options) (it *client.Iterator[Message], stop func()) {
	url, stopServer := chatServer()
	o.URL = url + "/room"
	it, err := client.Dial[Message](ctx, client.HTTPToken(url+"/token", nil), &o)
	if err != nil {
		panic(err)
	}
	return it, func() {
		_ = it.Close()
		stopServer()
	}
}

func ExampleSubscribe() {
	url, stop := chatServer()
	defer stop()
	link := rpc.NewLink(url+"/rpc", &rpc.LinkOptions{
		Plugins: []rpc.LinkPlugin{&client.LinkPlugin{URL: url + "/room"}},
	})
	it, err := client.Subscribe(context.Background(), link, OnMessage, rpc.Void{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer it.Close()
	fmt.Println(it.State(), it.Token().Channel, it.Token().RPC)
	// Output: live some-room [say]
}

// noting keeps the address at which a WebSocket was opened.
type noting struct{ url *url.URL }

func (n *noting) RoundTrip(r *http.Request) (*http.Response, error) {
	n.url = r.URL
	return http.DefaultTransport.RoundTrip(r)
}

func ExampleTokenPlace() {
	var opened noting
	it, stop := chatIterator(context.Background(), client.Options{
		TokenPlace: client.TokenInSubprotocol,
		HTTPClient: &http.Client{Transport: &opened},
	})
	defer stop()
	query := opened.url.Query()
	fmt.Println(it.State(), query.Has("id"), query.Has("token"))
	// Output: live true false
}

// Every error ends the loop.
func ExampleIterator_All() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	it, stop := chatIterator(ctx, client.Options{})
	defer stop()
	_, _ = Say.Call(ctx, it, Message{"Hello"})
	for m, err := range it.All() {
		if err != nil {
			fmt.Println(err)
			break // it is the last
		}
		fmt.Println(m.Text)
		cancel()
	}
	// Output:
	// Hello
	// client: iterator ended: context canceled
}

// Events have metadata, and gaps are errors after which the loop continues.
func ExampleIterator_Events() {
	ctx := context.Background()
	it, stop := chatIterator(ctx, client.Options{})
	defer stop()
	_, _ = Say.Call(ctx, it, Message{"Hello"})
	for event, err := range it.Events() {
		if errors.Is(err, client.ErrGap) {
			continue
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(event.Data.Text, event.Meta.ID == it.LastEventID())
		break
	}
	// Output: Hello true
}

// Methods are called with their contracts.
func ExampleIterator_Call() {
	ctx := context.Background()
	it, stop := chatIterator(ctx, client.Options{})
	defer stop()
	_, err := Say.Call(ctx, it, Message{"Hello"}, rpc.WithRetry(3))
	fmt.Println(err)
	_, err = rpc.Define[rpc.Void, rpc.Void]("shutDown").Call(ctx, it, rpc.Void{})
	fmt.Println(err)
	// Output:
	// <nil>
	// FORBIDDEN: Method "shutDown" is not allowed by the token.
}

func ExampleIterator_Close() {
	ctx := context.Background()
	it, stop := chatIterator(ctx, client.Options{})
	defer stop()
	_ = it.Close()
	for range it.All() {
		fmt.Println("there are no more events")
	}
	_, err := Say.Call(ctx, it, Message{"Hello"})
	fmt.Println(it.State(), errors.Is(err, client.ErrClosed))
	// Output: closed true
}

func ExampleIterator_State() {
	changes := make(chan client.State, 10)
	it, stop := chatIterator(context.Background(), client.Options{
		OnStateChange: func(s client.State, _ error) { changes <- s },
	})
	fmt.Println(it.State())
	stop()
	close(changes)
	for s := range changes {
		fmt.Println("was", s)
	}
	// Output:
	// live
	// was connecting
	// was live
	// was closed
}

// The id is the client's own choice, here the user's name.
func ExampleIterator_ID() {
	it, stop := chatIterator(context.Background(), client.Options{
		CreateID: func(*token.Payload) string { return "ann" },
	})
	defer stop()
	fmt.Println(it.ID())
	// Output: ann
}

func ExampleIterator_Token() {
	it, stop := chatIterator(context.Background(), client.Options{})
	defer stop()
	fmt.Println(it.Token().Channel, it.Token().RPC)
	// Output: some-room [say]
}

// An event that the client cannot read is a gap. The events after it follow.
func ExampleGapError() {
	ctx := context.Background()
	it, stop := chatIterator(ctx, client.Options{
		MaxMessageBytes: 200,
		OnGap: func(_ context.Context, g *client.GapError) {
			fmt.Println("gap in", g.Channel+":", g.Reason)
		},
	})
	defer stop()
	_, _ = Say.Call(ctx, it, Message{fmt.Sprintf("%300d", 1)})
	_, _ = Say.Call(ctx, it, Message{"Hello"})
	for m, err := range it.All() {
		fmt.Println(m.Text, err)
		break
	}
	// Output:
	// gap in some-room: unreadable
	// Hello <nil>
}

// A token may come from any function. It is called again for each refresh.
func ExampleTokenFunc() {
	room := durableiterator.New[Message]("some-room", &durableiterator.Options{Signer: token.Secret("secret-key")})
	source := client.TokenFunc(room.Token)
	tok, err := source.Token(context.Background())
	p, _ := token.Parse(tok)
	fmt.Println(p.Channel, err)
	// Output: some-room <nil>
}

func ExampleStaticToken() {
	source := client.StaticToken("a token of the command line")
	fmt.Println(source.Token(context.Background()))
	// Output: a token of the command line <nil>
}

func ExampleFileToken() {
	dir, _ := os.MkdirTemp("", "")
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "token")
	_ = os.WriteFile(file, []byte("a token\n"), 0o600)
	fmt.Println(client.FileToken(file).Token(context.Background()))
	// Output: a token <nil>
}

func ExampleHTTPToken() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "a token for %s", r.Header.Get("Authorization"))
	}))
	defer server.Close()
	source := client.HTTPToken(server.URL, &client.HTTPTokenOptions{
		Header: func(context.Context) (http.Header, error) {
			return http.Header{"Authorization": {"ann"}}, nil
		},
	})
	fmt.Println(source.Token(context.Background()))
	// Output: a token for ann <nil>
}

func ExampleFullJitter() {
	pause := client.FullJitter(time.Second, 30*time.Second)
	fmt.Println(pause(1) < time.Second, pause(2) < 2*time.Second, pause(100) < 30*time.Second)
	// Output: true true true
}
