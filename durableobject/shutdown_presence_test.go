package durableobject_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// If an OnLeft does not return, objects are evicted nevertheless when the context of Shutdown
// ends.
func TestShutdownWhileAPresenceHookHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		left, _, release := stuckIn("stuck")
		var evicted atomic.Int32
		n := newFoyerNode(t, durableobject.Options{}, foyer{left: left, evicted: func(string) { evicted.Add(1) }})
		for _, channel := range []string{"stuck", "free"} {
			n.connectTo(channel, "a")
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		go func() {
			time.Sleep(6 * time.Second)
			if evicted.Load() != 1 {
				t.Error("the object whose hooks have returned is not evicted halfway to the deadline")
			}
		}()
		require.ErrorContains(t, n.foyers.Shutdown(ctx), `OnLeft of "stuck" (1)`)
		synctest.Wait()
		require.EqualValues(t, 2, evicted.Load())
		release()
		n.end()
	})
}

// hangingBus is a bus whose Broadcast, once it hangs, returns when the context of its caller ends
// or, if it is deaf, never.
type hangingBus struct {
	eventlog.Bus
	hangs   atomic.Bool
	release chan struct{} // nil if it listens to the context
}

func (b *hangingBus) Broadcast(ctx context.Context, topic string, data []byte) error {
	if !b.hangs.Load() {
		return b.Bus.Broadcast(ctx, topic, data)
	}
	select {
	case <-b.release:
		return eventlog.ErrUnavailable
	case <-orNever(ctx, b.release == nil):
		return errors.Join(eventlog.ErrUnavailable, ctx.Err())
	}
}

func orNever(ctx context.Context, listens bool) <-chan struct{} {
	if listens {
		return ctx.Done()
	}
	return nil
}

// A bus that hangs delays Shutdown by a few seconds in all, however much there is to send.
func TestShutdownWithABusThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bus := &hangingBus{Bus: eventlog.NewMemoryBus()}
		var log logBook
		n := newFoyerNode(t, durableobject.Options{Bus: bus, Logger: log.logger()}, foyer{})
		for i := range 600 {
			n.connectTo("room", fmt.Sprint("client ", i), withAtt(`"`+strings.Repeat("x", 400)+`"`))
		}
		time.Sleep(time.Minute)
		bus.hangs.Store(true)
		begun := time.Now()
		n.end()
		require.Less(t, time.Since(begun), 10*time.Second)
		log.mu.Lock()
		defer log.mu.Unlock()
		require.Less(t, strings.Count(log.text.String(), "presence not sent"), 5)
	})
}

// The error of Shutdown names a bus that does not return, and the objects are evicted
// nevertheless.
func TestShutdownWithABusThatDoesNotReturn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bus := &hangingBus{Bus: eventlog.NewMemoryBus(), release: make(chan struct{})}
		var evicted atomic.Int32
		n := newFoyerNode(t, durableobject.Options{Bus: bus}, foyer{evicted: func(string) { evicted.Add(1) }})
		n.connectTo("room", "a")
		time.Sleep(time.Minute)
		bus.hangs.Store(true)
		n.connectTo("room", "b")
		synctest.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.ErrorContains(t, n.foyers.Shutdown(ctx), "calls and hooks: Options.Bus (")
		synctest.Wait()
		require.EqualValues(t, 1, evicted.Load())
		close(bus.release)
		n.end()
	})
}

// Shutdown stops the timers of presence, so that nothing of the namespace stays in memory.
func TestShutdownStopsTheTimersOfPresence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		n := newFoyerNode(t, durableobject.Options{Bus: eventlog.NewMemoryBus()}, foyer{})
		c := n.connectTo("room", "a")
		c.drop()
		n.end()
		require.Less(t, time.Since(begun), time.Second)
		require.Zero(t, durableobject.PresenceTimers(n.foyers))
	})
}
