package rpc_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/go-orpc/durable-iterator/rpc"
)

// countdown sends n, n-1, … 1 and returns n.
var countdown = rpc.DefineEvents[int, int, int]("countdown")

func countdownRouter() *rpc.Router {
	return rpc.NewRouter(countdown.Handler(func(ctx context.Context, n int, w *rpc.EventWriter[int]) (int, error) {
		call, _ := rpc.CallOf(ctx)
		next := n
		if last, err := strconv.Atoi(call.LastEventID); err == nil {
			next = last - 1
		}
		for ; next > 0; next-- {
			if err := w.SendEvent(rpc.Event[int]{Data: next, Meta: rpc.EventMeta{ID: strconv.Itoa(next)}}); err != nil {
				return 0, err
			}
		}
		return n, nil
	}))
}

func ExampleDefineEvents() {
	events, err := countdown.Call(context.Background(), countdownRouter(), 3)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = events.Close() }() // never fails
	for n, err := range events.All() {
		fmt.Println(n, err)
	}
	fmt.Println(events.Result())
	// Output:
	// 3 <nil>
	// 2 <nil>
	// 1 <nil>
	// 3 <nil>
}

// Leaving the loop does not close the stream.
func ExampleEvents_Close() {
	events, err := countdown.Call(context.Background(), countdownRouter(), 3)
	if err != nil {
		fmt.Println(err)
		return
	}
	for n := range events.All() {
		fmt.Println(n)
		break
	}
	_ = events.Close() // never fails
	_, err = events.Result()
	fmt.Println(err)
	// Output:
	// 3
	// rpc: the stream of events has no return value: the stream of events is closed
}

func ExampleWithLastEventID() {
	events, err := countdown.Call(context.Background(), countdownRouter(), 5, rpc.WithLastEventID("3"))
	if err != nil {
		fmt.Println(err)
		return
	}
	for n := range events.All() {
		fmt.Println(n)
	}
	// Output:
	// 2
	// 1
}

// sum returns the sum of the events of its input.
var sum = rpc.Define[*rpc.Events[int, rpc.Void], int]("sum")

func sumRouter() *rpc.Router {
	return rpc.NewRouter(sum.Handler(func(_ context.Context, in *rpc.Events[int, rpc.Void]) (total int, err error) {
		for n, err := range in.All() {
			if err != nil {
				return 0, err
			}
			total += n
		}
		return total, nil
	}))
}

func ExampleNewEvents() {
	ctx := context.Background()
	numbers := rpc.NewEvents(ctx, func(_ context.Context, w *rpc.EventWriter[int]) (rpc.Void, error) {
		for n := range 4 {
			if err := w.Send(n); err != nil {
				return rpc.Void{}, err
			}
		}
		return rpc.Void{}, nil
	})
	fmt.Println(sum.Call(ctx, sumRouter(), numbers))
	// Output: 6 <nil>
}

func ExampleEventsOf() {
	ctx := context.Background()
	fmt.Println(sum.Call(ctx, sumRouter(), rpc.EventsOf(ctx, slices.Values([]int{1, 2, 3}))))
	// Output: 6 <nil>
}

func ExampleEventMeta_Validate() {
	fmt.Println(rpc.EventMeta{ID: "12", Retry: time.Second}.Validate())
	fmt.Println(rpc.EventMeta{Retry: time.Microsecond}.Validate())
	// Output:
	// <nil>
	// rpc: event metadata: retry 1µs is less than a millisecond
}

// A loop that was left can be continued by another call, after the last event.
func ExampleEvents_LastEventID() {
	var last string
	for range 2 {
		events, err := countdown.Call(context.Background(), countdownRouter(), 4, rpc.WithLastEventID(last))
		if err != nil {
			fmt.Println(err)
			return
		}
		for n, err := range events.All() {
			fmt.Println(n, err)
			if n == 3 {
				break
			}
		}
		last = events.LastEventID()
		_ = events.Close() // never fails
	}
	// Output:
	// 4 <nil>
	// 3 <nil>
	// 2 <nil>
	// 1 <nil>
}
