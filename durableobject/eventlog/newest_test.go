package eventlog_test

import (
	"context"
	"iter"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog/eventlogtest"
)

// forwards is a log that cannot read from the end: it has no method Newest.
type forwards struct{ eventlog.Log }

// A log without Newest passes the same suite, and so does a view of it.
func TestReadNewestForwards(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(log eventlog.Log) eventlog.Log{
		"the log": func(log eventlog.Log) eventlog.Log { return forwards{log} },
		"a view":  func(log eventlog.Log) eventlog.Log { return eventlog.Prefix(forwards{log}, "chat/") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eventlogtest.RunStore(t, eventlogtest.Store{
				Open: func(*testing.T) eventlog.Log { return open(eventlog.NewMemory(nil)) },
				OpenRetention: func(_ *testing.T, retention time.Duration) eventlog.Log {
					return open(eventlog.NewMemory(&eventlog.MemoryOptions{Retention: retention}))
				},
			})
		})
	}
}

// counting counts the records that a log yields, and the most that were read at once.
type counting struct {
	eventlog.Log
	reads, yielded int
}

func (c *counting) After(ctx context.Context, channel string, p eventlog.Position) (eventlog.Replay, error) {
	replay, err := c.Log.After(ctx, channel, p)
	c.reads++
	replay.Records = c.count(replay.Records)
	return replay, err
}

func (c *counting) count(records iter.Seq2[*eventlog.Record, error]) iter.Seq2[*eventlog.Record, error] {
	return func(yield func(*eventlog.Record, error) bool) {
		for r, err := range records {
			if c.yielded++; !yield(r, err) {
				return
			}
		}
	}
}

// A log without Newest is read only as far as its caller needs.
func TestReadNewestReadsForwardsOnce(t *testing.T) {
	t.Parallel()
	log := &counting{Log: eventlog.NewMemory(nil)}
	for range 1000 {
		add(t, log, "a", "x")
		add(t, log, "b", "x")
	}
	replay, err := eventlog.ReadNewest(t.Context(), log, "a", eventlog.Position{})
	require.NoError(t, err)
	n := 0
	for _, err := range replay.Records {
		require.NoError(t, err)
		if n++; n == 256 {
			break
		}
	}
	require.Equal(t, 1, log.reads)
	require.Equal(t, 1000, log.yielded, "of its own channel alone")
}

// The memory for large records is bounded, and a record that is larger than the bound is
// read.
func TestReadNewestOfLargeRecords(t *testing.T) {
	t.Parallel()
	log := &counting{Log: eventlog.NewMemory(nil)}
	var want []uint64
	for i := range 10 {
		r := &eventlog.Record{Data: make([]byte, 400<<10)}
		if i%3 == 0 {
			r.Data = make([]byte, 2<<20)
		}
		require.NoError(t, log.Append(t.Context(), "a", r, func(*eventlog.Record) {}))
		want = append([]uint64{r.Seq}, want...)
	}
	replay, err := eventlog.ReadNewest(t.Context(), log, "a", eventlog.Position{})
	require.NoError(t, err)
	var got []uint64
	for r, err := range replay.Records {
		require.NoError(t, err)
		got = append(got, r.Seq)
	}
	require.Equal(t, want, got)
	require.Greater(t, log.reads, 5, "not all of it was in memory at once")
}
