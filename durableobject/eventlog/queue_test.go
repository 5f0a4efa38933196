package eventlog

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestQueueIsASlice(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	var q queue[int]
	var model []int
	next := 0
	for step := range 20_000 {
		// The queue alternately grows and shrinks.
		if len(model) == 0 || random.IntN(100) < 30+40*(step/2000%2) {
			q.push(next)
			model = append(model, next)
			next++
		} else {
			q.pop()
			model = model[1:]
		}
		require.Equal(t, len(model), q.len)
		require.LessOrEqual(t, len(q.ring), max(minQueue, 4*len(model)))
		if len(model) > 0 {
			i := random.IntN(len(model))
			require.Equal(t, model[i], q.at(i))
			require.Equal(t, i, q.search(func(item int) bool { return item >= model[i] }))
		}
		require.Equal(t, len(model), q.search(func(int) bool { return false }))
	}
}

func TestQueueLetsGoOfWhatItDrops(t *testing.T) {
	t.Parallel()
	var q queue[*int]
	for range 4 {
		q.push(new(int))
	}
	for range 4 {
		q.pop()
	}
	for _, item := range q.ring {
		require.Nil(t, item)
	}
}
