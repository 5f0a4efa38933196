//go:build !js

package client_test

import (
	"context"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/internal/memhttp"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

// herd is a large number of clients of one server.
type herd struct {
	server  *memhttp.Server
	fetches atomic.Int32
	live    atomic.Int32

	mu       sync.Mutex
	arrivals []time.Time
	refusals int // of tokens, by the server
}

const herdSize = 1000

// startHerd connects the clients. Their tokens are valid for life.
func startHerd(t *testing.T, life time.Duration) *herd {
	rooms := durableobject.NewNamespace(func(_ context.Context, o *durableobject.Object[int]) (*durableobject.Object[int], error) {
		return o, nil
	}, &durableobject.Options{Verifier: secret, ResumeRetention: time.Minute, PingInterval: -1})
	t.Cleanup(func() { require.NoError(t, rooms.Shutdown(context.Background())) })
	h := &herd{}
	upgrade := durableobject.NewHandler(rooms, nil)
	h.server = memhttp.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.arrive()
		upgrade.ServeHTTP(w, r)
	}))
	t.Cleanup(h.server.Close)
	random := rand.New(rand.NewPCG(1, 2))
	var dialing sync.WaitGroup
	for range herdSize {
		source := client.TokenFunc(func(ctx context.Context) (string, error) {
			h.fetches.Add(1)
			now := time.Now()
			return secret.Sign(ctx, &token.Payload{Channel: "room", IssuedAt: now, ExpiresAt: now.Add(life)})
		})
		own := rand.New(rand.NewPCG(random.Uint64(), 0))
		o := &client.Options{
			URL: "ws://memory/", HTTPClient: h.server.Client(), PingInterval: -1,
			Backoff:       client.Spread(own.Float64),
			OnStateChange: h.watch(),
		}
		dialing.Go(func() {
			it, err := client.Dial[int](t.Context(), source, o)
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(func() { _ = it.Close() })
		})
	}
	dialing.Wait()
	require.EqualValues(t, herdSize, h.live.Load())
	return h
}

func (h *herd) arrive() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.arrivals = append(h.arrivals, time.Now())
}

// watch returns a function that counts the states of one client.
func (h *herd) watch() func(s client.State, err error) {
	was := client.StateClosed
	return func(s client.State, err error) {
		if was == client.StateLive {
			h.live.Add(-1)
		}
		if was = s; s == client.StateLive {
			h.live.Add(1)
		}
		if rpc.CodeOf(err) == rpc.CodeUnauthorized || websocket.CloseStatus(err) == websocket.StatusPolicyViolation {
			h.mu.Lock()
			h.refusals++
			h.mu.Unlock()
		}
	}
}

// away makes the server unreachable for d, and returns the time at which it was back.
func (h *herd) away(d time.Duration) time.Time {
	h.server.SetDown(true)
	h.server.Cut()
	time.Sleep(d)
	h.mu.Lock()
	h.arrivals = nil
	h.mu.Unlock()
	h.server.SetDown(false)
	return time.Now()
}

// A thousand clients whose server was away for 5 s do not reconnect at the same time, but
// all of them within half of that time.
func TestHerd(t *testing.T) {
	const outage, bin = 5 * time.Second, 100 * time.Millisecond
	const window = outage / 2
	synctest.Test(t, func(t *testing.T) {
		h := startHerd(t, time.Hour)
		begin := h.away(outage)
		time.Sleep(window)
		synctest.Wait()
		require.EqualValues(t, herdSize, h.live.Load(), "all are back")
		require.Len(t, h.arrivals, herdSize, "at the first attempt that can succeed")
		var bins [window / bin]int
		for _, at := range h.arrivals {
			bins[at.Sub(begin)/bin]++
		}
		t.Log(bins)
		require.LessOrEqual(t, slices.Max(bins[:]), 2*herdSize/len(bins), "peak against twice the mean")
		require.EqualValues(t, herdSize, h.fetches.Load(), "the tokens are still good")
	})
}

// A token is fetched once in each lifetime, and once for each refusal.
func TestHerdFetchesTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := startHerd(t, 4*time.Second)
		h.away(5 * time.Second)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		require.GreaterOrEqual(t, h.refusals, 2*herdSize, "on the way back, and when the next ones had expired")
		require.GreaterOrEqual(t, int(h.fetches.Load()), 2*herdSize)
		require.LessOrEqual(t, int(h.fetches.Load()), herdSize+h.refusals)
	})
}
