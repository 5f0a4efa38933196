package durableobject_test

import (
	"context"
	"net/url"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// oddBus is a bus whose methods call a function of the test.
type oddBus struct {
	eventlog.Bus
	in func(method string)
}

func (b *oddBus) Broadcast(ctx context.Context, topic string, data []byte) error {
	b.in("Broadcast")
	return b.Bus.Broadcast(ctx, topic, data)
}

func (b *oddBus) Listen(ctx context.Context, topic string, fn func([]byte)) (func(), error) {
	b.in("Listen")
	stop, err := b.Bus.Listen(ctx, topic, fn)
	return func() {
		b.in("stop")
		stop()
	}, err
}

func (b *oddBus) Keep(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	b.in("Keep")
	return b.Bus.Keep(ctx, key, value, ttl)
}

func (b *oddBus) Kept(ctx context.Context, prefix string) (map[string][]byte, error) {
	b.in("Kept")
	return b.Bus.Kept(ctx, prefix)
}

func (b *oddBus) KeptVersion(ctx context.Context) (uint64, error) {
	b.in("KeptVersion")
	return eventlog.KeptVersion(ctx, b.Bus)
}

// If a bus misbehaves once, when it is first used or later, some clients receive 503, and nothing
// else happens. Shutdown waits for calls that hang until its context ends, and its error names the
// bus.
func TestBusThatMisbehaves(t *testing.T) {
	t.Parallel()
	for how, do := range map[string]func(release chan struct{}){
		"panics":             func(chan struct{}) { panic("a bus of the test panics") },
		"ends its goroutine": func(chan struct{}) { runtime.Goexit() },
		"hangs":              func(release chan struct{}) { <-release },
	} {
		for _, method := range []string{"Broadcast", "Listen", "stop", "Keep", "Kept", "KeptVersion"} {
			for nth, when := range map[int64]string{1: "first", 3: "third"} {
				t.Run(method+" "+how+", "+when, func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						release := make(chan struct{})
						var calls atomic.Int64
						var hung atomic.Bool
						bus := &oddBus{Bus: eventlog.NewMemoryBus(), in: func(m string) {
							if m == method && calls.Add(1) == nth {
								hung.Store(how == "hangs")
								do(release)
							}
						}}
						testOddBus(t, bus, hung.Load, func() { close(release) })
					})
				})
			}
		}
	}
}

func testOddBus(t *testing.T, bus eventlog.Bus, hung func() bool, release func()) {
	t.Helper()
	f := newFixture(t, durableobject.Options{Bus: bus, Presence: &durableobject.PresenceOptions{}}, nil)
	visit := func() error {
		c, err := f.dial(url.Values{"id": {"a"}, "token": {sign(t, "room")}})
		if err == nil {
			synctest.Wait()
			c.drop()
		}
		return err
	}
	for range 4 {
		_ = visit()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		start := time.Now()
		_ = f.rooms.Revoke(ctx, durableobject.Who{Channel: "other"}, start.Add(time.Minute+time.Hour*time.Duration(start.Second())))
		_, _ = f.rooms.Disconnect(ctx, durableobject.Who{Channel: "other"}, 4000, "")
		require.LessOrEqual(t, time.Since(start), 5*time.Second)
		cancel()
		time.Sleep(10 * time.Second)
	}
	require.NoError(t, visit(), "the bus works again")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := f.rooms.Shutdown(ctx); hung() {
		require.ErrorContains(t, err, "Options.Bus (1)")
	} else {
		require.NoError(t, err)
	}
	release()
	f.end()
}
