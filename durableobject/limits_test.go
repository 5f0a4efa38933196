package durableobject_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
)

const hangFrame = `{"i":%d,"p":{"u":"/call","b":{"json":{"path":["toolbox","hang"]}}}}`

// Calls beyond MaxCalls wait. Meanwhile aborts and new tokens are processed, events are sent, and
// the socket can subscribe again.
func TestCallsBeyondTheLimitWait(t *testing.T) {
	bubble(t, durableobject.Options{}, func(t *testing.T, f *fixture) {
		c := f.connect("a", withLife(time.Minute))
		c.subscribe()
		const calls = 500
		for i := range calls {
			c.send(fmt.Sprintf(hangFrame, i))
		}
		c.send(fmt.Sprintf(tellFrame, calls, "x"))
		c.send(`{"i":"u","p":{"u":"/updateToken","b":{"json":{"token":` + quote(sign(t, "room")) + `}}}}`)
		require.JSONEq(t, `{"i":"u","p":{"b":{}}}`, c.next())
		f.publish("live")
		c.sees("live")
		c.send(`{"i":"again","p":{"u":"/subscribe","b":{}}}`)
		require.Contains(t, c.next(), `"i":"again"`)
		require.Contains(t, c.next(), `"e":"done"`)
		time.Sleep(time.Hour)
		c.seesNothing()
		for i := range calls {
			c.send(fmt.Sprintf(`{"i":%d,"t":4}`, i))
		}
		require.Contains(t, c.next(), `{"text":"x"}`)
		require.Contains(t, c.next(), `"told x"`)
		c.seesNothing()
	})
}

// The size of the messages of calls that wait or run is limited. Beyond the limit the socket is
// not read, and the client's silence does not count.
func TestPendingBytes(t *testing.T) {
	bubble(t, durableobject.Options{MaxPendingBytes: 50_000, MaxCalls: 2}, func(t *testing.T, f *fixture) {
		c := f.connect("a")
		padded := strings.Replace(fmt.Sprintf(hangFrame, 0), `"p":{`, `"p":{"pad":"`+strings.Repeat("x", 10_000)+`",`, 1)
		sent := make(chan int, 100)
		go func() {
			for i := range 10 {
				frame := strings.Replace(padded, `"i":0`, fmt.Sprintf(`"i":%d`, i), 1)
				if c.ws.Write(context.Background(), websocket.MessageText, []byte(frame)) != nil {
					return
				}
				sent <- i
			}
		}()
		time.Sleep(time.Hour)
		require.Len(t, sent, 5, "four are held, and the reader has one")
		require.Len(t, collect(f.room("room").Websockets()), 1)
		c.drop()
	})
}

func TestMaxStreams(t *testing.T) {
	bubble(t, durableobject.Options{MaxStreams: 2, MaxCalls: 1, MaxLagBytes: 1000}, func(t *testing.T, f *fixture) {
		f.hooks.streamEnded = func(int) {}
		c, read := f.stalled("a")
		for _, id := range []string{"1", "2", "3"} {
			c.send(callStream(id, `{"events":0,"size":500}`))
			synctest.Wait()
		}
		go read()
		for refused := false; !refused; {
			frame := c.next()
			if refused = strings.HasPrefix(frame, `{"i":"3"`); refused {
				require.Contains(t, frame, `"s":429`)
				require.Contains(t, frame, `"code":"TOO_MANY_REQUESTS"`)
			}
		}
		c.send(subscribeFrame[:6] + "s" + subscribeFrame[7:])
		for frame := ""; !strings.HasPrefix(frame, `{"i":"s"`); {
			frame = c.next()
			require.NotContains(t, frame, "429", "a subscription is let in")
		}
		c.drop()
	})
}

// One hook of a socket runs at a time. Of the subscriptions that are made while it runs, only the
// hook of the newest one is called.
func TestHooksOfOneSocketRunOneAtATime(t *testing.T) {
	bubble(t, keeping, func(t *testing.T, f *fixture) {
		var running, most int
		var called []string
		release := make(chan struct{})
		f.hooks.subscribed = func(_ *room, ws *durableobject.Websocket, res durableobject.Resume) error {
			running++
			most = max(most, running)
			called = append(called, res.LastEventID)
			<-release // whatever becomes of its context
			running--
			return ws.Send(context.Background(), message{"hook " + res.LastEventID})
		}
		c := f.connect("a")
		for i := range 1000 {
			c.send(fmt.Sprintf(`{"i":%d,"p":{"u":"/subscribe","h":{%s}}}`, i, lastEventID(fmt.Sprintf("zzz-%d", i))))
		}
		synctest.Wait()
		require.Equal(t, []string{"zzz-0"}, called)
		release <- struct{}{}
		synctest.Wait()
		require.Equal(t, []string{"zzz-0", "zzz-999"}, called)
		f.publish("live")
		close(release)
		synctest.Wait()
		require.Equal(t, 1, most)
		require.Len(t, called, 2)
		for range 1000 + 999 {
			require.NotContains(t, c.next(), `"message"`)
		}
		c.sees("hook zzz-0", "hook zzz-999", "live")
	})
}

// A hook that hangs also delays the events of a later subscription by HookTimeout, counted from
// the time of that subscription, so that its own hook can still run before its events.
func TestHookThatHangsDelaysTheNextOne(t *testing.T) {
	const timeout = durableobject.DefaultHookTimeout
	for name, test := range map[string]struct {
		later   time.Duration // the second subscription
		returns time.Duration // of the first hook, after the second subscription
		want    time.Duration // when the event comes, after the second subscription
		see     []string
	}{
		"at once":                       {0, time.Hour, timeout, []string{"live"}},
		"later":                         {timeout / 2, time.Hour, timeout, []string{"live"}},
		"when the first is late":        {2 * timeout, time.Hour, timeout, []string{"live"}},
		"returns after its own timeout": {timeout / 2, timeout * 3 / 4, timeout * 3 / 4, []string{"snapshot", "live"}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, keeping, func(t *testing.T, f *fixture) {
				hooks, release := 0, make(chan struct{})
				defer close(release)
				f.hooks.subscribed = func(_ *room, ws *durableobject.Websocket, _ durableobject.Resume) error {
					if hooks++; hooks == 1 {
						select {
						case <-time.After(test.later + test.returns):
						case <-release:
						}
						return nil
					}
					return ws.Send(t.Context(), message{"snapshot"})
				}
				c := f.connect("a")
				c.subscribe()
				time.Sleep(test.later)
				synctest.Wait()
				c.send(`{"i":"2","p":{"u":"/subscribe"}}`)
				c.next()
				c.next()
				f.publish("live")
				start := time.Now()
				for i, want := range test.see {
					c.sees(want)
					if i == 0 {
						require.Equal(t, test.want, time.Since(start))
					}
				}
			})
		})
	}
}

func TestSubscribeTakesAPostOfJSON(t *testing.T) {
	for name, test := range map[string]struct{ request, want string }{
		"get":             {`"m":"GET"`, `"s":405`},
		"put":             {`"m":"PUT"`, `"s":405`},
		"event stream":    {`"h":{"content-type":"text/event-stream"}`, `"s":415`},
		"get of a stream": {`"m":"GET","h":{"content-type":"text/event-stream"}`, `"s":405`},
		"url-encoded":     {`"h":{"content-type":"application/x-www-form-urlencoded"}`, `"s":415`},
		"file":            {`"h":{"content-disposition":"inline"}`, `"s":415`},
		"text":            {`"h":{"content-type":"text/plain"}`, `"s":415`},
		"json and more":   {`"h":{"content-type":"application/json-seq"}`, `"s":415`},
		"json":            {`"h":{"content-type":"application/json"},"b":{}`, `"content-type":"text/event-stream"`},
		"json, in UTF-8":  {`"h":{"content-type":"application/JSON ; charset=utf-8"}`, `"content-type":"text/event-stream"`},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, durableobject.Options{}, func(t *testing.T, f *fixture) {
				c := f.connect("a")
				c.send(`{"i":"1","p":{"u":"/subscribe",` + test.request + `}}`)
				require.Contains(t, c.next(), test.want)
			})
		})
	}
}

// Send waits until the client reads, until its context ends, or until the socket closes. It holds
// no lock meanwhile.
func TestSendWaitsForRoom(t *testing.T) {
	const sends, fit = 10, 2 // one waits, and perhaps one is being written
	for name, test := range map[string]struct {
		timeout time.Duration
		reads   bool
		err     error
	}{
		"the client reads":  {time.Hour, true, nil},
		"the context ends":  {time.Second, false, context.DeadlineExceeded},
		"the socket closes": {time.Hour, false, durableobject.ErrNotSubscribed},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, durableobject.Options{MaxLagBytes: 20_000}, func(t *testing.T, f *fixture) {
				sent, done := 0, make(chan error, 1)
				f.hooks.subscribed = func(_ *room, ws *durableobject.Websocket, _ durableobject.Resume) error {
					ctx, cancel := context.WithTimeout(context.Background(), test.timeout)
					defer cancel()
					for range sends {
						if err := ws.Send(ctx, message{strings.Repeat("x", 9000)}); err != nil {
							done <- err
							return nil
						}
						sent++
					}
					done <- nil
					return nil
				}
				c, read := f.stalled("a")
				c.send(subscribeFrame)
				synctest.Wait()
				require.LessOrEqual(t, sent, fit)
				require.Equal(t, "room", collect(f.room("room").Websockets())[0].Channel())
				if test.reads {
					time.Sleep(5 * time.Second)
					go read()
				}
				require.ErrorIs(t, <-done, test.err)
				require.Equal(t, test.reads, sent == sends)
				c.drop()
			})
		})
	}
}

func TestCloseCodes(t *testing.T) {
	for name, test := range map[string]struct {
		code   int
		reason string
		want   websocket.CloseError
	}{
		"of the application": {4000, "kicked", websocket.CloseError{Code: 4000, Reason: "kicked"}},
		"never sent":         {1005, "x", websocket.CloseError{Code: 1011, Reason: "x"}},
		"out of range":       {70000, "", websocket.CloseError{Code: 1011}},
		"none":               {0, "", websocket.CloseError{Code: 1011}},
		"long reason":        {1000, strings.Repeat("é", 100), websocket.CloseError{Code: 1000, Reason: strings.Repeat("é", 61)}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, durableobject.Options{}, func(t *testing.T, f *fixture) {
				c := f.connect("a")
				c.subscribe()
				collect(f.room("room").Websockets())[0].Close(test.code, test.reason)
				require.Equal(t, test.want, <-c.closed)
			})
		})
	}
}
