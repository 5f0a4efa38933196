package natslog

import (
	"encoding/json"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// lastOf reads the newest n records before p, and returns their data and the position of
// the last one that was read.
func lastOf(t testing.TB, l *Log, channel string, n int, p eventlog.Position) (data []string, at eventlog.Position) {
	t.Helper()
	patiently(t, func() error {
		data, at = nil, eventlog.Position{}
		replay, err := l.Newest(t.Context(), channel, p)
		if err != nil {
			return err
		}
		require.False(t, replay.Truncated)
		for r, err := range replay.Records {
			if err != nil {
				return err
			}
			data, at = append(data, string(r.Data)), r.Position()
			if len(data) == n {
				break
			}
		}
		return nil
	})
	return data, at
}

// publishMany appends n records whose data is their number, from first on, many at a time.
func publishMany(t testing.TB, l *Log, channel string, first, n int) {
	t.Helper()
	for i := range n {
		r := &eventlog.Record{Data: []byte(strconv.Itoa(first + i))}
		patiently(t, func() error { return l.Append(t.Context(), channel, r, nil) })
	}
}

func descending(from, n int) (list []string) {
	for i := range n {
		list = append(list, strconv.Itoa(from-i))
	}
	return list
}

// The newest records are read with a number of requests that does not depend on the length
// of the history, for a channel that is the whole stream, a part of it, or was silent for
// long.
func TestNewestReadsLittle(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir())
	nc := connect(t, s)
	l := openLog(t, nc, Options{Stream: freshName()})
	closeLog(t, l)
	for i := range 10 {
		publishMany(t, l, "busy", 200*i, 200)
		publishMany(t, l, "part", 20*i, 20)
	}
	publishMany(t, l, "silent", 0, 60)
	publishMany(t, l, "busy", 2000, 500)
	for channel, count := range map[string]int{"busy": 2500, "part": 200, "silent": 60} {
		before := nc.Stats()
		data, at := lastOf(t, l, channel, 50, eventlog.Position{})
		require.Equal(t, descending(count-1, 50), data)
		first := nc.Stats()
		require.LessOrEqual(t, first.InMsgs-before.InMsgs, uint64(600), channel)
		require.LessOrEqual(t, first.OutMsgs-before.OutMsgs, uint64(20), channel)
		data, _ = lastOf(t, l, channel, 50, at)
		require.Equal(t, descending(count-51, min(50, count-50)), data)
		second := nc.Stats()
		require.LessOrEqual(t, second.InMsgs-first.InMsgs, uint64(600), channel)
		require.LessOrEqual(t, second.OutMsgs-first.OutMsgs, uint64(20), channel)
	}
}

// If the newest messages of a channel are near each other, nothing else of the stream is
// read: the server would have to load it from its disk.
func TestNewestReadsNearTheEnd(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir())
	l := openLog(t, connect(t, s), Options{Stream: freshName()})
	closeLog(t, l)
	for i := range 30 {
		for channel := range 10 {
			publishMany(t, l, strconv.Itoa(channel), 20*i, 20)
		}
	}
	var mu sync.Mutex
	var from []uint64
	watching := connect(t, s)
	_, err := watching.Subscribe("$JS.API.DIRECT.GET."+l.options.Stream, func(m *nats.Msg) {
		var r directRequest
		_ = json.Unmarshal(m.Data, &r)
		mu.Lock()
		defer mu.Unlock()
		from = append(from, r.Seq)
	})
	require.NoError(t, err)
	require.NoError(t, watching.Flush())
	state, err := l.state(t.Context())
	require.NoError(t, err)
	at := eventlog.Position{}
	for page := range 3 {
		var data []string
		data, at = lastOf(t, l, "9", 50, at)
		require.Equal(t, descending(599-50*page, 50), data)
	}
	require.NoError(t, watching.Flush())
	mu.Lock()
	defer mu.Unlock()
	require.NotEmpty(t, from)
	require.Greater(t, slices.Min(from), state.last-4000)
}

// The newest records of a followed channel are read from memory, without a request.
func TestNewestOfAFollowedChannel(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir())
	nc := connect(t, s)
	l := openLog(t, nc, Options{Stream: freshName(), TailCheck: time.Minute})
	closeLog(t, l)
	publishMany(t, l, "a", 0, 10)
	f := follow(t, l, "a")
	publishMany(t, l, "a", 10, 60)
	f.until(t, func(got []*eventlog.Record, _ error) bool { return len(got) == 60 })
	before := nc.Stats().OutMsgs
	data, at := lastOf(t, l, "a", 50, eventlog.Position{})
	require.Equal(t, descending(69, 50), data)
	data, _ = lastOf(t, l, "a", 10, at)
	require.Equal(t, descending(19, 10), data)
	require.Equal(t, before, nc.Stats().OutMsgs)
	data, _ = lastOf(t, l, "a", 100, at)
	require.Equal(t, descending(19, 20), data, "and those before are in the stream")
}

// Messages of any size, and bursts of them, are read completely.
func TestNewestOfLargeRecords(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir())
	l := openLog(t, connect(t, s), Options{Stream: freshName()})
	closeLog(t, l)
	sizes := []int{10, 3 << 20, 10, 700 << 10, 700 << 10, 700 << 10, 10, 2 << 20, 5, 5, 5, 400 << 10}
	for _, size := range sizes {
		patiently(t, func() error { return l.Append(t.Context(), "a", &eventlog.Record{Data: make([]byte, size)}, nil) })
		publishMany(t, l, "b", 0, 30)
	}
	data, _ := lastOf(t, l, "a", 1000, eventlog.Position{})
	require.Len(t, data, len(sizes))
	for i, text := range data {
		require.Len(t, text, sizes[len(sizes)-1-i])
	}
}

// A message that is not a record is skipped, and leaves no gap in the chain.
func TestNewestSkipsWhatIsNoRecord(t *testing.T) {
	t.Parallel()
	s := startServer(t, t.TempDir())
	nc := connect(t, s)
	l := openLog(t, nc, Options{Stream: freshName()})
	closeLog(t, l)
	first := publish(t, l, "a", "0")
	require.NoError(t, nc.Publish(l.stored(token("a")), []byte("no record")))
	require.NoError(t, nc.Flush())
	publish(t, l, "a", "1")
	replay, err := l.Newest(t.Context(), "a", eventlog.Position{})
	require.NoError(t, err)
	var prev []uint64
	for r, err := range replay.Records {
		require.NoError(t, err)
		prev = append(prev, r.Prev)
	}
	require.Equal(t, []uint64{first.Seq, 0}, prev)
	require.Equal(t, int64(1), l.Stats().Broken)
}
