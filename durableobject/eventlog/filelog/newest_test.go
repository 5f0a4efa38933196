package filelog

import (
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// readingDirectory counts the bytes that are read of its files.
type readingDirectory struct {
	directory
	bytes, reads atomic.Int64
}

func (d *readingDirectory) Open(name string) (file, error) {
	f, err := d.directory.Open(name)
	if err != nil {
		return nil, err
	}
	return readingFile{f, d}, nil
}

type readingFile struct {
	file
	of *readingDirectory
}

func (f readingFile) ReadAt(b []byte, off int64) (int, error) {
	f.of.reads.Add(1)
	f.of.bytes.Add(int64(len(b)))
	return f.file.ReadAt(b, off)
}

func openReading(t *testing.T, segmentBytes int) (*Log, *readingDirectory) {
	t.Helper()
	options, err := (&Options{Sync: SyncNever, SegmentBytes: segmentBytes}).withDefaults()
	require.NoError(t, err)
	dir := &readingDirectory{directory: osDirectory(t.TempDir())}
	l, err := open(dir, options)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return l, dir
}

func appendTo(t *testing.T, l *Log, channel string, n int) {
	t.Helper()
	for i := range n {
		r := &eventlog.Record{Data: []byte(`"` + strconv.Itoa(i) + `"`)}
		require.NoError(t, l.Append(t.Context(), channel, r, nil))
	}
}

// newest reads the newest n records before p and returns the oldest of them.
func newest(t *testing.T, l *Log, channel string, n int, p eventlog.Position) eventlog.Position {
	t.Helper()
	replay, err := l.Newest(t.Context(), channel, p)
	require.NoError(t, err)
	for r, err := range replay.Records {
		require.NoError(t, err)
		p = r.Position()
		if n--; n == 0 {
			break
		}
	}
	require.Zero(t, n)
	return p
}

// The newest records are read without those before them, and without those of other
// channels.
func TestNewestReadsLittle(t *testing.T) {
	t.Parallel()
	for name, segment := range map[string]int{"one segment": 64 << 20, "many segments": 64 << 10} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, dir := openReading(t, segment)
			for range 20 {
				appendTo(t, l, "quiet", 5)
				appendTo(t, l, "busy", 1000)
			}
			read := func(channel string, p eventlog.Position) (eventlog.Position, int64) {
				dir.bytes.Store(0)
				return newest(t, l, channel, 50, p), dir.bytes.Load()
			}
			p, bytes := read("busy", eventlog.Position{})
			require.Less(t, bytes, int64(32<<10), "of 20,000 records")
			_, bytes = read("busy", p)
			require.Less(t, bytes, int64(32<<10), "of the page before")
			p, bytes = read("quiet", eventlog.Position{})
			require.Less(t, bytes, int64(160<<10), "of about 1.5 MB")
			_, bytes = read("quiet", p)
			require.Less(t, bytes, int64(160<<10), "of the page before")
		})
	}
}

// A run with more records than fit into memory is read completely.
func TestNewestOfALongList(t *testing.T) {
	t.Parallel()
	const n = 5*refsInMemory + 3
	dir := t.TempDir()
	l, err := Open(dir, &Options{Sync: SyncNever, SegmentBytes: 64 << 20})
	require.NoError(t, err)
	appendTo(t, l, "a", n)
	require.NoError(t, l.Close())
	l, err = Open(dir, &Options{Sync: SyncNever, SegmentBytes: 64 << 20})
	require.NoError(t, err)
	replay, err := l.Newest(t.Context(), "a", eventlog.Position{})
	require.NoError(t, err)
	seq := uint64(n)
	for r, err := range replay.Records {
		require.NoError(t, err)
		require.Equal(t, seq, r.Seq)
		require.Equal(t, `"`+strconv.FormatUint(seq-1, 10)+`"`, string(r.Data))
		seq--
	}
	require.Zero(t, seq)
	require.NoError(t, l.Close())
}

// Records that are larger than the read-ahead, between small ones, are read backwards.
func TestNewestOfLargeRecords(t *testing.T) {
	t.Parallel()
	l, dir := openReading(t, 4<<20)
	sizes := []int{10, 5 << 10, 10, 200 << 10, 300 << 10, 10, 10, 1 << 20, 3 << 20, 20, 4 << 10, 4096 - 80}
	total := 0
	for _, size := range sizes {
		require.NoError(t, l.Append(t.Context(), "a", &eventlog.Record{Data: make([]byte, size)}, nil))
		total += size
	}
	replay, err := l.Newest(t.Context(), "a", eventlog.Position{})
	require.NoError(t, err)
	n := len(sizes)
	for r, err := range replay.Records {
		require.NoError(t, err)
		n--
		require.Len(t, r.Data, sizes[n])
	}
	require.Zero(t, n)
	require.Less(t, dir.bytes.Load(), int64(2*total))
}

// Damaged bytes end the replay with an error.
func TestNewestIsDamaged(t *testing.T) {
	t.Parallel()
	l, dir := openReading(t, 64<<10)
	appendTo(t, l, "a", 2000)
	name := l.index.sealed[0].name()
	f, err := dir.Edit(name)
	require.NoError(t, err)
	_, err = f.WriteAt([]byte("damage"), 2000)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	replay, err := l.Newest(t.Context(), "a", eventlog.Position{})
	require.NoError(t, err)
	var last error
	n := 0
	for _, err := range replay.Records {
		if last = err; err == nil {
			n++
		}
	}
	require.ErrorIs(t, last, ErrDamaged)
	require.Greater(t, n, 1000)
}
