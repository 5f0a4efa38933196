package transport_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/transport"
)

// message is a message of a socket.
type message struct {
	data   []byte
	binary bool
}

// deliver passes messages to receive until the channel is closed.
func deliver(messages <-chan message, receive func(message []byte, binary bool) error) {
	for m := range messages {
		_ = receive(m.data, m.binary) // a message that cannot be read fails its call
	}
}

// sendTo returns the Send function of a peer that writes to a channel.
func sendTo(messages chan<- message) func(context.Context, []byte, bool) error {
	return func(_ context.Context, data []byte, binary bool) error {
		messages <- message{append([]byte(nil), data...), binary}
		return nil
	}
}

// Two channels replace a socket.
func ExampleNewClientPeer() {
	double := rpc.Define[int, int]("double")
	router := rpc.NewRouter(double.Handler(func(_ context.Context, n int) (int, error) { return 2 * n, nil }))

	toServer, toClient := make(chan message, 10), make(chan message, 10)
	server := transport.NewServerPeer(context.Background(), &transport.ServerPeerOptions{Handle: router.Serve, Send: sendTo(toClient)})
	client := transport.NewClientPeer(&transport.ClientPeerOptions{Send: sendTo(toServer)})
	go deliver(toServer, server.Receive)
	go deliver(toClient, client.Receive)

	fmt.Println(double.Call(context.Background(), client, 21))
	client.Close(nil)
	server.Close()
	server.Wait()
	// Output: 42 <nil>
}

// This is the server side of a durable iterator: a call opens the stream, and the
// application sends its events.
func ExampleHibernation() {
	toServer, toClient := make(chan message, 10), make(chan message, 10)
	server := transport.NewServerPeer(context.Background(), &transport.ServerPeerOptions{
		Handle: func(context.Context, *rpc.Call) (any, error) {
			return transport.Hibernation{Start: func(_ context.Context, id json.RawMessage, _ func()) {
				toClient <- message{data: fmt.Appendf(nil, `{"i":%s,"t":3,"p":{"e":"message","d":{"json":"hello"}}}`, id)}
			}}, nil
		},
		Send: sendTo(toClient),
	})
	client := transport.NewClientPeer(&transport.ClientPeerOptions{Send: sendTo(toServer)})
	go deliver(toServer, server.Receive)
	go deliver(toClient, client.Receive)

	events := make(chan transport.PeerEvent, 1)
	stop, err := client.Subscribe(context.Background(), &rpc.Call{Path: []string{"subscribe"}},
		func(http.Header) {}, func(e transport.PeerEvent) { events <- e })
	if err != nil {
		fmt.Println(err)
		return
	}
	event := <-events
	var text string
	fmt.Println(event.Kind, event.Value.Decode(&text), text)
	stop()
	client.Close(nil)
	server.Close()
	server.Wait()
	// Output: message <nil> hello
}

func ExampleAppendEventMeta() {
	meta, err := transport.AppendEventMeta(nil, rpc.EventMeta{ID: "12", Comments: []string{"a dozen"}})
	fmt.Println(string(meta), err)
	// Output: "id":"12","comments":["a dozen"] <nil>
}

func ExampleAnswerError() {
	err := transport.AnswerError(http.StatusUnauthorized, http.Header{}, "who are you?")
	fmt.Println(rpc.CodeOf(err))
	response, _ := rpc.ErrorData[rpc.ErrorResponse](err)
	fmt.Println(response.Status, response.Body)
	// Output:
	// UNAUTHORIZED
	// 401 who are you?
}
