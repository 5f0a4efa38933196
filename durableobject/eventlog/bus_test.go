package eventlog_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog/eventlogtest"
)

func TestMemoryBus(t *testing.T) {
	t.Parallel()
	eventlogtest.RunBus(t, eventlogtest.BusStore{Bubble: true, Open: func(*testing.T) eventlogtest.BusHandles {
		bus := eventlog.NewMemoryBus()
		return eventlogtest.BusHandles{Handle: func(*testing.T) eventlog.Bus { return bus }}
	}})
}

func TestSharedBus(t *testing.T) {
	t.Parallel()
	eventlogtest.RunBus(t, eventlogtest.BusStore{Bubble: true, Open: func(*testing.T) eventlogtest.BusHandles {
		bus := eventlogtest.NewSharedBus()
		return eventlogtest.BusHandles{
			Handle: func(t *testing.T) eventlog.Bus {
				t.Helper()
				h := bus.Open()
				t.Cleanup(func() { require.NoError(t, h.Close()) })
				return h
			},
			Cut: func(h eventlog.Bus, cut bool) { h.(*eventlogtest.BusHandle).Cut(cut) },
		}
	}})
}

// A listener that hangs takes a bounded part of the memory and blocks nothing.
func TestMemoryBusDropsForASlowListener(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ size, most int }{
		"many small":     {1, 4096},
		"few large ones": {64 << 10, 64},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				bus, free, got := eventlog.NewMemoryBus(), make(chan struct{}), 0
				stop, err := bus.Listen(t.Context(), "t", func([]byte) { <-free; got++ })
				require.NoError(t, err)
				require.NoError(t, bus.Broadcast(t.Context(), "t", nil))
				synctest.Wait() // the listener hangs in the first message
				for range 10_000 {
					require.NoError(t, bus.Broadcast(t.Context(), "t", make([]byte, test.size)))
				}
				close(free)
				synctest.Wait()
				require.Equal(t, 1+test.most, got)
				stop()
			})
		})
	}
}

func TestMemoryBusIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bus, value := eventlog.NewMemoryBus(), make([]byte, eventlog.MaxBusBytes)
		keep := func(i int) error { return bus.Keep(t.Context(), fmt.Sprint(i), value, time.Hour) }
		n := 0
		for ; keep(n) == nil; n++ {
			require.Less(t, n, 1024)
		}
		require.Greater(t, n, 1000)
		require.ErrorIs(t, keep(n), eventlog.ErrBusFull)
		require.NoError(t, keep(0), "in place of another")
		require.NoError(t, bus.Keep(t.Context(), "0", nil, 0))
		require.NoError(t, keep(n))
		time.Sleep(time.Hour)
		require.NoError(t, keep(n+1), "the others have expired")
	})
}

func TestBusOf(t *testing.T) {
	t.Parallel()
	require.Nil(t, eventlog.BusOf(nil))
	require.Nil(t, eventlog.BusOf(eventlog.NewMemory(nil)))
	require.Nil(t, eventlog.BusOf(eventlog.Prefix(eventlog.NewMemory(nil), "p/")))
	require.Nil(t, eventlog.PrefixBus(nil, "p/"))
	shared := eventlogtest.NewSharedMemory(nil)
	log := shared.Open()
	view := eventlog.Prefix(log, "p/")
	bus := eventlog.BusOf(view)
	require.NoError(t, bus.Keep(t.Context(), "k", nil, time.Hour))
	kept, err := eventlog.BusOf(log).Kept(t.Context(), "")
	require.NoError(t, err)
	require.Contains(t, kept, "p/k")
	require.NoError(t, view.Close())
	require.ErrorIs(t, bus.Broadcast(context.Background(), "t", nil), eventlog.ErrClosed)
	require.NoError(t, log.Close())
	_, err = log.Bus().Kept(t.Context(), "")
	require.ErrorIs(t, err, eventlog.ErrClosed)
}

// A bus that cannot report changes has no version, and neither has its view with a prefix.
func TestKeptVersionOfAnotherBus(t *testing.T) {
	t.Parallel()
	bus := struct{ eventlog.Bus }{eventlog.NewMemoryBus()}
	for _, b := range []eventlog.Bus{bus, eventlog.PrefixBus(bus, "p/")} {
		version, err := eventlog.KeptVersion(t.Context(), b)
		require.NoError(t, err)
		require.Zero(t, version)
	}
}
