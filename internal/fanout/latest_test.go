package fanout

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/internal/peer"
)

func latest(n int) func(*Options) {
	return func(o *Options) { o.Latest, o.LatestScan = n, 1000 }
}

// begin subscribes without a last event id and returns where the subscription begins.
func (c *client) begin() (begin, live eventlog.Position) {
	c.t.Helper()
	c.sub = &Subscription{ID: peer.ID("1"), CursorEvents: true}
	begin, live, err := c.reader.Prepare(c.t.Context(), c.sub, "")
	require.NoError(c.t, err)
	c.replayed.Store(c.reader.Subscribe(c.sub))
	return begin, live
}

func TestLatest(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		set   func(*Options)
		posts func(f *fixture)
		want  []string
	}{
		"none asked for":       {latest(0), func(f *fixture) { f.publish("1") }, nil},
		"an empty channel":     {latest(3), func(*fixture) {}, nil},
		"fewer than asked for": {latest(3), func(f *fixture) { f.publish("1"); f.publish("2") }, []string{"1", "2"}},
		"the last of many": {latest(2), func(f *fixture) {
			for i := range 500 {
				f.publish(fmt.Sprint(i))
			}
		}, []string{"498", "499"}},
		"those that are for the client": {latest(2), func(f *fixture) {
			f.publish("1")
			f.publish("2", tags("x"))
			f.publish("3", targets("a"))
			f.publish("4", targets("b"))
			f.publish("5", excludes("a"))
			f.publish("6", tags("y"))
		}, []string{"2", "3"}},
		"none that is for the client": {latest(2), func(f *fixture) { f.publish("1", targets("b")) }, nil},
		"as many as are looked at": {func(o *Options) { o.Latest, o.LatestScan = 5, 10 }, func(f *fixture) {
			f.publish("1")
			f.publish("2")
			for range 9 {
				f.publish("for another", targets("b"))
			}
		}, []string{"2"}},
		"at most 1 MiB of them": {latest(10), func(f *fixture) {
			for range 5 {
				f.publish(pad("large", 300<<10))
			}
		}, []string{pad("large", 300<<10), pad("large", 300<<10), pad("large", 300<<10)}},
		"one that is larger than 1 MiB": {latest(10), func(f *fixture) {
			f.publish("1")
			f.publish(pad("large", 2<<20))
		}, []string{pad("large", 2<<20)}},
		"none that is too old": {func(o *Options) { o.Latest, o.LatestScan, o.Retention = 3, 10, time.Minute }, func(f *fixture) {
			f.publish("1")
			time.Sleep(40 * time.Second)
			f.publish("2")
			time.Sleep(40 * time.Second)
		}, []string{"2"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, test.set, func(f *fixture) {
				test.posts(f)
				c := f.join("a", "x")
				begin, live := c.begin()
				c.reads(test.want...)
				require.True(t, c.replayed.Load())
				require.Equal(t, len(test.want), c.sub.Replayed)
				require.False(t, c.sub.Truncated)
				f.publish("held")
				c.reads()
				c.reader.Release(c.sub)
				c.reads("held")

				// A client that was cut off before it read anything resumes from begin, one
				// that has read what it began with from live.
				resumed := f.join("a", "x")
				resumed.resume(begin.String(), append(test.want, "held")...)
				require.False(t, resumed.sub.Truncated)
				again := f.join("a", "x")
				again.resume(live.String(), "held")
				require.False(t, again.sub.Truncated)
				c.leave()
				resumed.leave()
				again.leave()
			})
		})
	}
}

// The latest events end where live events begin, and no event is sent twice.
func TestLatestEndsWhereLiveBegins(t *testing.T) {
	t.Parallel()
	bubble(t, func(o *Options) { latest(3)(o); o.SoleWriter = false }, func(f *fixture) {
		f.publish("1")
		f.publish("2")
		f.slip("3") // in the log, and not given to the channel yet
		f.slip("4")
		c := f.join("a")
		begin, live := c.begin()
		require.Equal(t, uint64(2), live.Seq)
		require.Zero(t, begin.Seq)
		c.reads("1", "2")
		c.reader.Release(c.sub)
		c.reads()
		f.publish("5") // by which the channel learns of those before
		c.reads("3", "4", "5")
		c.leave()
	})
}

// Only a client without a last event id is sent the latest events.
func TestLatestIsNoResume(t *testing.T) {
	t.Parallel()
	bubble(t, latest(1), func(f *fixture) {
		first := f.publish("1")
		second := f.publish("2")
		f.publish("3")
		for last, want := range map[string][]string{
			"0": {"1", "2", "3"}, first: {"2", "3"}, second: {"3"}, "unknown-1": {"1", "2", "3"}, "nonsense": {"1", "2", "3"},
		} {
			c := f.join("a")
			c.resume(last, want...)
			c.leave()
		}
	})
}

// The first of the latest events may be dropped between the answer to the subscription and reading
// it.
func TestLatestThatIsTrimmed(t *testing.T) {
	t.Parallel()
	bubble(t, latest(3), func(f *fixture) {
		f.publish("1")
		time.Sleep(time.Second)
		f.publish("2")
		c := f.join("a")
		c.begin()
		require.NoError(t, f.log.Trim(t.Context(), time.Now()))
		c.reads("2")
		require.NoError(t, c.failure())
		require.Equal(t, 1, c.sub.Replayed)
		c.leave()
	})
}

// unreadable is a log whose Newest fails.
type unreadable struct {
	eventlog.Log
	err error
}

func (l unreadable) Newest(context.Context, string, eventlog.Position) (eventlog.Replay, error) {
	return eventlog.Replay{Records: func(yield func(*eventlog.Record, error) bool) { yield(nil, l.err) }}, nil
}

func TestLatestThatCannotBeRead(t *testing.T) {
	t.Parallel()
	broken := errors.New("the disk is broken")
	bubble(t, func(o *Options) { latest(3)(o); o.Log = unreadable{o.Log, broken} }, func(f *fixture) {
		f.publish("1")
		c := f.join("a")
		_, _, err := c.reader.Prepare(t.Context(), &Subscription{}, "")
		require.ErrorIs(t, err, broken)
		c.leave()
	})
}
