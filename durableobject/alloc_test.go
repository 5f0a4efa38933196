package durableobject_test

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
)

// The tests in this file do not run in parallel with others: they count the allocations
// of all goroutines, so that those of the writers are among them.

// fewestAllocs returns the smallest of three averages: what else runs in the process can only
// add to them.
func fewestAllocs(runs int, fn func()) float64 {
	fewest := testing.AllocsPerRun(runs, fn)
	for range 2 {
		fewest = min(fewest, testing.AllocsPerRun(runs, fn))
	}
	return fewest
}

// A publication makes few allocations, including those of its delivery.
func TestPublishAllocates(t *testing.T) {
	everybody := func() []durableobject.PublishOption { return nil }
	few := func() []durableobject.PublishOption {
		return []durableobject.PublishOption{durableobject.WithTags("few")}
	}
	for name, test := range map[string]struct {
		sockets int // ten of which have the tag
		options func() []durableobject.PublishOption
		most    float64
	}{
		"for everybody, without sockets":  {0, everybody, 6},
		"for everybody, with 100 sockets": {100, everybody, 6},
		"for a tag, with 100 sockets":     {100, few, 12},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVenue(t)
			room := v.room("room")
			if test.sockets > 0 {
				v.connect(test.sockets-10, "room", "others")
				v.connect(10, "room", "few")
			}
			made := fewestAllocs(5000, func() {
				require.NoError(t, room.PublishEvent(t.Context(), bench128, test.options()...))
			})
			t.Logf("%v allocations", made)
			require.LessOrEqual(t, made, test.most)
		})
	}
}

// Delivering an event allocates nothing for each socket, even if each one has its own subscription
// id. A heartbeat needs no goroutine for a socket.
func TestDeliveryAllocatesNothing(t *testing.T) {
	for name, headers := range map[string]string{
		"without heartbeat": "",
		"with heartbeat":    `,"h":{"x-durable-iterator-heartbeat":"60"}`,
	} {
		t.Run(name, func(t *testing.T) {
			v := newVenue(t)
			v.headers = headers
			room := v.room("room")
			before := runtime.NumGoroutine()
			v.connect(1000, "room")
			for runtime.NumGoroutine()-before > 1000+10 { // a reader for each, and hooks that end
				runtime.Gosched()
			}
			sent := make([]int64, len(v.sinks))
			made := fewestAllocs(100, func() {
				for i, s := range v.sinks {
					sent[i] = s.writes.Load()
				}
				require.NoError(t, room.PublishEvent(t.Context(), bench128))
				for i, s := range v.sinks {
					for s.writes.Load() == sent[i] {
						runtime.Gosched()
					}
				}
			})
			t.Logf("%v allocations for an event that 1,000 sockets get", made)
			require.Less(t, made, 0.05*1000)
		})
	}
}

// A client that connects and is sent 500 missed events costs few allocations. Half of them are
// those of net/http and of the test's request.
func TestResumeAllocates(t *testing.T) {
	v := newVenue(t)
	room := v.room("room")
	for range 499 {
		require.NoError(t, room.PublishEvent(t.Context(), bench128))
	}
	require.NoError(t, room.PublishEvent(t.Context(), message{lastWords}))
	tok := v.token("room")
	made := fewestAllocs(500, func() {
		s := connectSink(t, v.handler, "c", tok, "1", "0")
		s.wait(t)
		_ = s.Close()
	})
	t.Logf("%v allocations", made)
	require.LessOrEqual(t, made, 250.0)
}
