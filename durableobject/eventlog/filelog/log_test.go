package filelog_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog/filelog"
)

func TestOptionsOutOfRange(t *testing.T) {
	t.Parallel()
	cases := map[string]filelog.Options{
		"negative Retention":     {Retention: -1},
		"unknown Sync":           {Sync: 3},
		"negative SyncInterval":  {SyncInterval: -1},
		"negative SegmentBytes":  {SegmentBytes: -1},
		"SegmentBytes too large": {SegmentBytes: 1<<30 + 1},
	}
	for name, o := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := filelog.Open(t.TempDir(), &o)
			require.ErrorContains(t, err, "filelog: open: ")
		})
	}
}

func TestOneOpenLogPerDirectory(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "made", "as", "needed")
	l := openLog(t, dir, nil)
	_, err := filelog.Open(dir, nil)
	require.ErrorIs(t, err, filelog.ErrLocked)
	_, err = filelog.Check(dir)
	require.ErrorIs(t, err, filelog.ErrLocked)
	require.NoError(t, l.Close())
	l = openLog(t, dir, nil)
	require.NoError(t, l.Close())
	report, err := filelog.Check(dir)
	require.NoError(t, err)
	require.True(t, report.Clean)
}

func TestCheckOfNoDirectory(t *testing.T) {
	t.Parallel()
	_, err := filelog.Check(filepath.Join(t.TempDir(), "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestTooLarge(t *testing.T) {
	t.Parallel()
	l := openLog(t, t.TempDir(), &filelog.Options{SegmentBytes: 1000})
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	large := &eventlog.Record{Data: make([]byte, filelog.MaxRecordBytes)}
	require.ErrorIs(t, l.Append(t.Context(), "a", large, nil), eventlog.ErrTooLarge)
	large.Data = bytes.Repeat([]byte("x"), filelog.MaxRecordBytes-200)
	require.NoError(t, l.Append(t.Context(), "a", large, nil))
	require.NoError(t, l.Append(t.Context(), "a", newRecord(), nil))
	require.Equal(t, 2, replayAll(t, l, "a"))
}

func TestFilesExpire(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		l := openLog(t, dir, &filelog.Options{Retention: time.Hour})
		for range 100 {
			fill(t, l, 10, "a", "b")
			time.Sleep(10 * time.Minute)
			stats := l.Stats()
			require.LessOrEqual(t, stats.Segments, 11, "an hour and a segment's worth")
		}
		time.Sleep(3 * time.Hour)
		stats := l.Stats()
		require.Equal(t, 1, stats.Segments)
		require.Equal(t, uint64(1000), stats.Floor)
		require.Equal(t, stats.Bytes, segmentBytes(t, dir))
		require.NoError(t, l.Close())
	})
}

func segmentBytes(t *testing.T, dir string) (n int64) {
	files, err := filepath.Glob(filepath.Join(dir, "*.seg"))
	require.NoError(t, err)
	for _, name := range files {
		info, err := os.Stat(name)
		require.NoError(t, err)
		n += info.Size()
	}
	return n
}

func TestChannelsAreForgotten(t *testing.T) {
	t.Parallel()
	l := openLog(t, t.TempDir(), &filelog.Options{Sync: filelog.SyncNever})
	fill(t, l, 100, names(100)...)
	for range 2 {
		require.NoError(t, l.Append(t.Context(), "b", newRecord(), nil))
		require.NoError(t, l.Trim(t.Context(), time.Now().Add(time.Hour)))
	}
	require.Equal(t, 1, l.Stats().Channels)
	r := newRecord()
	require.NoError(t, l.Append(t.Context(), "room-7", r, nil))
	require.Equal(t, l.Stats().Floor, r.Prev)
	require.NoError(t, l.Close())
}

func TestSyncPolicies(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		options filelog.Options
		syncs   uint64 // number of syncs after three commits and a second
	}{
		"every commit": {filelog.Options{}, 3},
		"interval":     {filelog.Options{Sync: filelog.SyncInterval, SyncInterval: time.Second / 2}, 1},
		"never":        {filelog.Options{Sync: filelog.SyncNever}, 0},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := openLog(t, t.TempDir(), &c.options)
				for range 3 {
					require.NoError(t, l.Append(t.Context(), "a", newRecord(), nil))
				}
				time.Sleep(time.Second)
				synctest.Wait()
				require.Equal(t, c.syncs, l.Stats().Syncs)
				require.NoError(t, l.Close())
			})
		})
	}
}

// TestCancelWhileCommitting ends the contexts of appends that are being stored or wait:
// each returns the context's error or nil, and exactly the stored records are delivered.
func TestCancelWhileCommitting(t *testing.T) {
	t.Parallel()
	l := openLog(t, t.TempDir(), nil)
	inside, leave := make(chan struct{}), make(chan struct{})
	var delivered []uint64
	ctx, cancel := context.WithCancel(t.Context())
	var appends sync.WaitGroup
	appends.Go(func() {
		err := l.Append(ctx, "a", newRecord(), func(r *eventlog.Record) {
			delivered = append(delivered, r.Seq)
			close(inside)
			<-leave
		})
		require.ErrorIs(t, err, context.Canceled)
	})
	<-inside // deliver is running: the record is stored
	waiting := newRecord()
	appends.Go(func() {
		err := l.Append(ctx, "a", waiting, func(*eventlog.Record) { t.Error("delivered after its context had ended") })
		require.ErrorIs(t, err, context.Canceled)
	})
	cancel()
	appends.Wait()
	close(leave)
	last := newRecord()
	require.NoError(t, l.Append(t.Context(), "a", last, func(r *eventlog.Record) { delivered = append(delivered, r.Seq) }))
	require.Equal(t, []uint64{1, 2}, delivered)
	require.Equal(t, uint64(1), last.Prev)
	require.Zero(t, waiting.Seq)
	require.Equal(t, 2, replayAll(t, l, "a"))
	require.NoError(t, l.Close())
}

// TestDamageIsReported damages one byte and tests Check, Open and the log.
func TestDamageIsReported(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := openLog(t, dir, nil)
	fill(t, l, 100, "a")
	require.NoError(t, l.Close())
	name := filepath.Join(dir, "00000000000000000001.seg")
	original, err := os.ReadFile(name)
	require.NoError(t, err)
	original[len(original)/3] ^= 1
	require.NoError(t, os.WriteFile(name, original, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "notes.txt"), []byte("not ours"), 0o600))

	found, err := filelog.Check(dir)
	require.NoError(t, err)
	require.ErrorIs(t, found.Err(), filelog.ErrDamaged)
	require.Len(t, found.Damage, 1)
	require.Equal(t, uint64(99), found.Records)
	require.NotZero(t, found.Damage[0].First)

	var logged bytes.Buffer
	l = openLog(t, dir, &filelog.Options{Logger: slog.New(slog.NewTextHandler(&logged, nil))})
	require.Equal(t, found.Damage, l.Report().Damage)
	require.Contains(t, logged.String(), "records are damaged")
	require.Equal(t, 99, replayAll(t, l, "a"))
	require.Len(t, l.Report().Quarantine, 1)
	aside, err := os.ReadFile(filepath.Join(dir, l.Report().Quarantine[0]))
	require.NoError(t, err)
	require.Equal(t, original, aside, "the original is kept")
	require.NoError(t, l.Close())

	l = openLog(t, dir, nil)
	require.NoError(t, l.Report().Err(), "reported once")
	require.False(t, l.Report().NewEpoch)
	require.NoError(t, l.Close())
	require.FileExists(t, filepath.Join(dir, "notes.txt"))
}
