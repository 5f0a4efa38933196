package service

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc"
)

func TestCount(t *testing.T) {
	link := outside(t).link()
	events, err := count.Call(t.Context(), link, countInput{To: 3, MS: 1})
	require.NoError(t, err)
	n := 0
	for event, err := range events.Events() {
		require.NoError(t, err)
		n++
		require.Equal(t, counted{n}, event.Data)
		require.Equal(t, 1234*time.Millisecond, event.Meta.Retry)
	}
	require.Equal(t, "n-3", events.LastEventID())
	result, err := events.Result()
	require.NoError(t, err)
	require.Equal(t, countTotal{3}, result)

	events, err = count.Call(t.Context(), link, countInput{To: 3, FailAt: 2})
	require.NoError(t, err)
	for _, last := range events.All() {
		err = last
	}
	require.EqualError(t, err, "CONFLICT: stopped at 2")
	require.Equal(t, rpc.CodeConflict, rpc.CodeOf(err))
}
