package eventlog_test

import (
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

func ignore(*eventlog.Record) {}

func add(t *testing.T, log eventlog.Log, channel, data string) *eventlog.Record {
	t.Helper()
	r := &eventlog.Record{Data: []byte(data)}
	require.NoError(t, log.Append(t.Context(), channel, r, ignore))
	return r
}

// after returns the data of the replay of channel from p.
func after(t *testing.T, log eventlog.Log, channel string, p eventlog.Position) (data []string, truncated bool) {
	t.Helper()
	replay, err := log.After(t.Context(), channel, p)
	require.NoError(t, err)
	for r, err := range replay.Records {
		require.NoError(t, err)
		data = append(data, string(r.Data))
	}
	return data, replay.Truncated
}

// begin returns the position before the first record of log.
func begin(t *testing.T, log eventlog.Log) eventlog.Position {
	t.Helper()
	head, err := log.Head(t.Context(), "")
	require.NoError(t, err)
	return eventlog.Position{Epoch: head.Epoch}
}

func TestMemoryDropsTheOldestOfAChannel(t *testing.T) {
	t.Parallel()
	kilobyte := strings.Repeat("x", 1<<10)
	log := eventlog.NewMemory(&eventlog.MemoryOptions{MaxChannelBytes: 16 << 10})
	var full, other []*eventlog.Record
	for range 100 {
		full = append(full, add(t, log, "full", kilobyte))
		if len(other) < 5 {
			other = append(other, add(t, log, "other", kilobyte))
		}
	}
	kept, truncated := after(t, log, "full", begin(t, log))
	require.True(t, truncated)
	require.Greater(t, len(kept), 8)
	require.Less(t, len(kept), 16)
	dropped := len(full) - len(kept)
	_, truncated = after(t, log, "full", full[dropped-2].Position())
	require.True(t, truncated)
	rest, truncated := after(t, log, "full", full[dropped-1].Position())
	require.False(t, truncated)
	require.Len(t, rest, len(kept))

	kept, truncated = after(t, log, "other", eventlog.Position{})
	require.False(t, truncated, "a channel is not cut for the sake of its own bound in another")
	require.Len(t, kept, len(other))
}

func TestMemoryTrimsAroundWhatIsGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := eventlog.NewMemory(&eventlog.MemoryOptions{MaxChannelBytes: 16 << 10})
		add(t, log, "idle", "x")
		for range 100 {
			add(t, log, "full", strings.Repeat("x", 1<<10))
		}
		time.Sleep(time.Second)
		cut := time.Now()
		young := []string{"1", "2", "3"}
		for _, data := range young {
			add(t, log, "full", data)
		}
		require.NoError(t, log.Trim(t.Context(), cut))
		data, truncated := after(t, log, "full", begin(t, log))
		require.True(t, truncated)
		require.Equal(t, young, data)
		data, truncated = after(t, log, "idle", begin(t, log))
		require.True(t, truncated)
		require.Empty(t, data)
	})
}

func TestMemoryDropsTheOldestOfAll(t *testing.T) {
	t.Parallel()
	log := eventlog.NewMemory(&eventlog.MemoryOptions{MaxBytes: 64 << 10})
	kilobyte := strings.Repeat("x", 1<<10)
	channels := []string{"a", "b", "c"}
	const n = 200
	for i := range n {
		add(t, log, channels[i%3], kilobyte)
	}
	// The end of the log is left: no channel keeps records that are older than those that
	// another has lost.
	var left int
	oldest, lost := uint64(n), uint64(0)
	for i, channel := range channels {
		replay, err := log.After(t.Context(), channel, begin(t, log))
		require.NoError(t, err)
		require.True(t, replay.Truncated)
		first := true
		for r, err := range replay.Records {
			require.NoError(t, err)
			if first {
				oldest, lost = min(oldest, r.Seq), max(lost, r.Prev)
			}
			first = false
			left++
			require.Equal(t, i, int(r.Seq-1)%3)
		}
	}
	require.Equal(t, n-left, int(oldest)-1)
	require.Less(t, lost, oldest)
	require.Greater(t, left, 40)
	require.Less(t, left, 64)
}

func TestMemoryForgetsChannels(t *testing.T) {
	t.Parallel()
	log := eventlog.NewMemory(nil)
	a, b := add(t, log, "a", "1"), add(t, log, "b", "2")
	require.NoError(t, log.Trim(t.Context(), b.Time.Add(time.Second)))

	_, truncated := after(t, log, "a", a.Position())
	require.True(t, truncated, "whether a had more before record 2 is forgotten")
	_, truncated = after(t, log, "a", b.Position())
	require.False(t, truncated)
	_, truncated = after(t, log, "new", begin(t, log))
	require.True(t, truncated, "an unknown channel cannot be distinguished from a forgotten one")
	_, truncated = after(t, log, "new", eventlog.Position{})
	require.False(t, truncated, "the zero Position means all retained records")

	c := add(t, log, "a", "3")
	require.Equal(t, b.Seq, c.Prev, "Prev is the floor of the log")
	data, truncated := after(t, log, "a", b.Position())
	require.False(t, truncated)
	require.Equal(t, []string{"3"}, data)
}

func TestMemoryRefusesWhatNeverFits(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		options eventlog.MemoryOptions
		record  eventlog.Record
	}{
		"data past the channel's bound": {
			eventlog.MemoryOptions{MaxChannelBytes: 4096}, eventlog.Record{Data: make([]byte, 4096)},
		},
		"data past the log's bound": {
			eventlog.MemoryOptions{MaxBytes: 4096}, eventlog.Record{Data: make([]byte, 4096)},
		},
		"meta": {
			eventlog.MemoryOptions{MaxBytes: 4096}, eventlog.Record{Meta: make([]byte, 4096)},
		},
		"tags": {
			eventlog.MemoryOptions{MaxBytes: 4096},
			eventlog.Record{Audience: eventlog.Audience{Tags: []string{strings.Repeat("t", 4096)}}},
		},
		"targets": {
			eventlog.MemoryOptions{MaxBytes: 4096},
			eventlog.Record{Audience: eventlog.Audience{Targets: make([]eventlog.Recipient, 128)}},
		},
		"excludes": {
			eventlog.MemoryOptions{MaxBytes: 4096},
			eventlog.Record{Audience: eventlog.Audience{Excludes: make([]eventlog.Recipient, 128)}},
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := eventlog.NewMemory(&c.options)
			kept := add(t, log, "a", "kept")
			delivered := false
			err := log.Append(t.Context(), "a", &c.record, func(*eventlog.Record) { delivered = true })
			require.ErrorIs(t, err, eventlog.ErrTooLarge)
			require.False(t, delivered)
			require.Zero(t, c.record.Seq)
			data, truncated := after(t, log, "a", eventlog.Position{})
			require.False(t, truncated)
			require.Equal(t, []string{"kept"}, data)
			require.Equal(t, kept.Seq, add(t, log, "a", "next").Prev)
		})
	}
}

func TestMemoryRetentionBoundary(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := eventlog.NewMemory(&eventlog.MemoryOptions{Retention: time.Minute})
		r := add(t, log, "a", "x")
		time.Sleep(time.Minute)
		add(t, log, "b", "y")
		data, truncated := after(t, log, "a", eventlog.Position{})
		require.False(t, truncated)
		require.Equal(t, []string{"x"}, data)
		time.Sleep(time.Nanosecond)
		data, truncated = after(t, log, "a", begin(t, log))
		require.True(t, truncated)
		require.Empty(t, data)
		_, truncated = after(t, log, "a", r.Position())
		require.False(t, truncated)
	})
}

func TestMemoryKeepsForEverWithoutRetention(t *testing.T) {
	t.Parallel()
	for _, retention := range []time.Duration{0, -time.Second} {
		synctest.Test(t, func(t *testing.T) {
			log := eventlog.NewMemory(&eventlog.MemoryOptions{Retention: retention})
			add(t, log, "a", "x")
			time.Sleep(100 * 365 * 24 * time.Hour)
			data, truncated := after(t, log, "a", eventlog.Position{})
			require.False(t, truncated)
			require.Equal(t, []string{"x"}, data)
		})
	}
}

func TestMemoryCopiesItsOptions(t *testing.T) {
	t.Parallel()
	options := eventlog.MemoryOptions{MaxChannelBytes: 1 << 20}
	log := eventlog.NewMemory(&options)
	options.MaxChannelBytes = 1
	add(t, log, "a", "x")
}

func TestMemoryChannelsDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	log := eventlog.NewMemory(nil)
	delivering, release := make(chan struct{}), make(chan struct{})
	var slow sync.WaitGroup
	slow.Go(func() {
		err := log.Append(t.Context(), "slow", &eventlog.Record{}, func(*eventlog.Record) {
			close(delivering)
			<-release
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-delivering
	r := add(t, log, "quick", "x")
	head, err := log.Head(t.Context(), "quick")
	require.NoError(t, err)
	require.Equal(t, r.Position(), head)
	data, _ := after(t, log, "quick", eventlog.Position{})
	require.Len(t, data, 1)
	data, _ = after(t, log, "slow", eventlog.Position{})
	require.Len(t, data, 1, "a record is readable while it is delivered")
	require.NoError(t, log.Trim(t.Context(), time.Time{}))
	close(release)
	slow.Wait()
}

func TestMemoryCloseWaitsForDeliveries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := eventlog.NewMemory(nil)
		release := make(chan struct{})
		delivered, closed, closedAfter := false, false, false
		var running sync.WaitGroup
		running.Go(func() {
			err := log.Append(t.Context(), "a", &eventlog.Record{}, func(*eventlog.Record) {
				<-release
				delivered = true
			})
			if err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		running.Go(func() {
			if err := log.Close(); err != nil {
				t.Error(err)
			}
			closed, closedAfter = true, delivered
		})
		synctest.Wait()
		require.False(t, closed)
		close(release)
		running.Wait()
		require.True(t, closedAfter)
	})
}

func TestMemoryDeliverThatPanicsHoldsNothingUp(t *testing.T) {
	t.Parallel()
	log := eventlog.NewMemory(nil)
	require.PanicsWithValue(t, "deliver", func() {
		_ = log.Append(t.Context(), "a", &eventlog.Record{}, func(*eventlog.Record) { panic("deliver") })
	})
	r := add(t, log, "a", "x")
	require.Equal(t, uint64(1), r.Prev)
	require.NoError(t, log.Close())
}

func TestMemoryRefillsAReplayFromWhereItIs(t *testing.T) {
	t.Parallel()
	log := eventlog.NewMemory(&eventlog.MemoryOptions{MaxChannelBytes: 1 << 20})
	const n = 500
	for i := range n {
		add(t, log, "a", strconv.Itoa(i))
	}
	replay, err := log.After(t.Context(), "a", eventlog.Position{})
	require.NoError(t, err)
	// A writer that stays ahead of the reader makes the log drop only records that were
	// read.
	i := 0
	for r, err := range replay.Records {
		require.NoError(t, err)
		require.Equal(t, strconv.Itoa(i), string(r.Data))
		require.NoError(t, log.Trim(t.Context(), r.Time))
		i++
	}
	require.Equal(t, n, i)
}
