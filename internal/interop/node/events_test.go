package node_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc"
)

// count is the procedure of server.mjs whose output is an event iterator.
var count = rpc.DefineEvents[countInput, counted, total]("count")

type countInput struct {
	To     int `json:"to"`
	FailAt int `json:"failAt,omitzero"`
	MS     int `json:"ms,omitzero"`
}

type counted struct {
	N int `json:"n"`
}

type total struct {
	Total int `json:"total"`
}

// testEvents reads event iterators over HTTP or over a WebSocket.
func testEvents(t *testing.T, c rpc.Caller) {
	t.Helper()
	ctx := t.Context()
	t.Run("events, metadata, return value", func(t *testing.T) {
		events, err := count.Call(ctx, c, countInput{To: 3})
		require.NoError(t, err)
		n := 0
		for event, err := range events.Events() {
			require.NoError(t, err)
			n++
			require.Equal(t, counted{n}, event.Data)
			require.Equal(t, fmt.Sprintf("n-%d", n), event.Meta.ID)
			require.Equal(t, 1234*time.Millisecond, event.Meta.Retry)
		}
		require.Equal(t, 3, n)
		result, err := events.Result()
		require.NoError(t, err)
		require.Equal(t, total{3}, result)
	})
	t.Run("many", func(t *testing.T) {
		events, err := count.Call(ctx, c, countInput{To: 500})
		require.NoError(t, err)
		n := 0
		for event, err := range events.All() {
			require.NoError(t, err)
			n++
			require.Equal(t, counted{n}, event)
		}
		require.Equal(t, 500, n)
	})
	t.Run("failure", func(t *testing.T) {
		events, err := count.Call(ctx, c, countInput{To: 5, FailAt: 3})
		require.NoError(t, err)
		var failed error
		n := 0
		for _, err := range events.All() {
			if err != nil {
				failed = err
				continue
			}
			n++
		}
		require.Equal(t, 2, n)
		var sent *rpc.Error
		require.ErrorAs(t, failed, &sent)
		require.Equal(t, rpc.CodeConflict, sent.Code)
		require.Equal(t, "stopped at 3", sent.Message)
		require.Equal(t, "n-2", events.LastEventID())
	})
	t.Run("close", func(t *testing.T) {
		events, err := count.Call(ctx, c, countInput{To: 1000, MS: 50})
		require.NoError(t, err)
		for event, err := range events.All() {
			require.NoError(t, err)
			require.Equal(t, counted{1}, event) // 50 s before the last one
			require.NoError(t, events.Close())
		}
		_, err = ping.Call(ctx, c, rpc.Void{})
		require.NoError(t, err)
	})
	t.Run("context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		events, err := count.Call(ctx, c, countInput{To: 1000, MS: 50})
		require.NoError(t, err)
		var last error
		for _, err := range events.All() {
			last = err
			cancel()
		}
		require.ErrorIs(t, last, context.Canceled)
	})
}
