package filelog_test

import (
	"context"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog/filelog"
)

const dataBytes = 200

func openLog(tb testing.TB, dir string, o *filelog.Options) *filelog.Log {
	tb.Helper()
	l, err := filelog.Open(dir, o)
	require.NoError(tb, err)
	return l
}

func newRecord() *eventlog.Record { return &eventlog.Record{Data: make([]byte, dataBytes)} }

// fill writes n records to channels in turn, as fast as possible.
func fill(tb testing.TB, l *filelog.Log, n int, channels ...string) {
	tb.Helper()
	var next atomic.Int64
	var writers sync.WaitGroup
	for range 256 {
		writers.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				if err := l.Append(tb.Context(), channels[int(i)%len(channels)], newRecord(), nil); err != nil {
					tb.Error(err)
					return
				}
			}
		})
	}
	writers.Wait()
}

func names(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = "room-" + strconv.Itoa(i)
	}
	return list
}

// BenchmarkAppend writes records with a sync of every commit.
func BenchmarkAppend(b *testing.B) {
	for _, publishers := range []int{1, 16, 512} {
		b.Run(strconv.Itoa(publishers)+" publishers", func(b *testing.B) {
			l := openLog(b, b.TempDir(), nil)
			rooms := names(64)
			var next atomic.Int64
			var running sync.WaitGroup
			deliver := func(*eventlog.Record) {}
			b.SetBytes(dataBytes)
			b.ReportAllocs()
			b.ResetTimer()
			for range publishers {
				running.Go(func() {
					for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
						if err := l.Append(context.Background(), rooms[i%64], newRecord(), deliver); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			running.Wait()
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
			b.ReportMetric(float64(b.N)/float64(l.Stats().Commits), "records/commit")
			require.NoError(b, l.Close())
		})
	}
}

// BenchmarkBareWrite is the lower limit for one publisher of BenchmarkAppend.
func BenchmarkBareWrite(b *testing.B) {
	f, err := os.Create(filepath.Join(b.TempDir(), "bare"))
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, f.Close()) })
	record := make([]byte, dataBytes+50)
	for b.Loop() {
		if _, err := f.Write(record); err != nil {
			b.Fatal(err)
		}
		if err := filelog.SyncData(f); err != nil {
			b.Fatal(err)
		}
	}
}

const benchRecords = 200_000

// BenchmarkOpen opens and replays a log, and reads its files.
func BenchmarkOpen(b *testing.B) {
	for _, rooms := range []int{1, 1000} {
		dir := b.TempDir()
		l := openLog(b, dir, nil)
		fill(b, l, benchRecords, names(rooms)...)
		require.NoError(b, l.Close())
		size := l.Stats().Bytes
		name := strconv.Itoa(rooms) + " channels"

		b.Run("read and checksum, "+name, func(b *testing.B) {
			b.SetBytes(size)
			for b.Loop() {
				readAll(b, dir)
			}
		})
		b.Run("open, "+name, func(b *testing.B) {
			b.SetBytes(size)
			for b.Loop() {
				l := openLog(b, dir, nil)
				b.StopTimer()
				require.NoError(b, l.Close())
				b.StartTimer()
			}
		})
		b.Run("replay, "+name, func(b *testing.B) {
			l := openLog(b, dir, nil)
			b.Cleanup(func() { require.NoError(b, l.Close()) })
			b.SetBytes(size)
			b.ReportAllocs()
			for b.Loop() {
				n := 0
				for _, room := range names(rooms) {
					n += replayAll(b, l, room)
				}
				require.Equal(b, benchRecords, n)
			}
		})
	}
}

// readAll reads all files and computes their checksums, in the simplest way.
func readAll(b *testing.B, dir string) {
	b.Helper()
	table := crc32.MakeTable(crc32.Castagnoli)
	files, err := filepath.Glob(filepath.Join(dir, "*.seg"))
	require.NoError(b, err)
	buffer := make([]byte, 256<<10)
	sum := uint32(0)
	for _, name := range files {
		f, err := os.Open(name)
		require.NoError(b, err)
		for {
			n, err := f.Read(buffer)
			sum = crc32.Update(sum, table, buffer[:n])
			if err == io.EOF {
				break
			}
			require.NoError(b, err)
		}
		require.NoError(b, f.Close())
	}
}

func replayAll(tb testing.TB, l *filelog.Log, channel string) (n int) {
	tb.Helper()
	replay, err := l.After(tb.Context(), channel, eventlog.Position{})
	require.NoError(tb, err)
	for _, err := range replay.Records {
		if err != nil {
			tb.Fatal(err)
		}
		n++
	}
	return n
}

// many returns a million in the long form of the tests.
func many() int {
	if os.Getenv("FILELOG_LONG") != "" {
		return 1_000_000
	}
	return 150_000
}

// TestTrimFreesDisk drops nine tenths of the records and requires that their space is
// freed.
func TestTrimFreesDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := openLog(t, dir, &filelog.Options{Sync: filelog.SyncNever, SegmentBytes: many() * 4})
	fill(t, l, many()*9/10, "a")
	cut := newRecord()
	require.NoError(t, l.Append(t.Context(), "a", cut, nil))
	fill(t, l, many()/10, "a")
	before := diskUse(t, dir)
	require.NoError(t, l.Trim(t.Context(), cut.Time))
	require.Less(t, diskUse(t, dir), before*15/100)
	require.GreaterOrEqual(t, replayAll(t, l, "a"), many()/10)
	require.NoError(t, l.Close())
}

func diskUse(t *testing.T, dir string) (n int64) {
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		info, err := e.Info()
		require.NoError(t, err)
		n += info.Size()
	}
	return n
}

// TestReplayMemory replays a long history in a small, constant amount of memory.
func TestReplayMemory(t *testing.T) {
	dir := t.TempDir()
	l := openLog(t, dir, &filelog.Options{Sync: filelog.SyncNever})
	fill(t, l, many(), "a")
	before := heap()
	replay, err := l.After(t.Context(), "a", eventlog.Position{})
	require.NoError(t, err)
	n, most := 0, uint64(0)
	for _, err := range replay.Records {
		require.NoError(t, err)
		if n++; n%(many()/4) == 0 {
			most = max(most, heap())
		}
	}
	require.Equal(t, many(), n)
	require.Less(t, most, before+8<<20)
	require.NoError(t, l.Close())
}

// TestIdleChannelMemory uses many channels once and measures the memory that they take
// afterwards.
func TestIdleChannelMemory(t *testing.T) {
	const n = 100_000
	l := openLog(t, t.TempDir(), &filelog.Options{Sync: filelog.SyncNever})
	before := heap()
	fill(t, l, n, names(n)...)
	per := (heap() - before) / n
	t.Logf("%d bytes per channel", per)
	require.LessOrEqual(t, per, uint64(300))
	require.NoError(t, l.Close())
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkNewest reads the newest fifty records of a channel with a million records,
// between as many records of other channels.
func BenchmarkNewest(b *testing.B) {
	l := openLog(b, b.TempDir(), &filelog.Options{Sync: filelog.SyncNever})
	fill(b, l, 2_000_000, "room", "other")
	times := make([]time.Duration, 0, 1<<16)
	for b.Loop() {
		start := time.Now()
		replay, err := l.Newest(b.Context(), "room", eventlog.Position{})
		require.NoError(b, err)
		n := 0
		for _, err := range replay.Records {
			require.NoError(b, err)
			if n++; n == 50 {
				break
			}
		}
		times = append(times, time.Since(start))
	}
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)*99/100].Microseconds()), "p99-us")
	require.NoError(b, l.Close())
}
