package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/go-orpc/durable-iterator/rpc"
)

// serveExample serves a router for an example.
func serveExample(router *rpc.Router, o *rpc.HandlerOptions) (address string, end func()) {
	server := httptest.NewServer(rpc.NewHandler(router, o))
	return server.URL, server.Close
}

// A path has a name for each group around a procedure.
func ExampleDefine() {
	find := rpc.Define[int, string]("users.find")
	fmt.Println(find.Path())
	// Output: users.find
}

// A group is also a name that tokens can allow as a whole.
func ExampleDefineIn() {
	users := rpc.Group("users")
	find := rpc.DefineIn[int, string](users, "find")
	fmt.Println(users.Path(), find.Path())
	// Output: users users.find
}

// A procedure with GET can be called by a link in an HTML page, and its answers can be
// stored by caches.
func ExampleWithMethod() {
	double := rpc.Define[int, int]("double", rpc.WithMethod(http.MethodGet))
	router := rpc.NewRouter(double.Handler(func(ctx context.Context, n int) (int, error) {
		call, _ := rpc.CallOf(ctx)
		fmt.Println(call.Method)
		return 2 * n, nil
	}))
	address, end := serveExample(router, nil)
	defer end()
	fmt.Println(double.Call(context.Background(), rpc.NewLink(address, nil), 21))
	// Output:
	// GET
	// 42 <nil>
}

// A handler reads the headers of its call, and adds to those of the answer.
func ExampleCallOf() {
	hello := rpc.Define[rpc.Void, string]("hello")
	router := rpc.NewRouter(hello.Handler(func(ctx context.Context, _ rpc.Void) (string, error) {
		call, _ := rpc.CallOf(ctx)
		call.ResponseHeader.Set("Content-Language", "cs")
		return "Ahoj, " + call.Header.Get("X-Name"), nil
	}))
	address, end := serveExample(router, nil)
	defer end()

	var header http.Header
	text, err := hello.Call(context.Background(), rpc.NewLink(address, nil), rpc.Void{},
		rpc.WithHeader("X-Name", "Ada"), rpc.WithResponseHeader(&header))
	fmt.Println(text, err, header.Get("Content-Language"))
	// Output: Ahoj, Ada <nil> cs
}

// The headers of a link are made for each call, because a token may have changed.
func ExampleNewLink() {
	whoami := rpc.Define[rpc.Void, string]("whoami")
	router := rpc.NewRouter(whoami.Handler(func(ctx context.Context, _ rpc.Void) (string, error) {
		call, _ := rpc.CallOf(ctx)
		return call.Header.Get("Authorization"), nil
	}))
	address, end := serveExample(router, nil)
	defer end()
	link := rpc.NewLink(address, &rpc.LinkOptions{
		Header: func(context.Context, *rpc.Call) (http.Header, error) {
			return http.Header{"Authorization": {"Bearer 1234"}}, nil
		},
	})
	fmt.Println(whoami.Call(context.Background(), link, rpc.Void{}))
	// Output: Bearer 1234 <nil>
}

// Only the code, the message and the data of an Error are sent.
func ExampleErrorf() {
	open := rpc.Define[string, rpc.Void]("open")
	router := rpc.NewRouter(open.Handler(func(_ context.Context, name string) (rpc.Void, error) {
		if name == "secret" {
			return rpc.Void{}, rpc.Errorf(rpc.CodeForbidden, "%s is not for you", name)
		}
		return rpc.Void{}, errors.New("disk 3 is on fire")
	}))
	for _, name := range []string{"secret", "other"} {
		_, err := open.Call(context.Background(), router, name)
		fmt.Println(rpc.CodeOf(err), "-", rpc.ToError(err))
	}
	// Output:
	// FORBIDDEN - FORBIDDEN: secret is not for you
	// INTERNAL_SERVER_ERROR - INTERNAL_SERVER_ERROR: Internal server error
}

// The data of an error is decoded into a type of the client.
func ExampleErrorData() {
	type limit struct{ Most int }
	order := rpc.Define[int, rpc.Void]("order")
	router := rpc.NewRouter(order.Handler(func(context.Context, int) (rpc.Void, error) {
		return rpc.Void{}, &rpc.Error{Code: rpc.CodeConflict, Data: limit{Most: 3}}
	}))
	address, end := serveExample(router, nil)
	defer end()
	_, err := order.Call(context.Background(), rpc.NewLink(address, nil), 5)
	fmt.Println(rpc.ErrorData[limit](err))
	// Output: {3} <nil>
}

// A call that has failed is repeated.
func ExampleRetry() {
	flaky := rpc.Define[rpc.Void, int]("flaky")
	tries := 0
	router := rpc.NewRouter(flaky.Handler(func(context.Context, rpc.Void) (int, error) {
		if tries++; tries < 3 {
			return 0, rpc.Errorf(rpc.CodeServiceUnavailable, "not yet")
		}
		return tries, nil
	}))
	fmt.Println(flaky.Call(context.Background(), router, rpc.Void{}, rpc.Retry{
		Max:   5,
		Delay: func(int, error) time.Duration { return time.Millisecond },
	}))
	// Output: 3 <nil>
}

// A call that the server has refused for good is not repeated.
func ExampleWithRetry() {
	tries := 0
	closed := rpc.Define[rpc.Void, rpc.Void]("closed")
	router := rpc.NewRouter(closed.Handler(func(context.Context, rpc.Void) (rpc.Void, error) {
		tries++
		return rpc.Void{}, rpc.Errorf(rpc.CodeForbidden, "closed")
	}))
	_, err := closed.Call(context.Background(), router, rpc.Void{}, rpc.WithRetry(5))
	fmt.Println(tries, err)
	// Output: 1 FORBIDDEN: closed
}

// A transport is a function: the options of calls, and interceptors, come with NewCaller.
func ExampleNewCaller() {
	caller := rpc.NewCaller(func(_ context.Context, call *rpc.Call) (any, error) {
		return fmt.Sprint(call.Path, call.Input), nil
	}, rpc.OnStart(func(_ context.Context, call *rpc.Call) { fmt.Println("calling", call.Path) }))
	fmt.Println(Greet.Call(context.Background(), caller, Greeting{Name: "Ada"}))
	// Output:
	// calling [greet]
	// [greet] {Ada} <nil>
}

// Several calls that are made at the same time are one request.
func ExampleBatchLinkPlugin() {
	router := rpc.NewRouter(Greet.Handler(greet))
	address, end := serveExample(router, &rpc.HandlerOptions{Plugins: []rpc.HandlerPlugin{&rpc.BatchPlugin{}}})
	defer end()
	link := rpc.NewLink(address, &rpc.LinkOptions{Plugins: []rpc.LinkPlugin{
		&rpc.BatchLinkPlugin{MaxSize: 2, Window: time.Minute},
	}})
	texts := make(chan string, 2)
	for _, name := range []string{"Ada", "Ada"} {
		go func() {
			text, _ := Greet.Call(context.Background(), link, Greeting{Name: name})
			texts <- text
		}()
	}
	fmt.Println(<-texts)
	fmt.Println(<-texts)
	// Output:
	// Hello, Ada
	// Hello, Ada
}

// Streams of events end when the server shuts down; Shutdown is for a handler that ends
// before its server.
func ExampleHandler_Shutdown() {
	h := rpc.NewHandler(rpc.NewRouter(Greet.Handler(greet)), nil)
	fmt.Println(h.Shutdown(context.Background()))
	// Output: <nil>
}

// All tries of a call have the same key, also when the application makes the tries.
func ExampleWithIdempotencyKey() {
	order := rpc.Define[string, string]("order")
	router := rpc.NewRouter(order.Handler(func(ctx context.Context, item string) (string, error) {
		call, _ := rpc.CallOf(ctx)
		return item + ", " + call.IdempotencyKey(), nil
	}))
	for range 2 {
		fmt.Println(order.Call(context.Background(), router, "tea", rpc.WithIdempotencyKey("order-17")))
	}
	// Output:
	// tea, order-17 <nil>
	// tea, order-17 <nil>
}

// A program that does not know the contract passes the path, and New for the type of the output.
func ExampleLink_Call() {
	address, end := serveExample(rpc.NewRouter(Greet.Handler(greet)), nil)
	defer end()
	out, err := rpc.NewLink(address, nil).Call(context.Background(), &rpc.Call{
		Path: []string{"greet"}, Input: map[string]any{"name": "Ada"}, New: func() any { return new(string) },
	})
	fmt.Printf("%q %v\n", out, err)
	// Output: "Hello, Ada" <nil>
}

// A router calls its procedures in this process.
func ExampleRouter_Call() {
	router := rpc.NewRouter(Greet.Handler(greet))
	for _, name := range []string{"greet", "part"} {
		fmt.Println(router.Call(context.Background(), &rpc.Call{Path: []string{name}, Input: Greeting{Name: "Ada"}}))
	}
	// Output:
	// Hello, Ada <nil>
	// <nil> NOT_FOUND: no procedure "part"
}
