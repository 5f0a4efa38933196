package durableobject_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog/eventlogtest"
)

// slowBus is a bus whose calls a test delays, and that counts its listeners.
type slowBus struct {
	eventlog.Bus
	listening, listened atomic.Int32
	listen              time.Duration
	kept                func(ctx context.Context) error // nil is at once
}

func (b *slowBus) Listen(ctx context.Context, topic string, fn func([]byte)) (func(), error) {
	b.listened.Add(1)
	time.Sleep(b.listen)
	stop, err := b.Bus.Listen(ctx, topic, fn)
	if err != nil {
		return nil, err
	}
	b.listening.Add(1)
	return func() {
		stop()
		b.listening.Add(-1)
	}, nil
}

func (b *slowBus) Kept(ctx context.Context, prefix string) (map[string][]byte, error) {
	if b.kept != nil {
		if err := b.kept(ctx); err != nil {
			return nil, err
		}
	}
	return b.Bus.Kept(ctx, prefix)
}

// after returns a function that waits for d or for the end of its context.
func after(d time.Duration) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// carrier is a log that has a bus.
type carrier struct {
	eventlog.Log
	bus eventlog.Bus
}

func (c carrier) Bus() eventlog.Bus { return c.bus }

// warns waits until all goroutines are idle, and requires a log line of level WARN with the text.
func (l *logBook) warns(t *testing.T, text string) {
	t.Helper()
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	require.Regexp(t, `level=WARN .*`+regexp.QuoteMeta(text), l.text.String())
}

// ask returns the status of a request to connect that cannot be upgraded.
func (f *fixture) ask(ctx context.Context) int {
	return f.handshakeFor(ctx, url.Values{"id": {"a"}, "token": {sign(f.t, "room")}}, nil).Code
}

// A client that disconnects while the revocations are being read does not affect other clients.
func TestRevocationsAreReadForAllClients(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bus := &slowBus{Bus: eventlog.NewMemoryBus(), kept: after(time.Second)}
		o := keeping
		o.Log = carrier{eventlog.NewMemory(nil), bus}
		f := newFixture(t, o, nil)
		ctx, cancel := context.WithCancel(t.Context())
		go f.ask(ctx)
		synctest.Wait()
		statuses := make(chan int, 10)
		for range cap(statuses) {
			go func() { statuses <- f.ask(t.Context()) }()
		}
		time.Sleep(10 * time.Millisecond)
		cancel()
		time.Sleep(time.Millisecond)
		require.NotEqual(t, http.StatusServiceUnavailable, f.ask(t.Context()))
		for range cap(statuses) {
			require.NotEqual(t, http.StatusServiceUnavailable, <-statuses)
		}
		f.end()
		require.NoError(t, o.Log.Close())
	})
}

// If the bus takes seconds to return the revocations, clients are accepted nevertheless. If it
// hangs, they are refused without waiting.
func TestRevocationsThatAreReadSlowly(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		kept    func(ctx context.Context, unblock <-chan struct{}) error
		refused bool
	}{
		"slow":  {func(ctx context.Context, _ <-chan struct{}) error { return after(4500 * time.Millisecond)(ctx) }, false},
		"never": {func(ctx context.Context, _ <-chan struct{}) error { return after(time.Hour)(ctx) }, true},
		"hangs": {func(_ context.Context, unblock <-chan struct{}) error { <-unblock; return nil }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				unblock := make(chan struct{})
				bus := &slowBus{Bus: eventlog.NewMemoryBus(), kept: func(ctx context.Context) error { return test.kept(ctx, unblock) }}
				f := newFixture(t, durableobject.Options{Bus: bus}, nil)
				for range 60 {
					begun := time.Now()
					status := f.ask(t.Context())
					require.Equal(t, test.refused, status == http.StatusServiceUnavailable, "status %d", status)
					require.LessOrEqual(t, time.Since(begun), 5*time.Second)
					time.Sleep(time.Second)
				}
				close(unblock)
				f.end()
			})
		})
	}
}

// A node starts one listener, however many calls need it at once, and none after Shutdown.
func TestNodeListensOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bus := &slowBus{Bus: eventlog.NewMemoryBus(), listen: 100 * time.Millisecond}
		f := newFixture(t, durableobject.Options{Bus: bus}, nil)
		for range 10 {
			go f.ask(t.Context())
			go func() { _, _ = f.rooms.Disconnect(t.Context(), durableobject.Who{ID: "x"}, 4000, "") }()
		}
		time.Sleep(time.Minute)
		require.EqualValues(t, 1, bus.listened.Load())
		f.end()
		require.EqualValues(t, 1, bus.listened.Load())
		require.Zero(t, bus.listening.Load(), "after Shutdown")
	})
}

// A bus that cannot be reached is reported at once.
func TestBusThatFailsIsLogged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var book logBook
		bus := &slowBus{Bus: eventlog.NewMemoryBus(), kept: func(context.Context) error { return eventlog.ErrUnavailable }}
		f := newFixture(t, durableobject.Options{Bus: bus, Logger: book.logger()}, nil)
		synctest.Wait()
		book.warns(t, "the bus cannot be reached")
		f.end()
	})
}

// withoutBus is a shared log that has no bus.
type withoutBus struct{ eventlog.Shared }

// Nodes that share a log without a bus do not act as one, and log a warning.
func TestSharedLogWithoutBus(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for name, test := range map[string]struct {
			bus    eventlog.Bus
			strip  bool
			warned bool
		}{
			"none":            {nil, true, true},
			"set":             {eventlog.NewMemoryBus(), true, false},
			"that of the log": {nil, false, false},
		} {
			var book logBook
			handle := eventlogtest.NewSharedMemory(nil).Open()
			o := keeping
			o.Bus, o.Log, o.Logger = test.bus, handle, book.logger()
			if test.strip {
				o.Log = withoutBus{handle}
			}
			f := newFixture(t, o, nil)
			if test.warned {
				book.warns(t, "the log is shared but has no bus")
			} else {
				synctest.Wait()
				require.NotContains(t, book.text.String(), "bus", name)
			}
			f.end()
			require.NoError(t, handle.Close())
		}
	})
}

// fixedBus always returns the same values until the test sets others.
type fixedBus struct {
	eventlog.Bus
	values atomic.Pointer[map[string][]byte]
	read   atomic.Int32
}

func newFixedBus(values map[string][]byte) *fixedBus {
	b := &fixedBus{Bus: eventlog.NewMemoryBus()}
	b.values.Store(&values)
	return b
}

func (b *fixedBus) Kept(context.Context, string) (map[string][]byte, error) {
	b.read.Add(1)
	return *b.values.Load(), nil
}

// Reading revocations again that have not changed costs little.
func TestRevocationsThatHaveNotChanged(t *testing.T) { //nolint:paralleltest // counts allocations
	const count = 10_000
	synctest.Test(t, func(t *testing.T) {
		values := map[string][]byte{}
		until := time.Now().Add(time.Hour)
		for i := range count {
			value, err := json.Marshal(map[string]any{"who": durableobject.Who{TokenID: fmt.Sprint("t", i)}, "until": until})
			require.NoError(t, err)
			values[fmt.Sprint("revoked/", i)] = value
		}
		bus := newFixedBus(values)
		f := newFixture(t, durableobject.Options{Bus: bus}, nil)
		synctest.Wait()
		require.False(t, f.accepts(401, "room", withTokenID("t17")))
		read := bus.read.Load()
		var before, now runtime.MemStats
		runtime.ReadMemStats(&before)
		time.Sleep(time.Minute)
		synctest.Wait()
		runtime.ReadMemStats(&now)
		require.Greater(t, bus.read.Load(), read+20)
		require.Less(t, now.Mallocs-before.Mallocs, uint64(count), "allocations of %d reads", bus.read.Load()-read)

		changed := maps.Clone(values)
		changed["revoked/17"] = []byte(`{"who":{"tokenID":"other"},"until":"` + until.Format(time.RFC3339) + `"}`)
		bus.values.Store(&changed)
		time.Sleep(3 * time.Second)
		require.False(t, f.accepts(401, "room", withTokenID("other")))
		f.end()
	})
}
