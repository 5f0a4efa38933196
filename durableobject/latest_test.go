package durableobject_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
)

func latest(n int) durableobject.Options {
	o := keeping
	o.Latest = n
	return o
}

// A client that subscribes for the first time is sent the newest events before those that the hook
// sends. Each has its id, even if the client does not send the header of the extension.
func TestLatest(t *testing.T) {
	bubble(t, latest(3), func(t *testing.T, f *fixture) {
		var resumes []durableobject.Resume
		f.hooks.subscribed = func(_ *room, ws *durableobject.Websocket, res durableobject.Resume) error {
			resumes = append(resumes, res)
			return ws.Send(t.Context(), message{"snapshot"})
		}
		for i := range 5 {
			f.publish(fmt.Sprint(i))
		}
		f.publish("for another", durableobject.WithTargetIDs("b"))
		c := f.connect("a")
		c.subscribe()
		for _, want := range []string{"2", "3", "4"} {
			text, id := c.event()
			require.Equal(t, want, text)
			require.NotEmpty(t, id)
		}
		c.sees("snapshot")
		f.publish("live")
		c.sees("live")
		c.seesNothing()
		require.Len(t, resumes, 1)
		require.Equal(t, 3, resumes[0].Replayed)
		require.Regexp(t, `-6$`, resumes[0].Position)
		require.False(t, resumes[0].Truncated)
	})
}

// positionOf returns the position in the answer to a subscription with the extension.
func (c *rawClient) positionOf(frame string) string {
	c.t.Helper()
	_, rest, found := strings.Cut(frame, `"x-durable-iterator-position":"`)
	require.True(c.t, found, frame)
	position, _, _ := strings.Cut(rest, `"`)
	return position
}

// subscribeExtended subscribes with the extension and returns the position in the answer.
func (c *rawClient) subscribeExtended(header ...string) string {
	c.t.Helper()
	c.send(`{"i":"1","p":{"u":"/subscribe","b":{},"h":{` + strings.Join(append(header, extension), ",") + `}}}`)
	return c.positionOf(c.next())
}

// The position in the answer is that before the first of the latest events, so that a client that
// is disconnected before it has received all of them loses none.
func TestLatestIsCutOff(t *testing.T) {
	bubble(t, latest(3), func(t *testing.T, f *fixture) {
		for i := range 5 {
			f.publish(fmt.Sprint(i))
			f.publish("for another", durableobject.WithTags("x"))
		}
		c := f.connect("a")
		last := c.subscribeExtended()
		c.drop()
		f.publish("5")
		for _, text := range []string{"2", "3", "4", "5"} { // one at a time
			c = f.connect("a")
			c.subscribe(lastEventID(last))
			var got string
			got, last = c.event()
			require.Equal(t, text, got)
			c.drop()
		}
		c = f.connect("a")
		c.subscribe(lastEventID(last))
		c.seesNothing()
	})
}

// A client that sends any last event id resumes, and is not sent the latest events.
func TestLatestIsForNewClientsOnly(t *testing.T) {
	bubble(t, latest(1), func(t *testing.T, f *fixture) {
		var last durableobject.Resume
		f.hooks.subscribed = func(_ *room, ws *durableobject.Websocket, res durableobject.Resume) error {
			last = res
			return ws.Send(t.Context(), message{"snapshot"})
		}
		c := f.connect("a")
		c.subscribe()
		c.sees("snapshot")
		f.publish("1")
		_, id := c.event()
		f.publish("2")
		c.drop()
		for last, want := range map[string]string{"0": "1 2", "nonsense": "1 2", "unknown-1": "1 2", id: "2"} {
			c := f.connect("a")
			c.subscribe(lastEventID(last))
			c.sees(append(strings.Fields(want), "snapshot")...)
			c.seesNothing()
		}
		time.Sleep(2 * keeping.ResumeRetention)
		f.publish("3")
		f.publish("4")
		c = f.connect("a")
		c.subscribe(lastEventID(id))
		c.sees("3", "4", "snapshot")
		require.True(t, last.Truncated)
	})
}

// A second subscription of a socket begins in the same way.
func TestLatestAgain(t *testing.T) {
	bubble(t, latest(2), func(t *testing.T, f *fixture) {
		f.publish("1")
		c := f.connect("a")
		c.subscribe()
		c.sees("1")
		c.send(`{"i":"2","p":{"u":"/subscribe","b":{}}}`)
		require.Contains(t, c.next()+c.next(), `"e":"done"`)
		c.sees("1")
		c.seesNothing()
	})
}

// A state that a hook loads includes all events up to Resume.Position; later events are live.
func TestResumePosition(t *testing.T) {
	bubble(t, keeping, func(t *testing.T, f *fixture) {
		state := map[string]bool{} // what an application would have in its database
		publish := func(text string) {
			state[text] = true
			f.publish(text)
		}
		f.hooks.subscribed = func(r *room, ws *durableobject.Websocket, res durableobject.Resume) error {
			page, err := r.History(t.Context(), durableobject.HistoryOptions{})
			if err != nil {
				return err
			}
			for _, e := range page.Events {
				require.True(t, state[e.Event.Text])
			}
			require.NoError(t, r.PublishEvent(t.Context(), message{"while the hook runs"}))
			after, err := r.History(t.Context(), durableobject.HistoryOptions{After: res.Position})
			require.NoError(t, err)
			require.False(t, after.Truncated)
			require.Len(t, after.Events, 1)
			return ws.Send(t.Context(), message{fmt.Sprint("a state of ", len(state))})
		}
		publish("1")
		publish("2")
		c := f.connect("a")
		c.subscribe()
		c.sees("a state of 2", "while the hook runs")
		c.seesNothing()
	})
}

// Without retention there are no ids, and no position.
func TestResumePositionWithoutLog(t *testing.T) {
	bubble(t, durableobject.Options{}, func(t *testing.T, f *fixture) {
		called := make(chan durableobject.Resume, 1)
		f.hooks.subscribed = func(_ *room, _ *durableobject.Websocket, res durableobject.Resume) error {
			called <- res
			return nil
		}
		f.connect("a").subscribe()
		require.Empty(t, <-called)
	})
}
