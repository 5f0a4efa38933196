package durableobject_test

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
)

// foyer is an object whose presence hooks are functions of the test.
type foyer struct {
	*durableobject.Object[message]
	joined, left, evicted func(channel string)
}

func (h *foyer) OnJoined(context.Context, durableobject.Member) { h.joined(h.Channel()) }
func (h *foyer) OnLeft(context.Context, durableobject.Member)   { h.left(h.Channel()) }
func (h *foyer) OnEvicted(context.Context)                      { h.evicted(h.Channel()) }

// foyerNode is a namespace of foyers.
type foyerNode struct {
	*fixture
	foyers *durableobject.Namespace[*foyer]
}

func newFoyerNode(t *testing.T, o durableobject.Options, like foyer) *foyerNode {
	t.Helper()
	o.Verifier = secret
	o.Presence = &durableobject.PresenceOptions{}
	for _, hook := range []*func(string){&like.joined, &like.left, &like.evicted} {
		if *hook == nil {
			*hook = func(string) {}
		}
	}
	n := &foyerNode{fixture: &fixture{t: t, hooks: &roomHooks{}}}
	n.foyers = durableobject.NewNamespace(func(_ context.Context, obj *durableobject.Object[message]) (*foyer, error) {
		h := like
		h.Object = obj
		return &h, nil
	}, &o)
	n.serve(durableobject.NewHandler(n.foyers, nil))
	return n
}

func (n *foyerNode) connectTo(channel, id string, opts ...tokenOption) *rawClient {
	n.t.Helper()
	c, err := n.dial(map[string][]string{"id": {id}, "token": {sign(n.t, channel, opts...)}})
	require.NoError(n.t, err)
	return c
}

func (n *foyerNode) end() {
	n.t.Helper()
	require.NoError(n.t, n.foyers.Shutdown(context.Background()))
	for _, end := range n.ended {
		end()
	}
}

// stuckIn returns a hook that blocks in one channel until release is called, and the number of all
// calls that have returned.
func stuckIn(channel string) (hook func(string), returned *atomic.Int32, release func()) {
	unblock := make(chan struct{})
	returned = &atomic.Int32{}
	return func(ch string) {
		if ch == channel {
			<-unblock
		}
		returned.Add(1)
	}, returned, func() { close(unblock) }
}

// A hook that blocks delays only the hooks of its own object.
func TestPresenceHookThatBlocks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		joined, returned, release := stuckIn("stuck")
		n := newFoyerNode(t, durableobject.Options{}, foyer{joined: joined})
		n.connectTo("stuck", "a")
		n.connectTo("stuck", "b")
		for i := range 10 {
			n.connectTo(fmt.Sprint("free ", i%3), fmt.Sprint("client ", i))
			synctest.Wait()
			require.EqualValues(t, i+1, returned.Load())
		}
		release()
		synctest.Wait()
		require.EqualValues(t, 12, returned.Load())
		n.end()
	})
}

// However many hooks are queued, they run on a limited number of goroutines.
func TestPresenceHooksAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var running, most, returned atomic.Int32
		n := newFoyerNode(t, durableobject.Options{}, foyer{joined: func(string) {
			if now := running.Add(1); now > most.Load() {
				most.Store(now)
			}
			time.Sleep(time.Second)
			running.Add(-1)
			returned.Add(1)
		}})
		for i := range 500 {
			n.connectTo(fmt.Sprint("room ", i), "a")
		}
		time.Sleep(time.Minute)
		require.EqualValues(t, 500, returned.Load())
		require.LessOrEqual(t, most.Load(), int32(65))
		require.Greater(t, most.Load(), int32(10))
		n.end()
	})
}

// Hooks that never return do not block the hooks of other objects after HookTimeout.
func TestPresenceHooksThatDoNotReturn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		unblock := make(chan struct{})
		var free atomic.Int32
		n := newFoyerNode(t, durableobject.Options{HookTimeout: time.Second}, foyer{joined: func(ch string) {
			if ch == "free" {
				free.Add(1)
			} else {
				<-unblock
			}
		}})
		for i := range 150 {
			n.connectTo(fmt.Sprint("stuck ", i), "a")
		}
		n.connectTo("free", "a")
		synctest.Wait()
		require.Zero(t, free.Load())
		time.Sleep(3 * time.Second)
		require.EqualValues(t, 1, free.Load())
		close(unblock)
		n.end()
	})
}

// A panic of a hook is logged with its stack, and the next hook is called.
func TestPresenceHookThatPanics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log logBook
		var calls atomic.Int32
		n := newFoyerNode(t, durableobject.Options{Logger: log.logger()}, foyer{joined: func(string) {
			if calls.Add(1) == 1 {
				panic("no seat left")
			}
		}})
		n.connectTo("room", "a")
		n.connectTo("room", "b")
		synctest.Wait()
		require.EqualValues(t, 2, calls.Load())
		n.end()
		log.has(t, "no seat left")
		log.has(t, "stack")
	})
}

// A hook may end its goroutine, as t.FailNow does. This used to end the process.
func TestPresenceHookThatEndsItsGoroutine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		n := newFoyerNode(t, durableobject.Options{}, foyer{joined: func(string) {
			if calls.Add(1) <= 2 {
				runtime.Goexit()
			}
		}})
		for i := range 4 {
			n.connectTo("room", strconv.Itoa(i))
		}
		synctest.Wait()
		require.EqualValues(t, 4, calls.Load())
		n.end()
	})
}
