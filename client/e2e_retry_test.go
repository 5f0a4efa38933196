//go:build !js

package client_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/rpc"
)

// The server is restarted after a method has published its event, so the client gets no
// answer and repeats the call: the event is published once, unless it has no key.
func TestARetriedCallPublishesOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		key  func(ctx context.Context) string
		want []int
	}{
		"with the key of the call": {durableobject.CallKey, []int{1, 2}},
		"without":                  {func(context.Context) string { return "" }, []int{1, 1, 2}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := newBackend(t, durableobject.Options{ResumeRetention: time.Minute, Log: eventlog.NewMemory(nil)})
				var calls atomic.Int32
				once := rpc.Define[int, string]("publish")
				b.replace(once, func(r *room, ctx context.Context, _ *durableobject.Websocket, n int) (id string, err error) {
					err = r.PublishEvent(ctx, n, durableobject.WithIdempotencyKey(c.key(ctx)), durableobject.WithEventID(&id))
					if calls.Add(1) == 1 {
						<-ctx.Done()
					}
					return id, err
				})
				it := b.subscribe(listenInput{}, b.link())
				answered := make(chan string, 1)
				go func() {
					id, err := once.Call(t.Context(), it, 1, rpc.WithRetry(3))
					if err != nil {
						t.Error(err)
					}
					answered <- id
				}()
				synctest.Wait()
				require.Equal(t, int32(1), calls.Load())
				b.replace(once, func(r *room, ctx context.Context, _ *durableobject.Websocket, n int) (id string, err error) {
					err = r.PublishEvent(ctx, n, durableobject.WithIdempotencyKey(c.key(ctx)), durableobject.WithEventID(&id))
					return id, err
				})
				id := <-answered
				b.publish(2)
				var seen []string
				for e, err := range it.Events() {
					require.NoError(t, err)
					require.Equal(t, c.want[len(seen)], e.Data)
					seen = append(seen, e.Meta.ID)
					if len(seen) == len(c.want) {
						break
					}
				}
				require.Equal(t, seen[len(seen)-2], id)
			})
		})
	}
}

// replace replaces the server by another one, whose rooms have one method.
func (b *backend) replace(p rpc.Procedure[int, string], fn func(*room, context.Context, *durableobject.Websocket, int) (string, error)) {
	b.t.Helper()
	rooms := durableobject.NewNamespace(func(_ context.Context, o *durableobject.Object[int]) (*room, error) {
		return &room{Object: o}, nil
	}, &b.options)
	durableobject.Handle(rooms, p, fn)
	old := b.rooms.Swap(rooms)
	require.NoError(b.t, old.Shutdown(context.Background()))
}
