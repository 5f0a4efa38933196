package durableobject_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/internal/memhttp"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// brokenReads is a log whose replays fail after their first record while broken is set.
type brokenReads struct {
	eventlog.Log
	broken atomic.Bool
}

func (l *brokenReads) After(ctx context.Context, channel string, p eventlog.Position) (eventlog.Replay, error) {
	replay, err := l.Log.After(ctx, channel, p)
	if err == nil && l.broken.Load() {
		replay.Records = oneThenError(replay.Records)
	}
	return replay, err
}

func oneThenError(records iter.Seq2[*eventlog.Record, error]) iter.Seq2[*eventlog.Record, error] {
	return func(yield func(*eventlog.Record, error) bool) {
		for rec, err := range records {
			if !yield(rec, err) {
				return
			}
			break
		}
		yield(nil, errors.New("the disk is broken"))
	}
}

// DI-103, corrected: the original ends a replay that fails silently. Here the socket is closed, so
// that the client reconnects and is sent the missing events.
func TestReplayThatFails(t *testing.T) {
	log := &brokenReads{}
	o := keeping
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log.Log = eventlog.NewMemory(nil)
		o.Log = log
		f := newFixture(t, o, nil)
		c := f.connect("a")
		c.subscribe()
		f.publish("one")
		_, id := c.event()
		c.drop()
		f.publish("two")
		f.publish("three")
		log.broken.Store(true)
		c = f.connect("a")
		c.subscribe(lastEventID(id))
		c.sees("two")
		require.Equal(t, 1011, int((<-c.closed).Code))
		log.broken.Store(false)
		c = f.connect("a")
		c.subscribe(lastEventID(id))
		c.sees("two", "three")
		f.end()
		require.NoError(t, log.Close())
	})
}

type celsius float64

// DI-137: events of types of the application are decoded as such, live and replayed.
func TestSerializersInStoredEvents(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		own := []value.Serializer{value.JSONSerializer(30,
			func(c celsius) (any, error) { return fmt.Sprint(float64(c)), nil },
			func(v any) (c celsius, err error) { _, err = fmt.Sscan(v.(string), &c); return c, err })}
		rooms := durableobject.NewNamespace(func(_ context.Context, o *durableobject.Object[celsius]) (*durableobject.Object[celsius], error) {
			return o, nil
		}, &durableobject.Options{Verifier: secret, ResumeRetention: time.Minute, Serializers: own})
		srv := memhttp.NewServer(durableobject.NewHandler(rooms, nil))
		it, err := client.Dial[celsius](t.Context(), client.StaticToken(sign(t, "room")), &client.Options{
			URL: srv.URL(), HTTPClient: srv.Client(), Serializers: own,
		})
		require.NoError(t, err)
		room, err := rooms.Get(t.Context(), "room")
		require.NoError(t, err)
		require.NoError(t, room.PublishEvent(t.Context(), 36.6))
		next := func() celsius {
			for c, err := range it.All() {
				require.NoError(t, err)
				return c
			}
			return 0
		}
		require.InDelta(t, 36.6, float64(next()), 0)
		srv.SetDown(true)
		srv.Cut()
		require.NoError(t, room.PublishEvent(t.Context(), -40))
		srv.SetDown(false)
		require.InDelta(t, -40, float64(next()), 0)
		require.NoError(t, it.Close())
		require.NoError(t, rooms.Shutdown(t.Context()))
		srv.Close()
	})
}
