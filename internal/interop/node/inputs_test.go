package node_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc"
)

// The procedures of server.mjs whose inputs are event iterators.
var (
	collect = rpc.Define[*rpc.Events[counted, total], collected]("collect")
	twice   = rpc.DefineEvents[*rpc.Events[counted, total], counted, total]("twice")
)

type collected struct {
	Numbers []int    `json:"numbers"`
	IDs     []string `json:"ids"`
	Total   int      `json:"total"`
}

// testInputs sends event iterators over HTTP or over a WebSocket.
//
// Over a WebSocket the original loses what arrives together with the request, as it
// reads requests more slowly than events, and then waits forever: there the first event
// waits until the answer to another call shows that the request was read.
func testInputs(t *testing.T, c rpc.Caller) {
	t.Helper()
	ctx := t.Context()
	t.Run("events, metadata, return value", func(t *testing.T) {
		in := numbers(ctx, c, func(_ context.Context, w *rpc.EventWriter[counted]) (total, error) {
			for n := range 200 {
				if err := w.SendEvent(rpc.Event[counted]{Data: counted{n}, Meta: rpc.EventMeta{ID: fmt.Sprint("n-", n)}}); err != nil {
					return total{}, err
				}
			}
			return total{200}, nil
		})
		out, err := collect.Call(ctx, c, in)
		require.NoError(t, err)
		require.Equal(t, 200, out.Total)
		require.Len(t, out.IDs, 200)
		require.Equal(t, "n-199", out.IDs[199])
		require.True(t, slices.IsSorted(out.Numbers))
	})
	t.Run("input and output at the same time", func(t *testing.T) {
		answers := make(chan int)
		events, err := twice.Call(ctx, c, numbers(ctx, c, func(ctx context.Context, w *rpc.EventWriter[counted]) (total, error) {
			for n := range 5 {
				if err := w.Send(counted{n}); err != nil {
					return total{}, err
				}
				select {
				case got := <-answers:
					if got != 2*n {
						return total{}, fmt.Errorf("answer %d to %d", got, n)
					}
				case <-ctx.Done():
					return total{}, ctx.Err()
				}
			}
			return total{}, nil
		}))
		require.NoError(t, err)
		for event, err := range events.All() {
			require.NoError(t, err)
			answers <- event.N
		}
		result, err := events.Result()
		require.NoError(t, err)
		require.Equal(t, total{5}, result)
	})
	t.Run("failure", func(t *testing.T) {
		_, err := collect.Call(ctx, c, numbers(ctx, c, func(_ context.Context, w *rpc.EventWriter[counted]) (total, error) {
			if err := w.Send(counted{1}); err != nil {
				return total{}, err
			}
			return total{}, rpc.Errorf(rpc.CodeConflict, "no more")
		}))
		require.Equal(t, rpc.CodeConflict, rpc.CodeOf(err))
	})
	t.Run("the server stops reading", func(t *testing.T) {
		ended := make(chan struct{})
		out, err := collect.Call(ctx, c, numbers(ctx, c, func(ctx context.Context, w *rpc.EventWriter[counted]) (total, error) {
			defer close(ended)
			for _, n := range []int{1, -1} {
				if err := w.Send(counted{n}); err != nil {
					return total{}, err
				}
			}
			<-ctx.Done()
			return total{}, ctx.Err()
		}))
		require.NoError(t, err)
		require.Equal(t, []int{1}, out.Numbers)
		<-ended
	})
	t.Run("context", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
		defer cancel()
		ended := make(chan struct{})
		_, err := collect.Call(ctx, c, numbers(t.Context(), c, func(ctx context.Context, _ *rpc.EventWriter[counted]) (total, error) {
			defer close(ended)
			<-ctx.Done()
			return total{}, ctx.Err()
		}))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		<-ended
		_, err = ping.Call(t.Context(), c, rpc.Void{})
		require.NoError(t, err)
	})
}

// numbers makes an input whose request was read before its first event is sent.
func numbers(ctx context.Context, c rpc.Caller, fn func(context.Context, *rpc.EventWriter[counted]) (total, error)) *rpc.Events[counted, total] {
	return rpc.NewEvents(ctx, func(ctx context.Context, w *rpc.EventWriter[counted]) (total, error) {
		if _, err := ping.Call(ctx, c, rpc.Void{}); err != nil {
			return total{}, err
		}
		return fn(ctx, w)
	})
}
