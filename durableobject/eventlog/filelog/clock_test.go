package filelog_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog/filelog"
)

// boot runs fn with a log in dir on a machine whose clock is ahead by the given duration.
func boot(t *testing.T, dir string, ahead time.Duration, o *filelog.Options, fn func(t *testing.T, l *filelog.Log)) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(ahead)
		l := openLog(t, dir, o)
		fn(t, l)
		require.NoError(t, l.Close())
	})
}

const (
	day  = 24 * time.Hour
	year = 365 * day
)

// write appends ten records at intervals for the given duration.
func write(t *testing.T, l *filelog.Log, runs time.Duration) {
	for begin := time.Now(); time.Since(begin) <= runs; time.Sleep(10 * time.Minute) {
		fill(t, l, 10, "a", "b")
	}
}

// The clock was ahead while the log was written, and is set right before it is opened
// again. Records expire nevertheless, by the time for which the log has been running since.
func TestClockSetBack(t *testing.T) {
	t.Parallel()
	for name, ahead := range map[string]time.Duration{
		"an hour": time.Hour, "a day": day, "a century": 100 * year, "as far as a record can tell": 262 * year,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, o := t.TempDir(), &filelog.Options{Retention: time.Hour, SegmentBytes: 4096}
			var old eventlog.Position
			boot(t, dir, ahead, o, func(t *testing.T, l *filelog.Log) {
				fill(t, l, 20, "a")
				old = head(t, l)
			})
			boot(t, dir, time.Minute, o, func(t *testing.T, l *filelog.Log) {
				require.Equal(t, 20, replayAll(t, l, "a"), "young still, for all that the log knows")
				time.Sleep(59 * time.Minute)
				require.Equal(t, 20, replayAll(t, l, "a"))
				time.Sleep(2 * time.Minute)
				require.Zero(t, replayAll(t, l, "a"))
				write(t, l, 20*time.Hour)
				require.Less(t, replayAll(t, l, "a"), 40)
				stats := l.Stats()
				require.Less(t, stats.Head-stats.Floor, uint64(100))
				replay, err := l.After(t.Context(), "a", old)
				require.NoError(t, err)
				require.True(t, replay.Truncated)
			})
		})
	}
}

func head(t *testing.T, l *filelog.Log) eventlog.Position {
	p, err := l.Head(t.Context(), "")
	require.NoError(t, err)
	return p
}

// The times for which the log is running are added up.
func TestClockSetBackBetweenShortRuns(t *testing.T) {
	t.Parallel()
	dir, o := t.TempDir(), &filelog.Options{Retention: time.Hour, SegmentBytes: 1024}
	boot(t, dir, day, o, func(t *testing.T, l *filelog.Log) { fill(t, l, 20, "a") })
	for i := range 4 {
		boot(t, dir, time.Duration(i)*time.Hour, o, func(t *testing.T, l *filelog.Log) {
			require.Equal(t, 20, replayAll(t, l, "a"), "run %d", i)
			time.Sleep(14 * time.Minute)
		})
	}
	boot(t, dir, 5*time.Hour, o, func(t *testing.T, l *filelog.Log) {
		time.Sleep(6 * time.Minute)
		require.Zero(t, replayAll(t, l, "a"))
	})
	boot(t, dir, 5*time.Hour, o, func(t *testing.T, l *filelog.Log) {
		synctest.Wait()
		require.Equal(t, uint64(20), l.Stats().Floor, "dropped at once")
	})
}

// Times continue, and are those of the clock again when that has caught up.
func TestTimesAfterTheClockWasSetBack(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	add := func(t *testing.T, l *filelog.Log) time.Time {
		r := newRecord()
		require.NoError(t, l.Append(t.Context(), "a", r, nil))
		return r.Time
	}
	var last time.Time
	boot(t, dir, day, nil, func(t *testing.T, l *filelog.Log) { last = add(t, l) })
	boot(t, dir, 0, nil, func(t *testing.T, l *filelog.Log) {
		require.Equal(t, last, add(t, l))
		time.Sleep(time.Hour)
		require.Equal(t, last.Add(time.Hour), add(t, l))
		time.Sleep(time.Hour)
	})
	boot(t, dir, day+time.Hour, nil, func(t *testing.T, l *filelog.Log) {
		require.Equal(t, last.Add(2*time.Hour), add(t, l))
	})
	boot(t, dir, 2*day, nil, func(t *testing.T, l *filelog.Log) { require.True(t, time.Now().Equal(add(t, l))) })
}

// A caller that trims by the machine's clock also drops records of the future, when they
// are old enough.
func TestTrimAfterTheClockWasSetBack(t *testing.T) {
	t.Parallel()
	dir, o := t.TempDir(), &filelog.Options{SegmentBytes: 1024}
	boot(t, dir, 0, o, func(t *testing.T, l *filelog.Log) { fill(t, l, 20, "old") })
	boot(t, dir, day, o, func(t *testing.T, l *filelog.Log) { fill(t, l, 20, "a") })
	boot(t, dir, 30*time.Minute, o, func(t *testing.T, l *filelog.Log) {
		trim := func() { require.NoError(t, l.Trim(t.Context(), time.Now().Add(-time.Hour))) }
		trim()
		require.Equal(t, 20, replayAll(t, l, "old"))
		time.Sleep(45 * time.Minute)
		trim()
		require.Zero(t, replayAll(t, l, "old"))
		require.Equal(t, 20, replayAll(t, l, "a"))
		r := newRecord()
		require.NoError(t, l.Append(t.Context(), "a", r, nil))
		require.NoError(t, l.Trim(t.Context(), r.Time), "a record in the future is not old enough")
		require.NotZero(t, replayAll(t, l, "a"))
		time.Sleep(45 * time.Minute)
		trim()
		require.Less(t, replayAll(t, l, "a"), 10)
		time.Sleep(time.Hour)
		trim()
		require.Zero(t, replayAll(t, l, "a"))
	})
}
