package fanout

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// A subscription that resumes ahead of the tail fails if the log does not have that position after
// 10 s, unless the feed has delivered it, or the subscription has ended.
func TestSubscriptionAheadOfTheTail(t *testing.T) {
	broken := errors.New("broken")
	reset := func(_ *fixture, log *scripted, _ *client) { log.Memory = eventlog.NewMemory(nil) }
	for name, test := range map[string]struct {
		before func(f *fixture, log *scripted, c *client) // the deadline
		want   error
	}{
		"the log has it":         {func(*fixture, *scripted, *client) {}, nil},
		"the log does not":       {reset, eventlog.ErrUnavailable},
		"the log cannot be read": {func(_ *fixture, log *scripted, _ *client) { log.head = broken }, broken},
		"it is delivered": {func(f *fixture, log *scripted, c *client) {
			log.feeds[0].Deliver(&eventlog.Record{Seq: 2})
			reset(f, log, c)
		}, nil},
		"the subscription ends": {func(f *fixture, log *scripted, c *client) {
			c.reader.Unsubscribe(c.sub)
			reset(f, log, c)
		}, nil},
		"another subscription begins": {func(f *fixture, log *scripted, c *client) {
			reset(f, log, c)
			c.subscribe("2", "")
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			feeding(t, func(f *fixture, log *scripted) {
				f.follow()
				f.stored("1")
				ahead := f.stored("2").Position()
				c := f.join("a")
				c.subscribe("1", ahead.String())
				require.False(f.t, c.sub.Truncated)
				log.mu.Lock()
				test.before(f, log, c)
				log.mu.Unlock()
				time.Sleep(maxTailWait - time.Millisecond)
				synctest.Wait()
				require.NoError(f.t, c.failure())
				time.Sleep(time.Millisecond)
				synctest.Wait()
				require.ErrorIs(f.t, c.failure(), test.want)
				c.leave()
			})
		})
	}
}

// A deadline that runs out while its subscription ends has no effect.
func TestLateAfterTheSubscription(t *testing.T) {
	feeding(t, func(f *fixture, log *scripted) {
		f.follow()
		c := f.join("a")
		c.subscribe("1", f.stored("1").Position().String())
		first := c.sub
		log.Memory = eventlog.NewMemory(nil)
		require.ErrorIs(f.t, c.reader.late(f.t.Context(), first), eventlog.ErrUnavailable)
		c.subscribe("2", "")
		require.NoError(f.t, c.reader.late(f.t.Context(), first))
		c.leave()
	})
}
