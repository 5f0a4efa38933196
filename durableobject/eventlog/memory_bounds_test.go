package eventlog_test

import (
	"runtime"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// heap returns how many bytes of the heap are in use.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// TestMemoryIsBounded floods logs and measures the memory of the process. It is not
// parallel, since tests share the heap.
func TestMemoryIsBounded(t *testing.T) {
	const bound = 8 << 20
	recipient := eventlog.Recipient{Subject: "subject", ID: "client"}
	floods := map[string]struct {
		records int
		channel func(i int) string
		record  func() *eventlog.Record
	}{
		"small records in one channel": {
			50_000, func(int) string { return "a" },
			func() *eventlog.Record { return &eventlog.Record{Data: []byte("x")} },
		},
		"large records in one channel": {
			500, func(int) string { return "a" },
			func() *eventlog.Record { return &eventlog.Record{Data: make([]byte, 100_000)} },
		},
		"a channel for each record": {
			50_000, func(i int) string { return "channel " + strconv.Itoa(i) },
			func() *eventlog.Record { return &eventlog.Record{Data: []byte("x")} },
		},
		"some records in many channels": {
			50_000, func(i int) string { return "channel " + strconv.Itoa(i%5000) },
			func() *eventlog.Record { return &eventlog.Record{Data: make([]byte, 100)} },
		},
		"buffers with room to spare": {
			20_000, func(int) string { return "a" },
			func() *eventlog.Record {
				return &eventlog.Record{Data: make([]byte, 1, 2048), Meta: make([]byte, 0, 512)}
			},
		},
		"tags, targets and excludes": {
			20_000, func(int) string { return "a" },
			func() *eventlog.Record {
				return &eventlog.Record{Audience: eventlog.Audience{
					Tags:     []string{"a", "b", "c", "d"},
					Targets:  []eventlog.Recipient{recipient, recipient, recipient},
					Excludes: []eventlog.Recipient{recipient, recipient, recipient},
				}}
			},
		},
	}
	for name, flood := range floods {
		t.Run(name, func(t *testing.T) {
			before := heap()
			log := eventlog.NewMemory(&eventlog.MemoryOptions{MaxBytes: bound})
			for i := range flood.records {
				require.NoError(t, log.Append(t.Context(), flood.channel(i), flood.record(), ignore))
			}
			held := heap() - before
			require.LessOrEqual(t, held, int64(bound))
			require.Greater(t, held, int64(bound/3), "the log drops more than it must")
			require.NoError(t, log.Close())
			require.Less(t, heap()-before, int64(bound/10), "a closed log holds on to records")
			runtime.KeepAlive(log)
		})
	}
}

// TestMemoryStaysBounded floods a log with many times its limit and measures the memory all
// the time.
func TestMemoryStaysBounded(t *testing.T) {
	const bound, size, floods = 4 << 20, 256, 50
	before := heap()
	log := eventlog.NewMemory(&eventlog.MemoryOptions{MaxBytes: bound})
	for range floods {
		for i := range bound / size {
			r := &eventlog.Record{Data: make([]byte, size)}
			require.NoError(t, log.Append(t.Context(), "channel "+strconv.Itoa(i%10), r, ignore))
		}
		require.LessOrEqual(t, heap()-before, int64(bound))
	}
	require.NoError(t, log.Close())
	runtime.KeepAlive(log)
}

// TestMemoryAppendAllocations appends to a full log: there is one allocation in addition to
// the record itself.
func TestMemoryAppendAllocations(t *testing.T) {
	log := eventlog.NewMemory(&eventlog.MemoryOptions{MaxBytes: 1 << 20, Retention: time.Hour})
	data := make([]byte, 128)
	add := func() { _ = log.Append(t.Context(), "a", &eventlog.Record{Data: data}, ignore) }
	for range 10_000 {
		add()
	}
	require.LessOrEqual(t, testing.AllocsPerRun(10_000, add), 2.0)
	require.NoError(t, log.Close())
}

// TestMemoryFreesWhatIsOld checks that appends to one channel free expired records of an
// idle channel.
func TestMemoryFreesWhatIsOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before := heap()
		log := eventlog.NewMemory(&eventlog.MemoryOptions{Retention: time.Minute})
		const n, size = 4000, 1 << 10
		for i := range n {
			add(t, log, "idle "+strconv.Itoa(i%100), string(make([]byte, size)))
		}
		require.Greater(t, heap()-before, int64(n*size))
		time.Sleep(2 * time.Minute)
		for range n / 10 {
			add(t, log, "busy", "x")
		}
		require.Less(t, heap()-before, int64(n*size/4))
		require.NoError(t, log.Close())
		runtime.KeepAlive(log)
	})
}
