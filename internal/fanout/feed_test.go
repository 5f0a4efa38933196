package fanout

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// scripted is a shared log whose feeds are controlled by the test.
type scripted struct {
	*eventlog.Memory
	follow func(ctx context.Context, f eventlog.Follower) error // nil: succeeds
	from   eventlog.Position
	feeds  []eventlog.Follower
	stops  int
}

func (s *scripted) Follow(ctx context.Context, _ string, f eventlog.Follower) (eventlog.Position, func(), error) {
	s.feeds = append(s.feeds, f)
	if s.follow != nil {
		if err := s.follow(ctx, f); err != nil {
			return eventlog.Position{}, nil, err
		}
	}
	return s.from, func() { s.stops++ }, nil
}

// feeding runs a test on a channel of a scripted log.
func feeding(t *testing.T, test func(f *fixture, log *scripted)) {
	t.Helper()
	t.Parallel()
	log := &scripted{}
	bubble(t, func(o *Options) {
		log.Memory = eventlog.NewMemory(nil)
		o.Log, o.Shared, o.SoleWriter = log, log, false
	}, func(f *fixture) {
		test(f, log)
		require.NoError(t, log.Close())
	})
}

// stored appends an event to the log and returns its record, which is not delivered.
func (f *fixture) stored(text string) *eventlog.Record {
	f.t.Helper()
	rec := record(text)
	require.NoError(f.t, f.log.Append(f.t.Context(), "channel", rec, func(*eventlog.Record) {}))
	return rec
}

func (f *fixture) follow() {
	f.t.Helper()
	require.NoError(f.t, f.ch.Follow(f.t.Context()))
}

// Records that are delivered before Follow returns the position at which the feed begins are not
// lost, and records before that position are ignored.
func TestRecordsBeforeFollowReturns(t *testing.T) {
	feeding(t, func(f *fixture, log *scripted) {
		log.follow = func(_ context.Context, feed eventlog.Follower) error {
			first := f.stored("1")
			feed.Deliver(first)
			log.from = first.Position()
			f.stored("2")
			feed.Deliver(f.stored("3"))
			return nil
		}
		f.follow()
		c := f.subscribe("a")
		log.feeds[0].Deliver(f.stored("4"))
		synctest.Wait()
		c.reads("4")
		c.leave()
		d := f.join("b")
		d.subscribe("1", log.from.String())
		d.reads("2", "3", "4")
		d.leave()
	})
}

// Records that the feed leaves out are read from the log when the next one arrives.
func TestFeedLeavesOut(t *testing.T) {
	feeding(t, func(f *fixture, log *scripted) {
		f.follow()
		c := f.subscribe("a")
		f.stored("1")
		f.stored("2")
		synctest.Wait()
		c.reads()
		log.feeds[0].Deliver(f.stored("3"))
		synctest.Wait()
		c.reads("1", "2", "3")
		c.leave()
	})
}

// After a feed was lost, its readers read nothing more, whatever the Seqs of the next feed are,
// and records of the lost feed are ignored.
func TestLostFeed(t *testing.T) {
	feeding(t, func(f *fixture, log *scripted) {
		f.follow()
		a := f.subscribe("a")
		old := log.feeds[0]
		for range 3 {
			old.Deliver(f.stored("old"))
		}
		synctest.Wait()
		a.reads("old", "old", "old")
		old.Lost(errors.New("replaced"))
		require.ErrorIs(f.t, a.failure(), ErrLost)
		late := f.join("late")
		require.ErrorIs(f.t, late.failure(), ErrLost, "the feed was lost since it was followed")

		log.Memory = eventlog.NewMemory(nil) // Seqs begin again
		f.log = log
		f.follow()
		require.Equal(f.t, 1, log.stops, "the feed that was lost is released")
		b := f.subscribe("b")
		old.Deliver(&eventlog.Record{Seq: 99, Epoch: "old"})
		log.feeds[1].Deliver(f.stored("new"))
		synctest.Wait()
		a.reads()
		late.reads()
		b.reads("new")
		a.subscribe("2", "0")
		a.reads()
		for _, c := range []*client{a, b, late} {
			c.leave()
		}
		require.Zero(f.t, f.entries())
		f.ch.Unfollow()
		require.Equal(f.t, 2, log.stops)
		require.Error(f.t, f.ch.Follow(f.t.Context()))
		require.Equal(f.t, 3, log.stops)
	})
}

// If a feed is lost before a writer has notified its readers, the readers of the next feed are
// notified of all its records nevertheless.
func TestLostFeedWithUnnotifiedReaders(t *testing.T) {
	feeding(t, func(f *fixture, log *scripted) {
		f.follow()
		a := f.subscribe("a")
		resume := f.busy()
		log.feeds[0].Deliver(f.stored("old"))
		log.feeds[0].Lost(errors.New("lost"))
		log.from = f.stored("left out").Position()
		f.follow()
		b := f.subscribe("b")
		log.feeds[1].Deliver(f.stored("1"))
		log.feeds[1].Deliver(f.stored("2"))
		resume()
		log.feeds[1].Deliver(f.stored("3"))
		synctest.Wait()
		b.reads("1", "2", "3")
		a.reads()
		a.leave()
		b.leave()
	})
}

// A feed that is lost before Follow returns is not used.
func TestFeedLostAtOnce(t *testing.T) {
	feeding(t, func(f *fixture, log *scripted) {
		log.follow = func(_ context.Context, feed eventlog.Follower) error {
			feed.Lost(errors.New("replaced"))
			return nil
		}
		require.ErrorIs(f.t, f.ch.Follow(f.t.Context()), eventlog.ErrUnavailable)
		require.Equal(f.t, 1, log.stops)
		log.follow = nil
		f.follow()
	})
}

// Callers that follow a channel at the same time share one attempt, but if the context of the one
// that made it ends, another one tries again.
func TestFollowersShareAnAttempt(t *testing.T) {
	broken := errors.New("broken")
	for name, test := range map[string]struct {
		first func(ctx context.Context) error
		want  error // of the second
		feeds int
	}{
		"it succeeds":         {func(context.Context) error { return nil }, nil, 1},
		"it fails":            {func(context.Context) error { return broken }, broken, 1},
		"the first goes away": {func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, nil, 2},
	} {
		t.Run(name, func(t *testing.T) {
			feeding(t, func(f *fixture, log *scripted) {
				begin := make(chan struct{})
				log.follow = func(ctx context.Context, _ eventlog.Follower) error {
					<-begin
					log.follow = nil
					return test.first(ctx)
				}
				ctx, cancel := context.WithCancel(f.t.Context())
				results := make(chan error, 2)
				go func() { results <- f.ch.Follow(ctx) }()
				synctest.Wait()
				go func() { results <- f.ch.Follow(f.t.Context()) }()
				synctest.Wait()
				close(begin)
				synctest.Wait()
				cancel()
				if first := <-results; first != nil { // it may have gone away
					f.t.Log(first)
				}
				require.ErrorIs(f.t, <-results, test.want)
				require.Len(f.t, log.feeds, test.feeds)
			})
		})
	}
}

// A cursor event does not move a client back that has received more from another process.
func TestCursorEventsDoNotGoBack(t *testing.T) {
	feeding(t, func(f *fixture, log *scripted) {
		f.follow()
		f.stored("1")
		seen := f.stored("2").Position().String()
		c := f.join("a")
		c.subscribe("1", seen)
		require.False(f.t, c.sub.Truncated)
		c.reader.Release(c.sub)
		log.Memory = eventlog.NewMemory(nil) // whose head is before that
		require.NoError(f.t, f.ch.MoveCursors(f.t.Context()))
		c.reads()
		c.leave()
	})
}
