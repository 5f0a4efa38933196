package fanout

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// Each row of the table of transitions. Other tests check what the states promise.
func TestTransitions(t *testing.T) {
	t.Parallel()
	slow := func(o *Options) { o.MaxLagBytes = 1000 }
	fallBehind := func(f *fixture) *client {
		c := f.subscribe("a")
		for i := range 100 {
			f.publish(pad(fmt.Sprint(i), 3000))
		}
		c.pull(false)
		return c
	}
	for name, test := range map[string]struct {
		run  func(f *fixture) *client
		want state
	}{
		"join": {func(f *fixture) *client { return f.join("a") }, unsubscribed},
		"subscribe with missed records": {func(f *fixture) *client {
			f.publish("1")
			c := f.join("a")
			c.subscribe("1", "0")
			return c
		}, replaying},
		"subscribe without": {func(f *fixture) *client {
			c := f.join("a")
			c.subscribe("1", "")
			return c
		}, held},
		"the log is read": {func(f *fixture) *client {
			f.publish("1")
			c := f.join("a")
			c.subscribe("1", "0")
			c.reads("1")
			return c
		}, held},
		"release": {func(f *fixture) *client { return f.subscribe("a") }, current},
		"release with records published meanwhile": {func(f *fixture) *client {
			c := f.join("a")
			c.subscribe("1", "")
			f.publish("1")
			c.reader.Release(c.sub)
			return c
		}, following},
		"the log moves on": {func(f *fixture) *client {
			c := f.subscribe("a")
			f.publish("1", tags("x"))
			require.NoError(f.t, f.ch.MoveCursors(f.t.Context()))
			return c
		}, announcing},
		"the cursor event is sent": {func(f *fixture) *client {
			c := f.subscribe("a")
			f.publish("1", tags("x"))
			require.NoError(f.t, f.ch.MoveCursors(f.t.Context()))
			c.read()
			return c
		}, current},
		"a record is published": {func(f *fixture) *client {
			c := f.subscribe("a")
			f.publish("1")
			return c
		}, following},
		"a record is published before the cursor event is sent": {func(f *fixture) *client {
			c := f.subscribe("a")
			f.publish("1", tags("x"))
			require.NoError(f.t, f.ch.MoveCursors(f.t.Context()))
			f.publish("2")
			return c
		}, following},
		"the tail is read": {func(f *fixture) *client {
			c := f.subscribe("a")
			f.publish("1")
			c.reads("1")
			return c
		}, current},
		"the tail is cut": {func(f *fixture) *client {
			c := fallBehind(f)
			c.pull(true)
			return c
		}, catchingUp},
		"the log is read up to the tail": {func(f *fixture) *client {
			c := fallBehind(f)
			c.read()
			return c
		}, current},
		"records are published while the log is read": {func(f *fixture) *client {
			c := fallBehind(f)
			c.pull(true)
			f.publish("1")
			for c.reader.state == catchingUp {
				c.pull(true)
			}
			return c
		}, following},
		"a second subscription": {func(f *fixture) *client {
			c := f.subscribe("a")
			c.subscribe("2", "")
			return c
		}, held},
		"unsubscribe": {func(f *fixture) *client {
			c := f.subscribe("a")
			c.reader.Unsubscribe(c.sub)
			return c
		}, unsubscribed},
		"leave": {func(f *fixture) *client {
			c := f.subscribe("a")
			c.leave()
			return c
		}, left},
		"subscribe after that": {func(f *fixture) *client {
			c := f.join("a")
			c.subscribe("1", "")
			c.leave()
			require.False(f.t, c.reader.Subscribe(c.sub))
			return c
		}, left},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, slow, func(f *fixture) {
				c := test.run(f)
				require.Equal(t, test.want, c.reader.state)
				nothing := []state{unsubscribed, current, left}
				require.Equal(t, slices.Contains(nothing, c.reader.state), c.reader.at == nil)
				if c.reader.sub != nil {
					require.Nil(t, c.sub.at, "it would keep the tail in memory")
				}
				if c.reader.state != left {
					c.leave()
				}
				require.Zero(t, f.entries())
			})
		})
	}
}

// No event is lost or sent twice between the replay, the hook and live events.
func TestSubscription(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(f *fixture) {
		first := f.publish("1")
		f.publish("2")
		c := f.join("a")
		c.subscribe("7", first)
		f.publish("3") // after the head that was recorded: live
		c.reads("2")
		require.True(t, c.replayed.Load())
		require.Equal(t, 1, c.sub.Replayed)
		require.False(t, c.sub.Truncated)
		f.publish("4")
		c.reads()
		c.reader.Release(c.sub)
		c.reads("3", "4")
		f.publish("5")
		c.reads("5")
		c.reads()
		c.leave()
	})
}

func TestPrepare(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(f *fixture) {
		first := f.publish("1")
		second := f.publish("2")
		for name, test := range map[string]struct {
			last      string
			missed    []string
			truncated bool
		}{
			"no last event":   {"", nil, false},
			"the head":        {second, nil, false},
			"an event":        {first, []string{"2"}, false},
			"everything":      {"0", []string{"1", "2"}, false},
			"unknown epoch":   {"unknown-1", []string{"1", "2"}, true},
			"not an event id": {"what is this", []string{"1", "2"}, true},
		} {
			c := f.join("a")
			c.sub = &Subscription{}
			head, _, err := c.reader.Prepare(t.Context(), c.sub, test.last)
			require.NoError(t, err, name)
			require.Equal(t, second, head.String(), name)
			require.Equal(t, test.truncated, c.sub.Truncated, name)
			c.resume(test.last, test.missed...)
			c.leave()
		}
	})
}

func TestPassed(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(f *fixture) {
		c, other := f.subscribe("a"), f.subscribe("b")
		rec := record("1")
		require.NoError(t, f.ch.Publish(t.Context(), rec))
		f.ch.Settle(f.t.Context(), &c.reader, 0) // the group has not been scanned yet
		require.False(t, c.reader.Passed(rec.Seq))
		require.True(t, c.reader.Passed(rec.Seq-1))
		c.reads("1")
		require.True(t, c.reader.Passed(rec.Seq))
		synctest.Wait()

		f.publish("2", targets("b"))
		f.ch.Settle(f.t.Context(), &c.reader, 0)
		require.True(t, c.reader.Passed(rec.Seq+1), "what is for others is not waited for")
		c.reader.Unsubscribe(c.sub)
		require.True(t, c.reader.Passed(rec.Seq+100))
		c.leave()
		other.leave()
	})
}

func TestCursorEvents(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(f *fixture) {
		move := func() { require.NoError(t, f.ch.MoveCursors(t.Context())) }
		c, plain := f.subscribe("a"), f.join("b")
		plain.sub = &Subscription{ID: c.sub.ID}
		_, _, err := plain.reader.Prepare(t.Context(), plain.sub, "")
		require.NoError(t, err)
		require.True(t, plain.reader.Subscribe(plain.sub))
		plain.reader.Release(plain.sub)

		move()
		c.reads()
		id := f.publish("for another", targets("c"))
		move()
		c.reads("cursor " + id)
		move()
		c.reads()
		f.publish("for all")
		c.reads("for all")
		move()
		c.reads()
		f.publish("for another", targets("c"))
		move()
		f.publish("for all") // its id will do
		c.reads("for all")
		plain.reads("for all", "for all")
		c.leave()
		plain.leave()
	})
}
