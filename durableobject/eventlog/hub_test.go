package eventlog_test

import (
	"context"
	"net/http/httptest"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog/filelog"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

const hubSecret = token.Secret("secret")

type hub struct{ *durableobject.Object[string] }

// newHubs returns a namespace with the log.
func newHubs(log eventlog.Log, retention time.Duration) *durableobject.Namespace[hub] {
	return durableobject.NewNamespace(func(_ context.Context, o *durableobject.Object[string]) (hub, error) {
		return hub{o}, nil
	}, &durableobject.Options{Verifier: hubSecret, ResumeRetention: retention, IdleTimeout: time.Minute, Log: log, TrimLog: true})
}

func onDisk(t *testing.T) *filelog.Log {
	t.Helper()
	log, err := filelog.Open(t.TempDir(), &filelog.Options{Sync: filelog.SyncNever})
	require.NoError(t, err)
	return log
}

// TestIdleChannelsBehindAHub publishes once in each of many channels and measures the
// memory that is left when their objects are evicted and, for a log in memory, their events
// dropped.
func TestIdleChannelsBehindAHub(t *testing.T) {
	const channels, bound = 100_000, 300
	const retention = time.Hour
	logs := map[string]struct {
		open func(t *testing.T) eventlog.Log
		idle time.Duration
	}{
		"memory": {
			func(*testing.T) eventlog.Log {
				return eventlog.NewMemory(&eventlog.MemoryOptions{Retention: retention})
			},
			2 * retention,
		},
		"disk": {func(t *testing.T) eventlog.Log { return onDisk(t) }, 5 * time.Minute},
	}
	for name, c := range logs {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				log := c.open(t)
				hubs := newHubs(log, retention)
				before := heap()
				for i := range channels {
					h, err := hubs.Get(t.Context(), "channel "+strconv.Itoa(i))
					require.NoError(t, err)
					require.NoError(t, h.PublishEvent(t.Context(), "hello"))
				}
				time.Sleep(c.idle)
				require.NoError(t, log.Trim(t.Context(), time.Time{}))
				held := (heap() - before) / channels
				t.Logf("%d bytes per channel", held)
				require.LessOrEqual(t, held, int64(bound))
				require.NoError(t, hubs.Shutdown(t.Context()))
				require.NoError(t, log.Close())
			})
		})
	}
}

// settledHeap is heap for a process in which others still allocate memory, which counts as
// in use. It waits until they have stopped.
func settledHeap() int64 {
	least := heap()
	for {
		again := heap()
		if again >= least {
			return least
		}
		least = again
	}
}

// TestResumeBehindAHub resumes over a long history on disk and measures the memory of the
// process, with both sides of the socket, all the time.
func TestResumeBehindAHub(t *testing.T) {
	const events, bound = 100_000, 8 << 20
	log := onDisk(t)
	hubs := newHubs(log, time.Hour)
	h, err := hubs.Get(t.Context(), "room")
	require.NoError(t, err)
	for range events {
		require.NoError(t, h.PublishEvent(t.Context(), string(make([]byte, 20))))
	}
	server := httptest.NewServer(durableobject.NewHandler(hubs, nil))
	text, err := hubSecret.Sign(t.Context(), &token.Payload{Channel: "room", ExpiresAt: time.Now().Add(time.Hour)})
	require.NoError(t, err)

	before, most := heap(), int64(0)
	it, err := client.Dial[string](t.Context(), client.StaticToken(text), &client.Options{URL: server.URL}, rpc.WithLastEventID("0"))
	require.NoError(t, err)
	n := 0
	for _, err := range it.All() {
		require.NoError(t, err)
		if n++; n%(events/10) == 0 {
			most = max(most, settledHeap())
		}
		if n == events {
			break
		}
	}
	t.Logf("%d bytes more", most-before)
	require.Less(t, most-before, int64(bound))
	require.NoError(t, it.Close())
	require.NoError(t, hubs.Shutdown(t.Context()))
	server.Close()
	require.NoError(t, log.Close())
}
