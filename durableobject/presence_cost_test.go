package durableobject_test

import (
	"context"
	"runtime"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
)

// Without Options.Presence, presence uses no goroutine, and no memory for a socket. With it, a
// node that is alone uses no goroutine either. The test does not run in parallel with others,
// because it counts goroutines.
func TestPresenceCostsNothing(t *testing.T) {
	goroutines := func(o durableobject.Options) int {
		o.Verifier = secret
		before := runtime.NumGoroutine()
		ns := durableobject.NewNamespace(newPlain, &o)
		n := runtime.NumGoroutine() - before
		require.NoError(t, ns.Shutdown(context.Background()))
		return n
	}
	writers := runtime.GOMAXPROCS(0)
	off := goroutines(durableobject.Options{})
	require.LessOrEqual(t, off, writers+2, "writers, the wheel, and the task that evicts")
	require.Equal(t, off, goroutines(durableobject.Options{Presence: &durableobject.PresenceOptions{}}))

	const socketBefore = 704 // bytes of a Websocket without presence
	require.LessOrEqual(t, int(unsafe.Sizeof(durableobject.Websocket{})), socketBefore+64)
}

// The members of an object with 10,000 of them are listed in at most 50 ms.
func BenchmarkPresence(b *testing.B) {
	v := newVenueOf(b, durableobject.Options{Presence: &durableobject.PresenceOptions{}})
	room := v.room("room")
	v.connect(10_000, "room")
	for room.PresenceCount() < 10_000 {
		runtime.Gosched()
	}
	for b.Loop() {
		p, err := room.Presence(b.Context())
		require.NoError(b, err)
		require.Len(b, p.Members, 10_000)
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/list")
}
