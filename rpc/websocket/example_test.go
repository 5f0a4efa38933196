package websocket_test

import (
	"context"
	"fmt"
	"net/http"

	coderws "github.com/coder/websocket"

	"github.com/go-orpc/durable-iterator/internal/memhttp"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/websocket"
)

var double = rpc.Define[int, int]("double")

func router() *rpc.Router {
	return rpc.NewRouter(double.Handler(func(_ context.Context, n int) (int, error) { return 2 * n, nil }))
}

// A connection is opened once, and carries any number of calls.
func ExampleDial() {
	server := memhttp.NewServer(websocket.NewHandler(router(), nil))
	defer server.Close()

	link, err := websocket.Dial(context.Background(), server.URL(), &websocket.LinkOptions{HTTPClient: server.Client()})
	if err != nil {
		fmt.Println(err)
		return
	}
	for n := range 3 {
		fmt.Println(double.Call(context.Background(), link, n))
	}
	fmt.Println(link.Close())
	// Output:
	// 0 <nil>
	// 2 <nil>
	// 4 <nil>
	// <nil>
}

// One server serves procedures over HTTP and over WebSockets. http.Server.Shutdown does not
// close WebSocket connections: Drain does.
func ExampleNewHandler() {
	sockets := websocket.NewHandler(router(), &websocket.HandlerOptions{OriginPatterns: []string{"*.example.com"}})
	mux := http.NewServeMux()
	mux.Handle("/rpc/", rpc.NewHandler(router(), &rpc.HandlerOptions{Prefix: "/rpc"}))
	mux.Handle("/rpc-ws", sockets)
	server := memhttp.NewServer(mux, func(s *http.Server) { s.RegisterOnShutdown(sockets.Drain) })
	defer server.Close()

	link, err := websocket.Dial(context.Background(), "ws://memory/rpc-ws", &websocket.LinkOptions{HTTPClient: server.Client()})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(double.Call(context.Background(), link, 21))
	fmt.Println(server.Shutdown(context.Background()), sockets.Shutdown(context.Background()))
	<-link.Done()
	fmt.Println(coderws.CloseStatus(link.Err()))
	// Output:
	// 42 <nil>
	// <nil> <nil>
	// StatusServiceRestart
}

// Shutdown waits until all calls have returned.
func ExampleHandler_Shutdown() {
	h := websocket.NewHandler(router(), nil)
	fmt.Println(h.Shutdown(context.Background()))
	// Output: <nil>
}

// A program that does not know the contract passes the path, and New for the type of the output.
func ExampleLink_Call() {
	server := memhttp.NewServer(websocket.NewHandler(router(), nil))
	defer server.Close()
	link, err := websocket.Dial(context.Background(), server.URL(), &websocket.LinkOptions{HTTPClient: server.Client()})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = link.Close() }()
	out, err := link.Call(context.Background(), &rpc.Call{
		Path: []string{"double"}, Input: 21, New: func() any { return new(int) },
	})
	fmt.Println(out, err)
	// Output: 42 <nil>
}
