package fanout

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/internal/socket"
)

// The lag of a reader in events and bytes is exact at every step, whether the tail still has the
// records or not.
func TestProgressIsExact(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		maxLag int
		set    func(*eventlog.Audience) // of every second event
		phase  Phase
	}{
		"from the tail":                     {1 << 20, func(*eventlog.Audience) {}, Live},
		"from the log":                      {10_000, func(*eventlog.Audience) {}, Behind},
		"from the tail, not all are for it": {1 << 20, targets("b"), Live},
		"from the log, not all are for it":  {10_000, targets("b"), Behind},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(o *Options) { o.MaxLagBytes = test.maxLag }, func(f *fixture) {
				c, quick := f.subscribe("a"), f.subscribe("b")
				require.Equal(t, Progress{Phase: Live}, c.reader.Progress())
				var size int64
				const published = 2000
				for i := range published {
					set := test.set
					if i%2 == 0 {
						set = func(*eventlog.Audience) {}
					}
					f.publish(pad(fmt.Sprintf("%4d", i), 100), set)
					quick.read()
					if i == 9 {
						p := c.reader.Progress()
						require.Equal(t, Live, p.Phase)
						require.Equal(t, 10, p.Events)
						size = p.Bytes / 10
						require.InDelta(t, 100+60, size, 30)
					}
				}
				require.Equal(t, published, c.reader.Progress().Events)
				require.InDelta(t, published*size, c.reader.Progress().Bytes, published*6, "ids get longer")
				phases, last := map[Phase]bool{}, -1
				for more := socket.Some; more != socket.None; {
					var messages []string
					messages, more = c.pull(true)
					for _, m := range messages {
						_, err := fmt.Sscan(decode(t, m).P.D, &last)
						require.NoError(t, err)
					}
					p := c.reader.Progress()
					phases[p.Phase] = true
					require.LessOrEqual(t, p.Events, published-last-1)
					require.InDelta(t, published-last-1, p.Events, 1, "of those that are not for it, it has looked at the next at most")
				}
				require.True(t, phases[test.phase])
				require.Equal(t, Progress{Phase: Live}, c.reader.Progress())
				c.leave()
				quick.leave()
			})
		})
	}
}

// Missed records are not counted; records that are published meanwhile are.
func TestProgressOfAReplay(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(f *fixture) {
		c := f.join("a")
		require.Equal(t, Unsubscribed, c.reader.Progress().Phase)
		f.publish("one")
		f.publish("two")
		c.subscribe("1", "0")
		require.Equal(t, Progress{Phase: Replaying}, c.reader.Progress())
		f.publish("three")
		require.Equal(t, 1, c.reader.Progress().Events)
		c.reads("one", "two")
		require.Equal(t, Held, c.reader.Progress().Phase)
		f.publish("four")
		require.Equal(t, 2, c.reader.Progress().Events)
		c.reader.Release(c.sub)
		require.Equal(t, Live, c.reader.Progress().Phase)
		require.Equal(t, 2, c.reader.Progress().Events)
		c.reads("three", "four")
		require.Zero(t, c.reader.Progress().Events)
		c.leave()
		require.Equal(t, Unsubscribed, c.reader.Progress().Phase)
		synctest.Wait()
	})
}

// A batch counts the events in it, whether they are shared or not, live or replayed.
func TestBatchCountsItsEvents(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(f *fixture) {
		count := func(c *client) (n int) {
			for {
				var b socket.Batch
				more := c.reader.Read(t.Context(), &b, true, never)
				require.Len(t, unframe(t, append(b.Own, b.Shared...)), b.Events)
				if n += b.Events; more == socket.None {
					return n
				}
			}
		}
		c, other := f.subscribe("a"), f.join("b")
		other.subscribe("77", "")
		other.reader.Release(other.sub)
		for i := range 10 {
			f.publish(fmt.Sprint(i))
		}
		f.publish("for one", targets("a"))
		require.Equal(t, 11, count(c))
		require.Equal(t, 10, count(other), "under an id that others do not have")
		c.subscribe("1", "0")
		require.Equal(t, 11, count(c), "replayed")
		c.leave()
		other.leave()
	})
}
