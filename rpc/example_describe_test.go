package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/go-orpc/durable-iterator/rpc"
)

// Programs that write code or documents read contracts.
func ExampleProcedure_Describe() {
	d := rpc.Define[Greeting, string]("users.greet").Describe()
	fmt.Println(d.Path, d.Input.Type, d.Output.Type)
	// Output: [users greet] rpc_test.Greeting string
}

func ExampleEventProcedure_Describe() {
	d := rpc.DefineEvents[int, string, bool]("lines").Describe()
	fmt.Println(d.Path, d.Input.Type, d.Output.Event, d.Output.Type)
	// Output: [lines] int string bool
}

// A router lists the procedures that a program serves.
func ExampleRouter_Routes() {
	router := rpc.NewRouter(Greet.Handler(greet), sum.Handler(nil))
	for _, route := range router.Routes() {
		fmt.Println(route.Path(), route.Describe().Output.Type, route.TakesEvents())
	}
	// Output:
	// greet string false
	// sum int true
}

func ExampleRouter_Has() {
	router := rpc.NewRouter(Greet.Handler(greet), sum.Handler(nil))
	fmt.Println(router.Has([]string{"greet"}), router.Has([]string{"part"}))
	fmt.Println(router.TakesEvents([]string{"greet"}), router.TakesEvents([]string{"sum"}))
	// Output:
	// true false
	// false true
}

// A custom transport makes calls from the messages that it receives.
func ExampleRouter_Serve() {
	router := rpc.NewRouter(Greet.Handler(greet))
	call := &rpc.Call{Path: []string{"greet"}, Input: Greeting{Name: "Ada"}}
	fmt.Println(router.Serve(context.Background(), call))
	// Output: Hello, Ada <nil>
}

// An interceptor of a client reads what its caller has passed. It is not sent.
func ExampleWithState() {
	trace := func(ctx context.Context, call *rpc.Call, next rpc.CallFunc) (any, error) {
		fmt.Println("for", call.State())
		return next(ctx, call)
	}
	caller := rpc.NewCaller(rpc.NewRouter(Greet.Handler(greet)).Serve, trace)
	fmt.Println(Greet.Call(context.Background(), caller, Greeting{Name: "Ada"}, rpc.WithState("request 7")))
	// Output:
	// for request 7
	// Hello, Ada <nil>
}

// A method of a group is allowed by tokens that name the group.
func ExampleDefineEventsIn() {
	logs := rpc.Group("logs")
	tail := rpc.DefineEventsIn[string, string, rpc.Void](logs, "tail")
	fmt.Println(tail.Path())
	// Output: logs.tail
}

// The cause of an error is for the log of the server. It is not sent.
func ExampleError_WithCause() {
	err := rpc.Errorf(rpc.CodeNotFound, "no such room").WithCause(fs.ErrNotExist)
	fmt.Println(rpc.ToError(err).Message, errors.Is(err, fs.ErrNotExist))
	// Output: no such room true
}

func ExampleCode_Status() {
	for _, code := range []rpc.Code{rpc.CodeTooManyRequests, "SOLD_OUT"} {
		fmt.Println(code.Status(), code.Message())
	}
	// Output:
	// 429 Too Many Requests
	// 500 SOLD_OUT
}

func ExampleEvents_Events() {
	events, err := countdown.Call(context.Background(), countdownRouter(), 2)
	if err != nil {
		fmt.Println(err)
		return
	}
	for e, err := range events.Events() {
		fmt.Println(strings.Repeat("*", e.Data), e.Meta.ID, err)
	}
	// Output:
	// ** 2 <nil>
	// * 1 <nil>
}

// A token can allow a method whose contract this program does not have.
func ExampleName_Path() {
	for _, m := range []rpc.Method{rpc.Name("users.greet"), rpc.Define[Greeting, string]("users.greet")} {
		fmt.Println(m.Path())
	}
	// Output:
	// users.greet
	// users.greet
}
