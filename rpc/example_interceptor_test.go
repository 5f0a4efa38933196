package rpc_test

import (
	"context"
	"fmt"

	"github.com/go-orpc/durable-iterator/rpc"
)

// callThrough calls a procedure that doubles its input, or panics without one.
func callThrough(n int, interceptors ...rpc.Interceptor) (int, error) {
	double := rpc.Define[int, int]("double")
	router := rpc.NewRouter(double.Handler(func(_ context.Context, n int) (int, error) {
		if n == 0 {
			panic("nothing to double")
		}
		return 2 * n, nil
	}, interceptors...))
	return double.Call(context.Background(), router, n)
}

func ExampleOnStart() {
	_, _ = callThrough(1, rpc.OnStart(func(_ context.Context, call *rpc.Call) { fmt.Println(call.Path, call.Input) }))
	// Output: [double] 1
}

func ExampleOnSuccess() {
	_, _ = callThrough(1, rpc.OnSuccess(func(_ context.Context, _ *rpc.Call, output any) { fmt.Println(output) }))
	// Output: 2
}

func ExampleOnError() {
	_, _ = callThrough(0, rpc.OnError(func(_ context.Context, _ *rpc.Call, err error) { fmt.Println(err) }))
	// Output: panic: nothing to double
}

func ExampleOnFinish() {
	_, _ = callThrough(1, rpc.OnFinish(func(_ context.Context, _ *rpc.Call, output any, err error) { fmt.Println(output, err) }))
	// Output: 2 <nil>
}

func ExampleRecover() {
	_, err := callThrough(0, rpc.Recover(func(_ context.Context, _ *rpc.Call, value any) error {
		return rpc.Errorf(rpc.CodeBadRequest, "%v", value)
	}))
	fmt.Println(err)
	// Output: BAD_REQUEST: nothing to double
}

// The first interceptor is outermost.
func ExampleChain() {
	trace := func(name string) rpc.Interceptor {
		return func(ctx context.Context, call *rpc.Call, next rpc.CallFunc) (any, error) {
			fmt.Println(name)
			return next(ctx, call)
		}
	}
	call := rpc.Chain([]rpc.Interceptor{trace("outer"), trace("inner")}, func(context.Context, *rpc.Call) (any, error) {
		return "done", nil
	})
	fmt.Println(call(context.Background(), &rpc.Call{}))
	// Output:
	// outer
	// inner
	// done <nil>
}

// An interceptor of a handler sees the input still encoded.
func ExampleCall_DecodeInput() {
	h := rpc.NewRouter(Greet.Handler(greet))
	address, end := serveExample(h, &rpc.HandlerOptions{Interceptors: []rpc.Interceptor{
		func(ctx context.Context, call *rpc.Call, next rpc.CallFunc) (any, error) {
			var in Greeting
			if err := call.DecodeInput(ctx, &in); err != nil {
				return nil, err
			}
			fmt.Println("greeting", in.Name)
			return next(ctx, call)
		},
	}})
	defer end()
	fmt.Println(Greet.Call(context.Background(), rpc.NewLink(address, nil), Greeting{Name: "Ada"}))
	// Output:
	// greeting Ada
	// Hello, Ada <nil>
}
