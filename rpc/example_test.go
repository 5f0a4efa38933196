package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strconv"
	"time"

	"github.com/go-orpc/durable-iterator/rpc"
)

type Greeting struct {
	Name string `json:"name" validate:"required"`
}

// A contract is shared by server and client.
var Greet = rpc.Define[Greeting, string]("greet")

func greet(_ context.Context, in Greeting) (string, error) { return "Hello, " + in.Name, nil }

func Example() {
	router := rpc.NewRouter(Greet.Handler(greet))
	server := httptest.NewServer(rpc.NewHandler(router, &rpc.HandlerOptions{Prefix: "/rpc"}))
	defer server.Close()

	link := rpc.NewLink(server.URL+"/rpc", nil)
	text, err := Greet.Call(context.Background(), link, Greeting{Name: "Ada"})
	fmt.Println(text, err)

	_, err = Greet.Call(context.Background(), link, Greeting{})
	wrong, _ := rpc.ErrorData[rpc.ValidationIssues](err)
	fmt.Println(err)
	fmt.Println(wrong.Issues)
	// Output:
	// Hello, Ada <nil>
	// BAD_REQUEST: Input validation failed: name: is required
	// [name: is required]
}

func ExampleDefineError() {
	type stock struct {
		Left int `json:"left"`
	}
	errSoldOut := rpc.DefineError[stock]("SOLD_OUT", 409, "not enough left")
	buy := rpc.Define[int, rpc.Void]("buy", errSoldOut)

	router := rpc.NewRouter(buy.Handler(func(_ context.Context, n int) (rpc.Void, error) {
		if n > 3 {
			return rpc.Void{}, errSoldOut.New(stock{Left: 3})
		}
		return rpc.Void{}, nil
	}))
	server := httptest.NewServer(rpc.NewHandler(router, nil))
	defer server.Close()

	_, err := buy.Call(context.Background(), rpc.NewLink(server.URL, nil), 5)
	if data, ok := errSoldOut.As(err); ok {
		fmt.Println("only", data.Left, "left")
	}
	fmt.Println(rpc.CodeOf(err))
	// Output:
	// only 3 left
	// SOLD_OUT
}

func ExampleInterceptor() {
	authenticate := func(ctx context.Context, call *rpc.Call, next rpc.CallFunc) (any, error) {
		if call.Header.Get("Authorization") != "Bearer secret" {
			return nil, &rpc.Error{Code: rpc.CodeUnauthorized}
		}
		return next(ctx, call)
	}
	log := rpc.OnError(func(_ context.Context, call *rpc.Call, err error) {
		fmt.Println("log:", call.Path, err)
	})
	server := httptest.NewServer(rpc.NewHandler(rpc.NewRouter(Greet.Handler(greet)), &rpc.HandlerOptions{
		Interceptors: []rpc.Interceptor{log, authenticate},
	}))
	defer server.Close()

	link := rpc.NewLink(server.URL, nil)
	_, err := Greet.Call(context.Background(), link, Greeting{Name: "Ada"})
	fmt.Println(err)
	text, _ := Greet.Call(context.Background(), link, Greeting{Name: "Ada"}, rpc.WithHeader("Authorization", "Bearer secret"))
	fmt.Println(text)
	// Output:
	// log: [greet] UNAUTHORIZED: Unauthorized
	// UNAUTHORIZED: Unauthorized
	// Hello, Ada
}

// A stream of events: the numbers up to a bound, then their sum.
func ExampleEventProcedure() {
	countTo := rpc.DefineEvents[int, int, string]("countTo")
	router := rpc.NewRouter(countTo.Handler(func(_ context.Context, bound int, w *rpc.EventWriter[int]) (string, error) {
		sum := 0
		for n := range bound {
			if err := w.Send(n + 1); err != nil {
				return "", err // the caller has stopped
			}
			sum += n + 1
		}
		return fmt.Sprint("the sum is ", sum), nil
	}))
	server := httptest.NewServer(rpc.NewHandler(router, nil))
	defer server.Close()

	events, err := countTo.Call(context.Background(), rpc.NewLink(server.URL, nil), 3)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = events.Close() }()
	for n, err := range events.All() {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(n)
	}
	fmt.Println(events.Result())
	// Output:
	// 1
	// 2
	// 3
	// the sum is 6 <nil>
}

// A stream that has broken off goes on after the last event that was read.
func ExampleEventWriter_SendEvent() {
	lines := []string{"first", "second", "third"}
	tail := rpc.DefineEvents[rpc.Void, string, rpc.Void]("tail")
	router := rpc.NewRouter(tail.Handler(func(ctx context.Context, _ rpc.Void, w *rpc.EventWriter[string]) (rpc.Void, error) {
		call, _ := rpc.CallOf(ctx)
		next, _ := strconv.Atoi(call.LastEventID) // 0 if there is none
		for ; next < len(lines); next++ {
			event := rpc.Event[string]{Data: lines[next], Meta: rpc.EventMeta{ID: strconv.Itoa(next + 1)}}
			if err := w.SendEvent(event); err != nil {
				return rpc.Void{}, err
			}
			if call.LastEventID == "" {
				return rpc.Void{}, errors.New("the disk is gone")
			}
		}
		return rpc.Void{}, nil
	}))
	retry := rpc.Retry{Max: 1, Delay: func(int, error) time.Duration { return 0 }}
	events, err := tail.Call(context.Background(), router, rpc.Void{}, retry)
	if err != nil {
		fmt.Println(err)
		return
	}
	for line, err := range events.All() {
		fmt.Println(line, err)
	}
	// Output:
	// first <nil>
	// second <nil>
	// third <nil>
}

// A router is a Caller: the same contracts work without a network.
func ExampleRouter() {
	router := rpc.NewRouter(Greet.Handler(greet))
	text, err := Greet.Call(context.Background(), router, Greeting{Name: "Ada"})
	fmt.Println(text, err)
	// Output: Hello, Ada <nil>
}
