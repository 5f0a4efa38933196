package fanout

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// settling is a call of Settle on a separate goroutine.
type settling struct {
	t      *testing.T
	cancel context.CancelFunc
	result chan bool
}

func (c *client) settle(rec *eventlog.Record) *settling {
	ctx, cancel := context.WithCancel(c.t.Context())
	s := &settling{c.t, cancel, make(chan bool, 1)}
	go func() { s.result <- c.ch.Settle(ctx, &c.reader, rec.Seq) }()
	synctest.Wait()
	return s
}

func (s *settling) waits() {
	s.t.Helper()
	synctest.Wait()
	require.Empty(s.t, s.result)
}

func (s *settling) ends(arrived bool) {
	s.t.Helper()
	synctest.Wait()
	require.Len(s.t, s.result, 1)
	require.Equal(s.t, arrived, <-s.result)
	s.cancel()
}

// In a shared log, Settle waits for the feed to deliver the record, each call for its own.
func TestSettleWaitsForTheFeed(t *testing.T) {
	feeding(t, func(f *fixture, log *scripted) {
		f.follow()
		a, b := f.subscribe("a"), f.subscribe("b")
		first, second, third := f.stored("1"), f.stored("2"), f.stored("3")
		one, two, three := a.settle(first), b.settle(second), a.settle(third)
		one.waits()
		log.feeds[0].Deliver(first)
		one.ends(true)
		two.waits()
		three.waits()
		require.False(f.t, a.reader.Passed(first.Seq))

		two.cancel()
		two.ends(false)
		three.waits()
		log.feeds[0].Deliver(third) // the second was left out, so readers read the log
		three.ends(true)
		require.Empty(f.t, f.ch.arrivals)
		a.settle(second).ends(true)
		a.reads("1", "2", "3")
		require.True(f.t, a.reader.Passed(third.Seq))
		a.leave()
		b.leave()
	})
}

// Settle waits for at most 5 s, and not without a subscription or after the feed was lost.
func TestSettleEnds(t *testing.T) {
	feeding(t, func(f *fixture, log *scripted) {
		f.follow()
		a, idle := f.subscribe("a"), f.join("b")
		rec := f.stored("1")
		idle.settle(rec).ends(true)

		late := a.settle(rec)
		time.Sleep(maxOwnWait - time.Millisecond)
		late.waits()
		time.Sleep(time.Millisecond)
		late.ends(false)
		require.Empty(f.t, f.ch.arrivals)

		lost := a.settle(rec)
		log.feeds[0].Lost(errors.New("replaced"))
		lost.ends(true)
		require.False(f.t, a.reader.Passed(rec.Seq))
		require.Empty(f.t, f.ch.arrivals)
		a.settle(rec).ends(true)
		a.leave()
		idle.leave()
	})
}

// Settle notifies a reader whose group has not been scanned, which Passed then waits for.
func TestSettleNotifiesTheReader(t *testing.T) {
	feeding(t, func(f *fixture, log *scripted) {
		f.follow()
		c := f.subscribe("a")
		resume := f.busy()
		rec := f.stored("1")
		wait := c.settle(rec)
		log.feeds[0].Deliver(rec)
		wait.ends(true)
		require.False(f.t, c.reader.Passed(rec.Seq))
		c.reads("1")
		require.True(f.t, c.reader.Passed(rec.Seq))
		resume()
		c.leave()
	})
}

func TestPublished(t *testing.T) {
	t.Parallel()
	for name, log := range map[string]eventlog.Log{"without log": nil, "with log": eventlog.NewMemory(nil)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(o *Options) { o.Log = log }, func(f *fixture) {
				require.Zero(t, New(f.ch.options, "not opened").Published())
				require.Zero(t, f.ch.Published())
				f.publish("1")
				c := f.subscribe("a")
				f.publish("2")
				require.Equal(t, uint64(2), f.ch.Published())
				c.leave()
				require.Equal(t, uint64(2), f.ch.Published())
				f.publish("3")
				require.Equal(t, uint64(3), f.ch.Published())
			})
		})
	}
}

// In a shared log, only the records of this process are counted.
func TestPublishedToASharedLog(t *testing.T) {
	feeding(t, func(f *fixture, log *scripted) {
		f.follow()
		log.feeds[0].Deliver(f.stored("of another process"))
		require.Zero(f.t, f.ch.Published())
		f.publish("1")
		require.Equal(f.t, uint64(1), f.ch.Published())
		ctx, cancel := context.WithCancel(f.t.Context())
		cancel()
		require.Error(f.t, f.ch.Publish(ctx, record("not stored")))
		require.Equal(f.t, uint64(1), f.ch.Published())
	})
}
