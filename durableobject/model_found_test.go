package durableobject_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/internal/memhttp"
)

// These are faults that the model has found, each with a test.

// If more than MaxLagBytes is published while a slow client is sent missed events, those events
// are read from the log too.
func TestSlowReplayWhileOthersPublish(t *testing.T) {
	o := keeping
	o.MaxLagBytes = 10_000
	bubble(t, o, func(_ *testing.T, f *fixture) {
		var want []string
		burst := func(n int) {
			for range n {
				text := fmt.Sprint(len(want), strings.Repeat("x", 1000))
				want = append(want, text)
				f.publish(text)
			}
		}
		burst(200) // more than is read from the log at once
		slow, read := f.stalled("slow")
		slow.send(`{"i":"1","p":{"u":"/subscribe","b":{},"h":{` + lastEventID("0") + `}}}`)
		synctest.Wait()
		burst(100)
		go read()
		slow.next()
		slow.sees(want...)
		burst(1)
		slow.sees(want[300])
		slow.seesNothing()
	})
}

// A client that has resumed keeps its last event id until it receives a later position, which must
// happen before that event is too old.
func TestCursorMovesAfterAResume(t *testing.T) {
	bubble(t, keeping, func(t *testing.T, f *fixture) {
		c := f.connect("a")
		c.subscribe()
		f.publish("seen")
		_, last := c.event()
		f.publish("for others", durableobject.WithTags("others"))
		c.drop()
		resume := func() *rawClient {
			c := f.connect("a")
			c.send(`{"i":"1","p":{"u":"/subscribe","b":{},"h":{` + extension + `,` + lastEventID(last) + `}}}`)
			require.Contains(t, c.next(), `"x-durable-iterator-resume":"complete"`)
			return c
		}
		c = resume()
		time.Sleep(2 * keeping.ResumeRetention)
		_, last = c.event()
		c.seesNothing()
		c.drop()
		resume()
	})
}

// A slow client that is missing events which are too old to be sent is closed, and does not
// receive a later position, even if the log still has them or the subscription began in an empty
// log.
func TestSlowClientIsNotLedPastWhatIsTooOld(t *testing.T) {
	for name, test := range map[string]struct {
		log  func() eventlog.Log
		last string
	}{
		"the log keeps it":           {func() eventlog.Log { return neverTrimmed{eventlog.NewMemory(nil)} }, ""},
		"after an unknown position":  {func() eventlog.Log { return nil }, "zzzzzzzzzzzzz-1"},
		"unknown, the log keeps it":  {func() eventlog.Log { return neverTrimmed{eventlog.NewMemory(nil)} }, "zzzzzzzzzzzzz-1"},
		"after the very first point": {func() eventlog.Log { return nil }, "0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o := durableobject.Options{ResumeRetention: 10 * time.Second, MaxLagBytes: 1000, StallTimeout: time.Minute, Log: test.log()}
				f := newFixture(t, o, nil)
				slow, read := f.stalled("slow")
				slow.send(`{"i":"1","p":{"u":"/subscribe","b":{},"h":{` + lastEventID(test.last) + `}}}`)
				synctest.Wait()
				for range 2 {
					for range 100 {
						f.publish(strings.Repeat("x", 2000))
					}
					time.Sleep(11 * time.Second)
				}
				go read()
				require.Equal(t, 1013, int((<-slow.closed).Code))
				f.end()
				if o.Log != nil {
					require.NoError(t, o.Log.Close())
				}
			})
		})
	}
}

// A slow client that began at an unknown position in an empty log continues from the log like any
// other.
func TestSlowClientAfterAnUnknownPosition(t *testing.T) {
	o := keeping
	o.MaxLagBytes = 1000
	bubble(t, o, func(_ *testing.T, f *fixture) {
		slow, read := f.stalled("slow")
		slow.send(`{"i":"1","p":{"u":"/subscribe","b":{},"h":{` + lastEventID("zzzzzzzzzzzzz-1") + `}}}`)
		synctest.Wait()
		var want []string
		for i := range 100 {
			want = append(want, fmt.Sprint(i, strings.Repeat("x", 500)))
			f.publish(want[i])
		}
		go read()
		slow.next()
		slow.sees(want...)
		slow.seesNothing()
	})
}

// A client that has missed nothing is not closed as too slow if the log forgets the channel,
// because all its events have expired, before the client has read the answer.
func TestSlowClientThatHasMissedNothing(t *testing.T) {
	bubble(t, keeping, func(t *testing.T, f *fixture) {
		c := f.connect("a")
		c.subscribe()
		f.publish("seen")
		_, last := c.event()
		c.drop()
		publish := func(channel string) {
			require.NoError(t, f.room(channel).PublishEvent(t.Context(), message{}))
		}
		publish("one that is forgotten, too")
		time.Sleep(keeping.ResumeRetention - time.Second)
		c, read := f.stalled("a")
		c.send(`{"i":"1","p":{"u":"/subscribe","b":{},"h":{` + lastEventID(last) + `}}}`)
		synctest.Wait()
		time.Sleep(2 * time.Second)
		publish("one that makes room")
		go read()
		require.Contains(t, c.next(), "event-stream")
		f.publish("live")
		c.sees("live")
	})
}

// waiter is an object whose first OnSubscribed waits for the end of its context, and then sends an
// event.
type waiter struct {
	*durableobject.Object[message]
	first sync.Once
	sent  chan error
}

func (w *waiter) OnSubscribed(ctx context.Context, ws *durableobject.Websocket, _ durableobject.Resume) (err error) {
	w.first.Do(func() {
		<-ctx.Done()
		w.sent <- ws.Send(ctx, message{"late"})
		err = ctx.Err()
	})
	return err
}

// The context of OnSubscribed ends with its subscription. Events that it sends after that do not
// reach the next subscription.
func TestHookEndsWithItsSubscription(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]string{
		"aborted":  `{"i":"1","t":4}`,
		"replaced": `{"i":"2","p":{"u":"/subscribe","b":{}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				sent := make(chan error, 1)
				waiters := durableobject.NewNamespace(func(_ context.Context, o *durableobject.Object[message]) (*waiter, error) {
					return &waiter{Object: o, sent: sent}, nil
				}, &durableobject.Options{Verifier: secret, HookTimeout: time.Hour})
				srv := memhttp.NewServer(durableobject.NewHandler(waiters, nil))
				c := (&fixture{t: t, http: srv.Client()}).connect("a")
				c.subscribe()
				start := time.Now()
				c.send(end)
				require.ErrorIs(t, <-sent, context.Canceled)
				require.Zero(t, time.Since(start))
				synctest.Wait()
				for len(c.frames) > 0 {
					require.NotContains(t, c.next(), "late")
				}
				require.Empty(t, c.closed, "the socket lives on")
				require.NoError(t, waiters.Shutdown(t.Context()))
				srv.Close()
			})
		})
	}
}
