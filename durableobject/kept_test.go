package durableobject_test

import (
	"context"
	"encoding/json"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// countedBus counts how often its values are read.
type countedBus struct {
	*eventlog.MemoryBus
	reads atomic.Int32
}

func (b *countedBus) Kept(ctx context.Context, prefix string) (map[string][]byte, error) {
	b.reads.Add(1)
	return b.MemoryBus.Kept(ctx, prefix)
}

// keepRevoked keeps a revocation as a node does whose message is then lost.
func (b *countedBus) keepRevoked(t *testing.T, key string, who durableobject.Who) {
	t.Helper()
	value, err := json.Marshal(map[string]any{"who": who, "until": time.Now().Add(time.Hour)})
	require.NoError(t, err)
	require.NoError(t, b.Keep(t.Context(), "revoked/"+key, value, time.Hour))
}

// All revocations are read only after one has changed, and once a minute.
func TestKeptIsReadAfterAChange(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bus := &countedBus{MemoryBus: eventlog.NewMemoryBus()}
		f := newFixture(t, durableobject.Options{Bus: bus}, nil)
		defer f.end()
		require.True(t, f.accepts(401, "room", withTokenID("t1")))
		time.Sleep(10 * time.Minute)
		require.InDelta(t, 10, bus.reads.Load(), 1, "once a minute")
		for _, id := range []string{"t1", "t2", "t3"} {
			before := bus.reads.Load()
			bus.keepRevoked(t, id, durableobject.Who{TokenID: id})
			time.Sleep(2600 * time.Millisecond)
			require.False(t, f.accepts(401, "room", withTokenID(id)))
			require.LessOrEqual(t, bus.reads.Load()-before, int32(2), "a change, and perhaps the minute")
		}
	})
}

// While a revocation cannot be read, no client is accepted, even if the bus reports no changes.
// That ends when it expires.
func TestUnreadableRevocationIsReadAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bus := &countedBus{MemoryBus: eventlog.NewMemoryBus()}
		require.NoError(t, bus.Keep(t.Context(), "revoked/x", []byte("no JSON"), 30*time.Second))
		f := newFixture(t, durableobject.Options{Bus: bus}, nil)
		defer f.end()
		for range 4 {
			require.False(t, f.accepts(503, "room"))
			time.Sleep(5 * time.Second)
		}
		time.Sleep(15 * time.Second)
		require.True(t, f.accepts(503, "room"))
	})
}
