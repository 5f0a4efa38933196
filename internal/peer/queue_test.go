package peer

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

func TestQueue(t *testing.T) {
	t.Parallel()
	cause := errors.New("cause")
	bubble(t, "QU-001 nothing is added after the end", func(t *testing.T) {
		q := newQueue(Limit{})
		require.True(t, q.fail(cause))
		require.False(t, q.fail(io.EOF))
		require.True(t, q.push(data("1")), "not an overflow")
		_, err := q.next(t.Context())
		require.Equal(t, cause, err)
	})
	bubble(t, "QU-002 first in, first out", func(t *testing.T) {
		q := newQueue(Limit{})
		for _, d := range []string{"1", "2", "3"} {
			require.True(t, q.push(data(d)))
		}
		for _, want := range []string{"1", "2", "3"} {
			e, err := q.next(t.Context())
			require.NoError(t, err)
			require.Equal(t, want, string(e.Data))
		}
		require.Zero(t, q.bytes)
	})
	bubble(t, "QU-003 all waiting reads fail with the reason", func(t *testing.T) {
		q := newQueue(Limit{})
		errs := make(chan error, 3)
		for range cap(errs) {
			go func() {
				_, err := q.next(t.Context())
				errs <- err
			}()
		}
		q.fail(cause)
		for range cap(errs) {
			require.Equal(t, cause, <-errs)
		}
	})
	bubble(t, "QU-002 one wake-up for two events serves two readers", func(t *testing.T) {
		q := newQueue(Limit{})
		got := make(chan string, 2)
		for range cap(got) {
			go func() {
				if e, err := q.next(t.Context()); err == nil {
					got <- string(e.Data)
				}
			}()
		}
		synctest.Wait()
		q.mu.Lock() // lets no reader in between the two
		q.events = []*Event{data("1"), data("2")}
		q.signal()
		q.mu.Unlock()
		require.ElementsMatch(t, []string{"1", "2"}, []string{<-got, <-got})
	})
	bubble(t, "a read that is cancelled takes nothing", func(t *testing.T) {
		q := newQueue(Limit{})
		q.push(data("1"))
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(cause)
		_, err := q.next(ctx)
		require.Equal(t, cause, err)
		e, err := q.next(t.Context())
		require.NoError(t, err)
		require.Equal(t, "1", string(e.Data))
	})
	bubble(t, "dropped events are not read, even after the end", func(t *testing.T) {
		q := newQueue(Limit{})
		q.push(&Event{Kind: EventDone})
		require.False(t, q.drop(cause))
		_, err := q.next(t.Context())
		require.Equal(t, cause, err)
	})
}
