//go:build !js

package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

type countInputs = *rpc.Events[countEvent, countResult]

var (
	// collect returns what it has read.
	collect = rpc.Define[countInputs, collected]("collect")
	// twice answers each event with its double.
	twice = rpc.DefineEvents[countInputs, countEvent, countResult]("twice")
)

type collected struct {
	Events []int  `json:"events"`
	LastID string `json:"lastId"`
	Total  int    `json:"total"`
}

func runCollect(_ context.Context, in countInputs) (collected, error) {
	var all collected
	for event, err := range in.Events() {
		if err != nil {
			return all, err
		}
		all.Events = append(all.Events, event.Data.N)
	}
	result, err := in.Result()
	all.Total, all.LastID = result.Total, in.LastEventID()
	return all, err
}

func runTwice(_ context.Context, in countInputs, w *rpc.EventWriter[countEvent]) (countResult, error) {
	for event, err := range in.All() {
		if err != nil {
			return countResult{}, err
		}
		if err := w.Send(countEvent{2 * event.N}); err != nil {
			return countResult{}, err
		}
	}
	return in.Result()
}

// countTo makes an input.
func countTo(ctx context.Context, in countInput) countInputs {
	return rpc.NewEvents(ctx, func(ctx context.Context, w *rpc.EventWriter[countEvent]) (countResult, error) {
		return runCount(ctx, in, w)
	})
}

func TestInputEvents(t *testing.T) {
	everyTransport(t, func(t *testing.T, connect func(...rpc.Route) rpc.Caller) {
		t.Helper()
		c := connect(collect.Handler(runCollect))
		in := countTo(t.Context(), countInput{To: 100})
		out, err := collect.Call(t.Context(), c, in)
		require.NoError(t, err)
		require.Len(t, out.Events, 100)
		require.True(t, slices.IsSorted(out.Events))
		require.Equal(t, "n-100", out.LastID)
		require.Equal(t, 100, out.Total)

		result, err := in.Result()
		require.NoError(t, err)
		require.Equal(t, countResult{100}, result)

		out, err = collect.Call(t.Context(), c, countTo(t.Context(), countInput{MS: 7000, To: 2})) // longer than a pause for comments
		require.NoError(t, err)
		require.Equal(t, []int{1, 2}, out.Events)

		out, err = collect.Call(t.Context(), c, countTo(t.Context(), countInput{}))
		require.NoError(t, err)
		require.Empty(t, out.Events)
	})
}

func TestInputOfASequence(t *testing.T) {
	everyTransport(t, func(t *testing.T, connect func(...rpc.Route) rpc.Caller) {
		t.Helper()
		sum := rpc.Define[*rpc.Events[int, rpc.Void], int]("sum")
		c := connect(sum.Handler(func(_ context.Context, in *rpc.Events[int, rpc.Void]) (int, error) {
			total := 0
			for n, err := range in.All() {
				if err != nil {
					return 0, err
				}
				total += n
			}
			_, err := in.Result()
			return total, err
		}))
		out, err := sum.Call(t.Context(), c, rpc.EventsOf(t.Context(), slices.Values([]int{1, 2, 3})))
		require.NoError(t, err)
		require.Equal(t, 6, out)
	})
}

// The input continues while the output is read: each event is sent only after the answer
// to the previous one has arrived.
func TestInputAndOutputAtTheSameTime(t *testing.T) {
	everyTransport(t, func(t *testing.T, connect func(...rpc.Route) rpc.Caller) {
		t.Helper()
		c := connect(twice.Handler(runTwice))
		answers := make(chan int, 1)
		in := rpc.NewEvents(t.Context(), func(_ context.Context, w *rpc.EventWriter[countEvent]) (countResult, error) {
			for n := range 10 {
				if err := w.Send(countEvent{n}); err != nil {
					return countResult{}, err
				}
				if got := <-answers; got != 2*n {
					return countResult{}, fmt.Errorf("answer %d to %d", got, n)
				}
			}
			return countResult{10}, nil
		})
		events, err := twice.Call(t.Context(), c, in)
		require.NoError(t, err)
		for event, err := range events.All() {
			require.NoError(t, err)
			answers <- event.N
		}
		result, err := events.Result()
		require.NoError(t, err)
		require.Equal(t, countResult{10}, result)
	})
}

func TestInputFails(t *testing.T) {
	everyTransport(t, func(t *testing.T, connect func(...rpc.Route) rpc.Caller) {
		t.Helper()
		var seen error
		c := connect(collect.Handler(func(ctx context.Context, in countInputs) (collected, error) {
			out, err := runCollect(ctx, in)
			seen = err
			return out, nil
		}))
		in := countTo(t.Context(), countInput{To: 5, FailAt: 3})
		out, err := collect.Call(t.Context(), c, in)
		require.NoError(t, err)
		require.Equal(t, []int{1, 2}, out.Events)
		var failed *rpc.StreamError
		require.ErrorAs(t, seen, &failed)
		require.Equal(t, "n-2", failed.LastEventID)
		require.Equal(t, rpc.CodeConflict, rpc.CodeOf(seen))
		require.ErrorContains(t, seen, "stopped at 3")
		_, err = in.Result()
		require.Equal(t, rpc.CodeConflict, rpc.CodeOf(err))

		// The answer to a handler that returns the error of its input is that error.
		c = connect(collect.Handler(runCollect))
		_, err = collect.Call(t.Context(), c, countTo(t.Context(), countInput{FailAt: 1, To: 1}))
		require.Equal(t, rpc.CodeConflict, rpc.CodeOf(err))
	})
}

// An error that is not an error of RPC is not sent, and neither is a panic.
func TestInputHidesErrors(t *testing.T) {
	everyTransport(t, func(t *testing.T, connect func(...rpc.Route) rpc.Caller) {
		t.Helper()
		errSecret := errors.New("the secret plan")
		var seen error
		c := connect(collect.Handler(func(ctx context.Context, in countInputs) (collected, error) {
			_, seen = runCollect(ctx, in)
			return collected{}, nil
		}))
		for _, fail := range []func() error{func() error { return errSecret }, func() error { panic(errSecret) }} {
			in := rpc.NewEvents(t.Context(), func(context.Context, *rpc.EventWriter[countEvent]) (countResult, error) {
				return countResult{}, fail()
			})
			_, err := collect.Call(t.Context(), c, in)
			require.NoError(t, err)
			if _, here := c.(*rpc.Router); !here {
				require.Equal(t, rpc.CodeInternalServerError, rpc.CodeOf(seen))
				require.NotContains(t, seen.Error(), "secret")
			}
			_, err = in.Result()
			require.ErrorContains(t, err, "secret")
		}
	})
}

func TestInputThatCannotBeSent(t *testing.T) {
	everyTransport(t, func(t *testing.T, connect func(...rpc.Route) rpc.Caller) {
		t.Helper()
		take := rpc.Define[*rpc.Events[any, rpc.Void], string]("take")
		c := connect(take.Handler(func(_ context.Context, in *rpc.Events[any, rpc.Void]) (string, error) {
			for _, err := range in.All() {
				if err != nil {
					return "failed", nil
				}
			}
			return "complete", nil
		}))
		if _, here := c.(*rpc.Router); here {
			return // nothing has to be encoded
		}
		in := rpc.EventsOf(t.Context(), slices.Values([]any{1, make(chan int)}))
		out, err := take.Call(t.Context(), c, in)
		require.NoError(t, err)
		require.Equal(t, "failed", out)
		_, err = in.Result()
		require.ErrorContains(t, err, "chan int")
	})
}

func TestInputIsValidated(t *testing.T) {
	everyTransport(t, func(t *testing.T, connect func(...rpc.Route) rpc.Caller) {
		t.Helper()
		send := rpc.Define[*rpc.Events[messageInput, messageInput], int]("send")
		c := connect(send.Handler(func(_ context.Context, in *rpc.Events[messageInput, messageInput]) (int, error) {
			n := 0
			for _, err := range in.All() {
				if err != nil {
					return n, err
				}
				n++
			}
			_, err := in.Result()
			return n, err
		}))
		messages := func(last string, texts ...string) *rpc.Events[messageInput, messageInput] {
			return rpc.NewEvents(t.Context(), func(_ context.Context, w *rpc.EventWriter[messageInput]) (messageInput, error) {
				for _, text := range texts {
					if err := w.Send(messageInput{text}); err != nil {
						return messageInput{}, err
					}
				}
				return messageInput{last}, nil
			})
		}
		out, err := send.Call(t.Context(), c, messages("z", "a", "b"))
		require.NoError(t, err)
		require.Equal(t, 2, out)
		for _, in := range []*rpc.Events[messageInput, messageInput]{messages("z", "a", ""), messages("", "a")} {
			_, err = send.Call(t.Context(), c, in)
			require.Equal(t, rpc.Code("EVENT_ITERATOR_VALIDATION_FAILED"), rpc.CodeOf(err))
		}
	})
}

func TestInputOfAnotherKind(t *testing.T) {
	everyTransport(t, func(t *testing.T, connect func(...rpc.Route) rpc.Caller) {
		t.Helper()
		ran := false
		c := connect(
			collect.Handler(func(context.Context, countInputs) (collected, error) { ran = true; return collected{}, nil }),
			rpc.Define[int, int]("plain").Handler(func(_ context.Context, in int) (int, error) { ran = true; return in, nil }),
		)
		for _, value := range []any{1, value.Undefined{}, countInputs(nil)} {
			_, err := rpc.Define[any, collected]("collect").Call(t.Context(), c, value)
			require.Equal(t, rpc.CodeBadRequest, rpc.CodeOf(err))
			data, err := rpc.ErrorData[rpc.ValidationIssues](err)
			require.NoError(t, err)
			require.Equal(t, "Expect event iterator", data.Issues[0].Message)
		}
		_, err := rpc.Define[countInputs, int]("plain").Call(t.Context(), c, countTo(t.Context(), countInput{To: 1}))
		require.Error(t, err)
		if _, here := c.(*rpc.Router); !here {
			require.Equal(t, rpc.CodeUnsupportedMediaType, rpc.CodeOf(err))
			_, err = rpc.Define[map[string]any, int]("plain").Call(t.Context(), c, map[string]any{"in": countTo(t.Context(), countInput{})})
			require.ErrorContains(t, err, "as a whole")
		}
		require.False(t, ran)
	})
}

// An input is sent once: a call is not repeated with the rest of it.
func TestInputIsSentOnce(t *testing.T) {
	everyTransport(t, func(t *testing.T, connect func(...rpc.Route) rpc.Caller) {
		t.Helper()
		calls := 0
		c := connect(collect.Handler(func(context.Context, countInputs) (collected, error) {
			calls++
			return collected{}, &rpc.Error{Code: rpc.CodeServiceUnavailable}
		}))
		in := countTo(t.Context(), countInput{To: 1})
		_, err := collect.Call(t.Context(), c, in, rpc.WithRetry(3))
		require.Equal(t, rpc.CodeServiceUnavailable, rpc.CodeOf(err))
		require.Equal(t, 1, calls)
		_, err = collect.Call(t.Context(), c, in)
		require.ErrorContains(t, err, "was the input of a call before")
		require.Equal(t, 1, calls)
	})
}

// Interceptors decide before an event is read, and a call that they refuse ends its
// input.
func TestInputOfARefusedCall(t *testing.T) {
	everyTransport(t, func(t *testing.T, connect func(...rpc.Route) rpc.Caller) {
		t.Helper()
		c := connect(twice.Handler(runTwice, func(context.Context, *rpc.Call, rpc.CallFunc) (any, error) {
			return nil, &rpc.Error{Code: rpc.CodeUnauthorized}
		}))
		_, err := twice.Call(t.Context(), c, countTo(t.Context(), countInput{To: 1000}))
		require.Equal(t, rpc.CodeUnauthorized, rpc.CodeOf(err))
	})
}

// The output of one call can be the input of another.
func TestInputFromAnotherCall(t *testing.T) {
	everyTransport(t, func(t *testing.T, connect func(...rpc.Route) rpc.Caller) {
		t.Helper()
		c := connect(count.Handler(runCount), collect.Handler(runCollect))
		events, err := count.Call(t.Context(), c, countInput{To: 20})
		require.NoError(t, err)
		out, err := collect.Call(t.Context(), c, events)
		require.NoError(t, err)
		require.Len(t, out.Events, 20)
		require.Equal(t, collected{out.Events, "n-20", 20}, out)
	})
}
