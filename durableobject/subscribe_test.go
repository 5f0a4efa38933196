package durableobject_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/token"
)

var keeping = durableobject.Options{ResumeRetention: 2 * time.Minute}

// DI-102: the answer is sent first, then missed events, those of the hook, and live ones.
func TestSubscribeOrder(t *testing.T) {
	bubble(t, keeping, func(t *testing.T, f *fixture) {
		var resumes []durableobject.Resume
		f.hooks.subscribed = func(r *room, ws *durableobject.Websocket, res durableobject.Resume) error {
			resumes = append(resumes, res)
			// Published from the hook: after the replay and after the events of Send.
			if err := r.PublishEvent(t.Context(), message{"from the hook"}); err != nil {
				return err
			}
			return ws.Send(t.Context(), message{"snapshot"})
		}
		c := f.connect("a")
		f.publish("before the subscription")
		c.subscribe()
		c.sees("snapshot", "from the hook")
		f.publish("one")
		_, last := c.event()
		f.publish("two")
		f.publish("three")
		c.sees("two", "three")
		c.drop()
		f.publish("missed")

		c = f.connect("a")
		c.subscribe(lastEventID(last))
		c.sees("two", "three", "missed", "snapshot", "from the hook")
		f.publish("live")
		c.sees("live")
		c.seesNothing()
		epoch, _, _ := strings.Cut(last, "-")
		require.Equal(t, []durableobject.Resume{
			{Position: epoch + "-1"},
			{LastEventID: last, Replayed: 3, Position: epoch + "-6"},
		}, resumes)
	})
}

// W1: events are replayed in the order of publication. The original sorts their ids as text.
func TestReplayIsInOrderOfPublication(t *testing.T) {
	bubble(t, keeping, func(_ *testing.T, f *fixture) {
		c := f.connect("a")
		c.subscribe()
		f.publish("0")
		_, first := c.event()
		c.drop()
		var want []string
		for i := range 1200 {
			want = append(want, fmt.Sprint(i))
			f.publish(fmt.Sprint(i))
		}
		c = f.connect("a")
		c.subscribe(lastEventID(first))
		c.sees(want...)
		c.seesNothing()
	})
}

func TestReplayObeysTheAudience(t *testing.T) {
	bubble(t, keeping, func(_ *testing.T, f *fixture) {
		a := f.connect("a", withTags("x"))
		a.subscribe()
		f.publish("start")
		_, start := a.event()
		a.drop()
		f.publish("all")
		f.publish("x", durableobject.WithTags("x"))
		f.publish("y", durableobject.WithTags("y"))
		f.publish("to a by id", durableobject.WithTargetIDs("a"))
		f.publish("to b by id", durableobject.WithTargetIDs("b"))
		f.publish("not a by id", durableobject.WithExcludeIDs("a"))
		f.publish("to a by predicate, but away", durableobject.WithTargetsFunc(func(ws *durableobject.Websocket) bool { return ws.ID() == "a" }))
		f.publish("end")
		a = f.connect("a", withTags("x"))
		a.subscribe(lastEventID(start))
		a.sees("all", "x", "to a by id", "end")
		a.seesNothing()
		thief := f.connect("thief", withTags("y"))
		thief.subscribe(lastEventID(start))
		thief.sees("all", "y", "not a by id", "end")
		thief.seesNothing()
	})
}

// With Options.Subject, knowing the id of another client is of no use.
func TestSubjectBindsIDs(t *testing.T) {
	o := keeping
	o.Subject = func(p *payload) string { return string(p.Att) }
	bubble(t, o, func(t *testing.T, f *fixture) {
		owner := f.connect("id", withAtt(`"ann"`))
		owner.subscribe()
		thief := f.connect("id", withAtt(`"eve"`))
		thief.subscribe()
		f.publish("start")
		_, start := owner.event()
		thief.sees("start")
		f.publish("for ann", durableobject.WithTargetsFunc(func(ws *durableobject.Websocket) bool { return string(ws.Token().Att) == `"ann"` }))
		f.publish("for ann, named", durableobject.WithTargetRecipients(durableobject.Recipient{Subject: `"ann"`, ID: "id"}))
		require.ErrorIs(t, f.room("room").PublishEvent(t.Context(), message{}, durableobject.WithTargetIDs("id")), durableobject.ErrNoSubject)
		owner.sees("for ann", "for ann, named")
		thief.seesNothing()
		thief.drop()
		thief = f.connect("id", withAtt(`"eve"`))
		thief.subscribe(lastEventID(start))
		thief.seesNothing()
		thief.send(`{"i":"2","p":{"u":"/updateToken","b":{"json":{"token":` + quote(sign(t, "room", withAtt(`"ann"`))) + `}}}}`)
		require.Contains(t, thief.next(), "same subject")
	})
}

func TestResumeIsTruncated(t *testing.T) {
	for name, last := range map[string]string{
		"unknown epoch": "zzzzzzzz-1",
		"original id":   "12",
		"nonsense":      "abc",
		"ahead":         "",
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, keeping, func(t *testing.T, f *fixture) {
				var got durableobject.Resume
				f.hooks.subscribed = func(_ *room, _ *durableobject.Websocket, res durableobject.Resume) error {
					got = res
					return nil
				}
				f.publish("one")
				f.publish("two")
				if last == "" {
					c := f.connect("b")
					c.subscribe()
					f.publish("three")
					_, id := c.event()
					last = id + "000"
				}
				c := f.connect("a")
				c.subscribe(lastEventID(last), extension)
				c.sees("one", "two")
				synctest.Wait()
				require.True(t, got.Truncated)
				require.Equal(t, last, got.LastEventID)
			})
		})
	}
}

func TestExpiredEventsAreNotReplayed(t *testing.T) {
	bubble(t, keeping, func(t *testing.T, f *fixture) {
		var truncated []bool
		f.hooks.subscribed = func(_ *room, _ *durableobject.Websocket, res durableobject.Resume) error {
			truncated = append(truncated, res.Truncated)
			return nil
		}
		c := f.connect("a")
		c.subscribe()
		f.publish("old")
		_, old := c.event()
		f.publish("older than the retention")
		_, newest := c.event()
		time.Sleep(90 * time.Second)
		f.publish("young")
		c.sees("young")
		time.Sleep(60 * time.Second)

		a := f.connect("a")
		a.subscribe(lastEventID(old))
		a.sees("young")
		a.seesNothing()
		b := f.connect("b")
		b.subscribe(lastEventID(newest))
		b.sees("young")
		b.seesNothing()
		z := f.connect("z")
		z.subscribe(lastEventID("0"))
		z.sees("young")
		z.seesNothing()
		require.Equal(t, []bool{false, true, false, false}, truncated,
			"an event after the first id is gone, none after the second; 0 asks for what is retained")
	})
}

// The id 0 requests all retained events. It does not mean that the client has received any, so
// none are missing, whatever the log has dropped of this and other channels.
func TestZeroAsksForWhatIsRetained(t *testing.T) {
	bubble(t, keeping, func(t *testing.T, f *fixture) {
		require.NoError(t, f.room("busy").PublishEvent(t.Context(), message{"dropped"}))
		f.publish("dropped too")
		time.Sleep(3 * time.Minute)
		resume := func(channel string) *rawClient {
			c := f.connect("a", func(p *token.Payload) { p.Channel = channel })
			c.send(`{"i":"1","p":{"u":"/subscribe","b":{},"h":{"last-event-id":"0",` + extension + `}}}`)
			require.Contains(t, c.next(), `"x-durable-iterator-resume":"complete"`)
			return c
		}
		resume("fresh").seesNothing()
		f.publish("retained")
		old := resume("room")
		old.sees("retained")
		f.publish("live")
		old.sees("live")
		old.seesNothing()
	})
}

func TestResumeOff(t *testing.T) {
	bubble(t, durableobject.Options{}, func(t *testing.T, f *fixture) {
		var got durableobject.Resume
		f.hooks.subscribed = func(_ *room, _ *durableobject.Websocket, res durableobject.Resume) error {
			got = res
			return nil
		}
		f.publish("missed")
		c := f.connect("a")
		c.send(`{"i":"1","p":{"u":"/subscribe","b":{},"h":{"last-event-id":"1","x-durable-iterator":"1"}}}`)
		require.JSONEq(t, `{"i":"1","p":{"h":{"content-type":"text/event-stream","x-durable-iterator-resume":"off"}}}`, c.next())
		f.publish("live")
		c.sees("live")
		require.Equal(t, durableobject.Resume{LastEventID: "1", Truncated: true}, got)
	})
}

func TestExtensionHeaders(t *testing.T) {
	bubble(t, keeping, func(t *testing.T, f *fixture) {
		subscribe := func(headers ...string) string {
			c := f.connect("a")
			defer c.drop()
			c.send(`{"i":"1","p":{"u":"/subscribe","b":{},"h":{` + strings.Join(headers, ",") + `}}}`)
			return c.next()
		}
		require.JSONEq(t, `{"i":"1","p":{"h":{"content-type":"text/event-stream"}}}`, subscribe(), "nobody else gets them")
		empty := subscribe(extension)
		require.Regexp(t, `"x-durable-iterator-position":"[0-9a-z]+-0"`, empty)
		require.Contains(t, empty, `"x-durable-iterator-resume":"none"`)
		f.publish("x")
		position := subscribe(extension)
		require.Regexp(t, `"x-durable-iterator-position":"[0-9a-z]+-1"`, position)
		_, rest, _ := strings.Cut(position, `position":"`)
		id, _, _ := strings.Cut(rest, `"`)
		require.Contains(t, subscribe(extension, lastEventID(id)), `"x-durable-iterator-resume":"complete"`)
		require.Contains(t, subscribe(extension, lastEventID("other-1")), `"x-durable-iterator-resume":"truncated"`)
	})
}

// The position of a client that is sent no events never becomes as old as the retention.
func TestCursorOfAQuietClientMoves(t *testing.T) {
	bubble(t, keeping, func(t *testing.T, f *fixture) {
		quiet, plain := f.connect("q", withTags("quiet")), f.connect("p", withTags("quiet"))
		quiet.subscribe(extension)
		plain.subscribe()
		for i := range 20 {
			f.publish(fmt.Sprint(i), durableobject.WithTags("busy"))
			time.Sleep(10 * time.Second)
		}
		synctest.Wait()
		var last string
		for len(quiet.frames) > 0 {
			frame := quiet.next()
			require.Regexp(t, `^\{"i":"1","t":3,"p":\{"e":"message","m":\{"id":"[0-9a-z]+-\d+"\}\}\}$`, frame)
			_, last, _ = strings.Cut(strings.TrimSuffix(frame, `"}}}`), `"id":"`)
		}
		plain.seesNothing()
		quiet.drop()
		quiet = f.connect("q", withTags("quiet"))
		quiet.send(`{"i":"1","p":{"u":"/subscribe","b":{},"h":{` + extension + `,` + lastEventID(last) + `}}}`)
		require.Contains(t, quiet.next(), `"x-durable-iterator-resume":"complete"`)
	})
}

// W44: a second subscription ends the first one.
func TestSecondSubscription(t *testing.T) {
	bubble(t, keeping, func(t *testing.T, f *fixture) {
		c := f.connect("a")
		c.subscribe()
		f.publish("one")
		c.sees("one")
		c.send(`{"i":"2","p":{"u":"/subscribe","b":{}}}`)
		require.JSONEq(t, `{"i":"2","p":{"h":{"content-type":"text/event-stream"}}}`, c.next())
		require.JSONEq(t, `{"i":"1","t":3,"p":{"e":"done","d":{}}}`, c.next())
		f.publish("two")
		require.Contains(t, c.next(), `{"i":"2","t":3`)
		c.seesNothing()
		// The id of the first one is free again.
		c.send(`{"i":"1","p":{"u":"/call","b":{"json":{"path":["tell"],"input":{"text":"x"}}}}}`)
		c.sees("x")
		require.Contains(t, c.next(), `"told x"`)
	})
}

// W39: an aborted subscription is sent nothing more. The original continues to send.
func TestAbortedSubscription(t *testing.T) {
	bubble(t, keeping, func(_ *testing.T, f *fixture) {
		c := f.connect("a")
		c.subscribe()
		f.publish("one")
		c.sees("one")
		c.send(`{"i":"1","t":4}`)
		synctest.Wait()
		f.publish("two")
		c.seesNothing()
		c.subscribe()
		f.publish("three")
		c.sees("three")
	})
}

func TestHook(t *testing.T) {
	for name, hook := range map[string]func() error{
		"an error closes with 1011": func() error { return errors.New("no") },
		"a panic closes with 1011":  func() error { panic("no") },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, keeping, func(t *testing.T, f *fixture) {
				f.hooks.subscribed = func(*room, *durableobject.Websocket, durableobject.Resume) error { return hook() }
				c := f.connect("a")
				c.subscribe()
				require.Equal(t, 1011, int((<-c.closed).Code))
				f.publish("the room lives on")
			})
		})
	}
	t.Run("live waits for it, and no longer than its timeout", func(t *testing.T) {
		bubble(t, keeping, func(t *testing.T, f *fixture) {
			release := make(chan struct{})
			f.hooks.subscribed = func(*room, *durableobject.Websocket, durableobject.Resume) error {
				<-release
				return nil
			}
			c := f.connect("a")
			c.subscribe()
			f.publish("one")
			c.seesNothing()
			start := time.Now()
			c.sees("one")
			require.Equal(t, durableobject.DefaultHookTimeout, time.Since(start))
			close(release)
			f.publish("two")
			c.sees("two")
			c.seesNothing()
		})
	})
}

func TestSendNeedsASubscription(t *testing.T) {
	bubble(t, keeping, func(t *testing.T, f *fixture) {
		f.connect("a")
		synctest.Wait()
		for ws := range f.room("room").Websockets() {
			require.ErrorIs(t, ws.Send(t.Context(), message{"x"}), durableobject.ErrNotSubscribed)
		}
	})
}
