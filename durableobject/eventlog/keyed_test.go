package eventlog_test

import (
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// appendKeyed appends a record with a key.
func appendKeyed(t *testing.T, log eventlog.Log, key string) (*eventlog.Record, error) {
	t.Helper()
	r := &eventlog.Record{Key: key, Data: []byte("x")}
	return r, log.Append(t.Context(), "room", r, ignore)
}

func TestMemoryKeyWindow(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		options *eventlog.MemoryOptions
		want    time.Duration
	}{
		"default":                   {nil, 2 * time.Minute},
		"set":                       {&eventlog.MemoryOptions{KeyWindow: time.Hour}, time.Hour},
		"short retention":           {&eventlog.MemoryOptions{Retention: time.Second}, time.Second},
		"long retention":            {&eventlog.MemoryOptions{Retention: time.Hour}, 2 * time.Minute},
		"longer, within retention":  {&eventlog.MemoryOptions{Retention: time.Hour, KeyWindow: 30 * time.Minute}, 30 * time.Minute},
		"longer than the retention": {&eventlog.MemoryOptions{Retention: time.Hour, KeyWindow: 2 * time.Hour}, time.Hour},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := eventlog.NewMemory(c.options)
			require.Equal(t, c.want, eventlog.KeyWindow(log))
			require.Equal(t, c.want, eventlog.KeyWindow(eventlog.Prefix(log, "a/")))
		})
	}
}

// withoutKeys hides that a log has keys.
type withoutKeys struct{ eventlog.Log }

func TestNoKeyWindow(t *testing.T) {
	t.Parallel()
	log := withoutKeys{eventlog.NewMemory(nil)}
	require.Zero(t, eventlog.KeyWindow(log))
	require.Zero(t, eventlog.KeyWindow(eventlog.Prefix(log, "a/")))
}

// At the limit a new key is refused instead of forgetting others too early. Known keys, and
// records without keys, are accepted.
func TestTooManyKeys(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := eventlog.NewMemory(&eventlog.MemoryOptions{MaxKeys: 7}) // of which none is reserved for other channels
		first, err := appendKeyed(t, log, "0")
		require.NoError(t, err)
		for i := 1; i < 7; i++ {
			_, err := appendKeyed(t, log, strconv.Itoa(i))
			require.NoError(t, err)
		}
		_, err = appendKeyed(t, log, "7")
		require.ErrorIs(t, err, eventlog.ErrTooManyKeys)
		again, err := appendKeyed(t, log, "0")
		require.NoError(t, err)
		require.Equal(t, first.Position(), again.Position())
		_, err = appendKeyed(t, log, "")
		require.NoError(t, err)
		data, _ := after(t, log, "room", eventlog.Position{})
		require.Len(t, data, 8)

		time.Sleep(eventlog.DefaultKeyWindow + time.Second)
		_, err = appendKeyed(t, log, "7")
		require.NoError(t, err)
	})
}

// A key is remembered even if its record was dropped for lack of memory.
func TestKeyOfDroppedRecord(t *testing.T) {
	t.Parallel()
	log := eventlog.NewMemory(&eventlog.MemoryOptions{MaxBytes: 4096})
	first, err := appendKeyed(t, log, "k")
	require.NoError(t, err)
	for range 20 {
		add(t, log, "room", strings.Repeat("x", 200))
	}
	_, truncated := after(t, log, "room", eventlog.Position{Epoch: first.Epoch})
	require.True(t, truncated)
	again, err := appendKeyed(t, log, "k")
	require.NoError(t, err)
	require.Equal(t, first.Position(), again.Position())
}

// Appending a record without a key makes no allocations for keys.
func TestAppendAllocations(t *testing.T) {
	log := eventlog.NewMemory(&eventlog.MemoryOptions{MaxBytes: 1 << 20})
	ctx := t.Context()
	for range 10_000 {
		add(t, log, "room", "x")
	}
	r := make([]eventlog.Record, 0, 2000)
	n := testing.AllocsPerRun(1000, func() {
		r = append(r, eventlog.Record{Data: payload})
		if err := log.Append(ctx, "room", &r[len(r)-1], ignore); err != nil {
			t.Fatal(err)
		}
	})
	require.LessOrEqual(t, n, 1.0)
}
