package durableobject_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/rpc"
)

var stuck = rpc.DefineIn[rpc.Void, rpc.Void](toolbox, "stuck")

// If code of the application does not return, Shutdown returns when its context ends, and its
// error names that code.
func TestShutdownLeavesBehindWhatIsStuck(t *testing.T) {
	t.Parallel()
	call := func(f *fixture, path string) {
		f.connect("a").send(`{"i":"9","p":{"u":"/call","b":{"json":{"path":[` + path + `]}}}}`)
	}
	for name, test := range map[string]struct {
		options func(wait func()) durableobject.Options
		hooks   func(h *roomHooks, wait func())
		begin   func(t *testing.T, f *fixture)
		left    string
	}{
		"a method": {
			begin: func(_ *testing.T, f *fixture) { call(f, `"toolbox","stuck"`) },
			left:  `1 calls and hooks: toolbox.stuck of "room" (1)`,
		},
		"a method of two sockets": {
			begin: func(_ *testing.T, f *fixture) { call(f, `"toolbox","stuck"`); call(f, `"toolbox","stuck"`) },
			left:  `2 calls and hooks: toolbox.stuck of "room" (2)`,
		},
		"an interceptor": {
			options: func(wait func()) durableobject.Options {
				return durableobject.Options{Interceptors: []rpc.Interceptor{rpc.OnStart(func(context.Context, *rpc.Call) { wait() })}}
			},
			begin: func(_ *testing.T, f *fixture) { f.connect("a").send(subscribeFrame) },
			left:  `1 calls and hooks: subscribe of "room" (1)`,
		},
		"OnSubscribed": {
			hooks: func(h *roomHooks, wait func()) {
				h.subscribed = func(*room, *durableobject.Websocket, durableobject.Resume) error { wait(); return nil }
			},
			begin: func(_ *testing.T, f *fixture) { f.connect("a").subscribe() },
			left:  `1 calls and hooks: OnSubscribed of "room" (1)`,
		},
		"OnDisconnected": {
			hooks: func(h *roomHooks, wait func()) { h.disconnected = func(*durableobject.Websocket) { wait() } },
			begin: func(_ *testing.T, f *fixture) { f.connect("a").drop() },
			left:  `1 calls and hooks: OnDisconnected of "room" (1)`,
		},
		"newHub": {
			hooks: func(h *roomHooks, wait func()) { h.made = func(string) { wait() } },
			begin: func(t *testing.T, f *fixture) { go func() { _, _ = f.rooms.Get(t.Context(), "room") }() },
			left:  `1 calls and hooks: newHub of "room" (1)`,
		},
		"OnEvicted of one object": {
			hooks: func(h *roomHooks, wait func()) {
				h.evicted = func(channel string) {
					if channel == "room" {
						wait()
					}
				}
			},
			begin: func(_ *testing.T, f *fixture) { f.room("room"); f.room("other") },
			left:  `1 calls and hooks: OnEvicted of "room" (1)`,
		},
		"OnEvicted of many objects": {
			hooks: func(h *roomHooks, wait func()) { h.evicted = func(string) { wait() } },
			begin: func(_ *testing.T, f *fixture) {
				for i := range 13 {
					f.room(fmt.Sprintf("%02d", i))
				}
			},
			left: `(1), OnEvicted of "09" (1), and 3 other kinds`,
		},
		"the logger": {
			options: func(wait func()) durableobject.Options {
				return durableobject.Options{HookTimeout: time.Hour, Logger: (&logBook{written: wait}).logger()}
			},
			hooks: func(h *roomHooks, _ func()) { h.evicted = func(string) { panic("it is logged") } },
			begin: func(_ *testing.T, f *fixture) { f.room("room") },
			left:  "nothing of the application",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				release := make(chan struct{})
				wait := func() { <-release }
				var o durableobject.Options
				if test.options != nil {
					o = test.options(wait)
				}
				f := newFixture(t, o, nil)
				durableobject.Handle(f.rooms, stuck, func(*room, context.Context, *durableobject.Websocket, rpc.Void) (rpc.Void, error) {
					wait()
					return rpc.Void{}, nil
				})
				if test.hooks != nil {
					test.hooks(f.hooks, wait)
				}
				test.begin(t, f)
				synctest.Wait()
				start := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				defer cancel()
				err := f.rooms.Shutdown(ctx)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.ErrorContains(t, err, test.left)
				require.Equal(t, 2*time.Second, time.Since(start))
				close(release)
				f.end() // waits for what was left
			})
		})
	}
}

// OnEvicted of an object is called at Shutdown even if another object is stuck.
func TestOnEvictedAtShutdown(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		stuck bool
		after map[string]time.Duration // when each object is evicted
	}{
		"all return":   {false, map[string]time.Duration{"room": 0, "other": 0}},
		"one does not": {true, map[string]time.Duration{"room": 8 * time.Second, "other": 4 * time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t, durableobject.Options{HookTimeout: time.Minute}, nil)
				release := make(chan struct{})
				durableobject.Handle(f.rooms, stuck, func(*room, context.Context, *durableobject.Websocket, rpc.Void) (rpc.Void, error) {
					if test.stuck {
						<-release
					}
					return rpc.Void{}, nil
				})
				start := time.Now()
				ended := make(map[string]time.Duration)
				f.hooks.context = func(ctx context.Context) {
					deadline, _ := ctx.Deadline()
					if deadline.IsZero() { // of OnDisconnected
						return
					}
					require.NoError(t, ctx.Err())
					require.Equal(t, time.Minute, time.Until(deadline))
				}
				var mu sync.Mutex
				f.hooks.evicted = func(channel string) {
					mu.Lock()
					defer mu.Unlock()
					ended[channel] = time.Since(start)
				}
				f.connect("a").send(`{"i":"9","p":{"u":"/call","b":{"json":{"path":["toolbox","stuck"]}}}}`)
				f.room("other")
				synctest.Wait()
				ctx, cancel := context.WithTimeout(t.Context(), 8*time.Second)
				defer cancel()
				err := f.rooms.Shutdown(ctx)
				require.Equal(t, test.stuck, err != nil, "%v", err)
				synctest.Wait()
				require.Equal(t, test.after, ended)
				close(release)
				f.end()
			})
		})
	}
}

// An object that is being created while the namespace shuts down is evicted too.
func TestShutdownWaitsForNewHub(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, durableobject.Options{}, nil)
		var evicted atomic.Int64
		f.hooks.made = func(string) { time.Sleep(10 * time.Second) }
		f.hooks.evicted = func(string) { evicted.Add(1) }
		go func() { _, _ = f.rooms.Get(t.Context(), "room") }()
		synctest.Wait()
		start := time.Now()
		f.end()
		require.Equal(t, 10*time.Second, time.Since(start))
		require.EqualValues(t, 1, evicted.Load())
	})
}

// An OnEvicted that hangs delays neither other evictions nor other tasks.
func TestOnEvictedHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, durableobject.Options{
			ResumeRetention: time.Minute, IdleTimeout: 10 * time.Second, HookTimeout: 5 * time.Second,
		}, nil)
		var evicted, hung atomic.Int64
		f.hooks.evicted = func(string) { evicted.Add(1) }
		f.hooks.context = func(ctx context.Context) {
			if deadline, ok := ctx.Deadline(); ok && hung.CompareAndSwap(0, int64(time.Until(deadline))) {
				<-ctx.Done()
			}
		}
		f.room("hangs")
		time.Sleep(5 * time.Second)
		for i := range 10 {
			f.room(fmt.Sprint(i))
		}
		quiet := f.connect("quiet")
		quiet.subscribe(extension)
		time.Sleep(16 * time.Second)
		synctest.Wait()
		require.EqualValues(t, 1+10, evicted.Load())
		require.EqualValues(t, 5*time.Second, hung.Load())
		require.NoError(t, f.room("other").PublishEvent(t.Context(), message{"x"}))
		time.Sleep(time.Minute)
		require.Contains(t, quiet.next(), `"m":{"id":`, "its cursor has moved")
		quiet.drop()
		f.end()
	})
}
