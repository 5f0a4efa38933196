package durableobject_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
)

const bareHeartbeat = `{"i":"1","t":3,"p":{"e":"message"}}`

func heartbeat(seconds string) string { return `"x-durable-iterator-heartbeat":"` + seconds + `"` }

// beatsAfter waits for the next frame, which must be a heartbeat, and returns after how many
// seconds it arrived. Heartbeats may be up to a second late.
func (c *rawClient) beatsAfter() int {
	c.t.Helper()
	begin := time.Now()
	require.Equal(c.t, bareHeartbeat, c.next())
	return int(time.Since(begin) / time.Second)
}

func TestHeartbeatIntervals(t *testing.T) {
	t.Parallel()
	for asked, want := range map[string]int{
		"20": 20, "10": 10, "60": 60,
		"9": 10, "0": 10, "61": 60, "99999999999999999999": 60,
	} {
		t.Run(asked, func(t *testing.T) {
			bubble(t, durableobject.Options{}, func(_ *testing.T, f *fixture) {
				c := f.connect("a")
				c.subscribe(heartbeat(asked))
				for range 5 {
					require.InDelta(t, want, c.beatsAfter(), 1)
				}
				c.drop()
			})
		})
	}
}

// A client that requests no heartbeats is sent none, as by oRPC's server.
func TestNoHeartbeatUnasked(t *testing.T) {
	t.Parallel()
	for name, header := range map[string][]string{
		"nothing":       nil,
		"the extension": {extension},
		"no number":     {heartbeat("soon")},
		"negative":      {heartbeat("-20")},
		"a fraction":    {heartbeat("20.5")},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, durableobject.Options{}, func(_ *testing.T, f *fixture) {
				c := f.connect("a")
				c.subscribe(header...)
				time.Sleep(time.Hour)
				c.seesNothing()
				c.drop()
			})
		})
	}
}

// A heartbeat is sent only after the requested time of silence, whatever else is sent.
func TestHeartbeatOnlyInSilence(t *testing.T) {
	bubble(t, durableobject.Options{}, func(t *testing.T, f *fixture) {
		c := f.connect("a")
		c.subscribe(heartbeat("20"))
		for i := range 100 {
			time.Sleep(19 * time.Second)
			if i%2 == 0 {
				f.publish("an event")
				c.sees("an event")
				continue
			}
			id := fmt.Sprintf(`"c%d"`, i)
			c.send(`{"i":` + id + `,"p":{"u":"/ping","b":{}}}`) // what clients ask servers that send no heartbeat
			require.Contains(t, c.next(), `{"i":`+id+`,`)
		}
		require.InDelta(t, 20, c.beatsAfter(), 1)
		c.drop()
	})
}

// If events are kept, a heartbeat moves the client's cursor, so that events for others are not
// scanned when the client resumes.
func TestHeartbeatMovesTheCursor(t *testing.T) {
	bubble(t, durableobject.Options{ResumeRetention: time.Hour}, func(t *testing.T, f *fixture) {
		c, other := f.connect("a"), f.connect("b")
		c.subscribe(heartbeat("10"))
		other.subscribe()
		f.publish("for another", durableobject.WithTargetIDs("b"))
		_, id := other.event()
		text, cursor := c.event()
		require.Empty(t, text)
		require.Equal(t, id, cursor)
		c.drop()
		f.publish("missed")
		c = f.connect("a")
		c.subscribe(lastEventID(cursor), heartbeat("10"))
		c.sees("missed")
		c.drop()
	})
}

// The newest subscription determines the interval; a subscription without the header ends the
// heartbeats.
func TestHeartbeatOfSubscriptions(t *testing.T) {
	bubble(t, durableobject.Options{}, func(t *testing.T, f *fixture) {
		c := f.connect("a")
		subscribe := func(id, header string) {
			c.send(`{"i":"` + id + `","p":{"u":"/subscribe","b":{},"h":{` + header + `}}}`)
			require.Contains(t, c.next(), "text/event-stream")
		}
		subscribe("1", heartbeat("20"))
		subscribe("2", heartbeat("10"))
		require.Contains(t, c.next(), `{"i":"1","t":3,"p":{"e":"done"`)
		begin := time.Now()
		require.Equal(t, `{"i":"2","t":3,"p":{"e":"message"}}`, c.next())
		require.Less(t, time.Since(begin), 12*time.Second)
		c.send(`{"i":"2","t":4}`)
		time.Sleep(time.Hour)
		c.seesNothing()
		subscribe("3", "")
		time.Sleep(time.Hour)
		c.seesNothing()
		c.drop()
	})
}

// Heartbeats do not accumulate for a client that does not read.
func TestHeartbeatsDoNotPileUp(t *testing.T) {
	bubble(t, durableobject.Options{PingInterval: -1, StallTimeout: time.Hour}, func(t *testing.T, f *fixture) {
		c, read := f.stalled("a")
		c.send(`{"i":"1","p":{"u":"/subscribe","b":{},"h":{` + heartbeat("10") + `}}}`)
		time.Sleep(10 * time.Minute)
		go read()
		synctest.Wait()
		require.LessOrEqual(t, len(c.frames), 3)
		c.drop()
	})
}

// Heartbeats are sent while the hook of a subscription runs.
func TestHeartbeatDuringTheHook(t *testing.T) {
	bubble(t, durableobject.Options{ResumeRetention: time.Hour, HookTimeout: time.Minute}, func(t *testing.T, f *fixture) {
		f.hooks.subscribed = func(_ *room, ws *durableobject.Websocket, _ durableobject.Resume) error {
			time.Sleep(15 * time.Second)
			return ws.Send(t.Context(), message{"snapshot"})
		}
		c := f.connect("a")
		c.subscribe(heartbeat("10"))
		require.Equal(t, bareHeartbeat, c.next())
		c.sees("snapshot")
		c.drop()
	})
}
