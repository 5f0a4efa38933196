package durableobject_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/rpc"
)

func TestObjectsAreMadeOnceAndEvictedWhenIdle(t *testing.T) {
	o := keeping
	o.IdleTimeout = time.Minute
	bubble(t, o, func(t *testing.T, f *fixture) {
		var evicted []string
		f.hooks.evicted = func(channel string) { evicted = append(evicted, channel) }
		first := f.room("room")
		require.Same(t, first, f.room("room"))
		c := f.connect("a")
		c.subscribe()
		time.Sleep(10 * time.Minute)
		require.Same(t, first, f.room("room"), "a socket keeps it")
		c.drop()
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		require.Equal(t, []string{"room"}, evicted)

		// A handle that was kept, and the new object, publish to the same sockets.
		c = f.connect("a")
		c.subscribe()
		second := f.room("room")
		require.NotSame(t, first, second)
		require.NoError(t, first.PublishEvent(t.Context(), message{"old handle"}))
		require.NoError(t, second.PublishEvent(t.Context(), message{"new handle"}))
		c.sees("old handle", "new handle")
		require.Len(t, collect(first.Websockets()), 1)
	})
}

// Clients can resume after an object was evicted, because the log is not.
func TestResumeOverAnEviction(t *testing.T) {
	o := durableobject.Options{ResumeRetention: time.Hour, IdleTimeout: time.Minute}
	bubble(t, o, func(_ *testing.T, f *fixture) {
		c := f.connect("a")
		c.subscribe()
		f.publish("one")
		_, last := c.event()
		c.drop()
		f.publish("two")
		time.Sleep(10 * time.Minute)
		c = f.connect("a")
		c.subscribe(lastEventID(last))
		c.sees("two")
		f.publish("three")
		c.sees("three")
		c.seesNothing()
	})
}

func TestConcurrentUseOfManyChannels(t *testing.T) {
	o := keeping
	o.IdleTimeout = 20 * time.Millisecond
	bubble(t, o, func(t *testing.T, f *fixture) {
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				for j := range 50 {
					name := fmt.Sprint((i + j) % 20)
					r, err := f.rooms.Get(t.Context(), name)
					if err == nil {
						err = r.PublishEvent(t.Context(), message{name})
					}
					if err != nil || r.Channel() != name {
						t.Error(name, r.Channel(), err)
					}
					time.Sleep(time.Millisecond * time.Duration(j%3))
				}
			})
		}
		wg.Wait()
	})
}

func TestNewHubFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var reason error
		rooms := durableobject.NewNamespace(func(_ context.Context, o *durableobject.Object[message]) (*room, error) {
			switch {
			case reason == nil:
				return &room{Object: o, hooks: &roomHooks{}}, nil
			case reason.Error() == "panic":
				panic(reason)
			case reason.Error() == "not embedded":
				return &room{Object: &durableobject.Object[message]{}}, nil
			}
			return nil, reason
		}, &durableobject.Options{Verifier: secret})
		for _, why := range []string{"not today", "panic", "not embedded"} {
			reason = errors.New(why)
			_, err := rooms.Get(t.Context(), "room")
			require.Error(t, err, why)
		}
		reason = nil
		_, err := rooms.Get(t.Context(), "room")
		require.NoError(t, err, "the next user tries again")
		require.NoError(t, rooms.Shutdown(t.Context()))
	})
}

func TestPlainObject(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rooms := durableobject.NewNamespace(func(_ context.Context, o *durableobject.Object[int]) (*durableobject.Object[int], error) {
			return o, nil
		}, &durableobject.Options{Verifier: secret})
		o, err := rooms.Get(t.Context(), "numbers")
		require.NoError(t, err)
		require.Equal(t, "numbers", o.Channel())
		require.NoError(t, o.PublishEvent(t.Context(), 7))
		require.NoError(t, rooms.Shutdown(t.Context()))
	})
}

func TestShutdown(t *testing.T) {
	t.Run("closes sockets with 1012 and ends calls", func(t *testing.T) {
		bubble(t, keeping, func(t *testing.T, f *fixture) {
			c := f.connect("a")
			c.subscribe()
			c.send(`{"i":"2","p":{"u":"/call","b":{"json":{"path":["toolbox","hang"]}}}}`)
			synctest.Wait()
			f.publish("last words")
			f.rooms.Drain()
			c.sees("last words")
			require.Equal(t, 1012, int((<-c.closed).Code))
			_, err := f.rooms.Get(t.Context(), "new")
			require.ErrorIs(t, err, durableobject.ErrClosed)
			_, err = f.dial(url.Values{"id": {"b"}, "token": {sign(t, "new")}})
			require.ErrorContains(t, err, "503")
		})
	})
	t.Run("may be called again", func(t *testing.T) {
		bubble(t, keeping, func(t *testing.T, f *fixture) {
			require.NoError(t, f.rooms.Shutdown(t.Context()))
			require.NoError(t, f.rooms.Shutdown(t.Context()))
		})
	})
	t.Run("cuts off what does not end in time", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			f := newFixture(t, keeping, nil)
			c, _ := f.stalled("slow")
			c.send(subscribeFrame)
			synctest.Wait()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			err := f.rooms.Shutdown(ctx)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			require.ErrorContains(t, err, "1 sockets cut off")
			c.drop()
			f.ended[0]()
		})
	})
}

func TestHandlePanics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, durableobject.Options{}, nil)
		defer f.end()
		require.Panics(t, func() { durableobject.Handle(f.rooms, say, (*room).say) }, "taken")
		require.Panics(t, func() {
			streams := rpc.Define[*rpc.Events[int, rpc.Void], int]("streams")
			durableobject.Handle(f.rooms, streams, func(*room, context.Context, *durableobject.Websocket, *rpc.Events[int, rpc.Void]) (int, error) {
				return 0, nil
			})
		}, "its input is a stream")
		c := f.connect("a")
		c.send(`{"i":"1","p":{"u":"/call","b":{"json":{"path":["tell"],"input":{"text":""}}}}}`)
		c.next()
		require.Panics(t, func() { durableobject.Handle(f.rooms, hang, (*room).hang) }, "too late")
		require.Panics(t, func() {
			durableobject.NewNamespace(func(_ context.Context, o *durableobject.Object[int]) (*durableobject.Object[int], error) {
				return o, nil
			}, nil)
		}, "no verifier")
	})
}
