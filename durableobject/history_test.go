package durableobject_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/rpc"
)

func texts(page durableobject.Page[message]) []string {
	list := []string{}
	for _, e := range page.Events {
		list = append(list, e.Event.Text)
	}
	return list
}

func TestHistory(t *testing.T) {
	bubble(t, keeping, func(t *testing.T, f *fixture) {
		r := f.room("room")
		for i := range 5 {
			f.publish(fmt.Sprint(i))
			require.NoError(t, f.room("other").PublishEvent(t.Context(), message{"elsewhere"}))
		}
		read := func(h durableobject.HistoryOptions) durableobject.Page[message] {
			page, err := r.History(t.Context(), h)
			require.NoError(t, err)
			return page
		}
		all := read(durableobject.HistoryOptions{})
		require.Equal(t, []string{"0", "1", "2", "3", "4"}, texts(all))
		require.Empty(t, all.Next)

		newest := read(durableobject.HistoryOptions{Before: durableobject.HistoryNewest, Limit: 2})
		require.Equal(t, []string{"4", "3"}, texts(newest))
		require.Equal(t, newest.Events[1].ID, newest.Next)
		older := read(durableobject.HistoryOptions{Before: newest.Next})
		require.Equal(t, []string{"2", "1", "0"}, texts(older))
		require.Empty(t, older.Next)

		after := read(durableobject.HistoryOptions{After: all.Events[1].ID, Limit: 2})
		require.Equal(t, []string{"2", "3"}, texts(after))
		require.Equal(t, []string{"4"}, texts(read(durableobject.HistoryOptions{After: after.Next})))
		require.Empty(t, texts(read(durableobject.HistoryOptions{After: all.Events[4].ID})))
		require.True(t, read(durableobject.HistoryOptions{After: "unknown-1"}).Truncated)
		require.True(t, read(durableobject.HistoryOptions{Before: "unknown-1"}).Truncated)
	})
}

// The events of a page have everything that they were published with.
func TestHistoryEvents(t *testing.T) {
	bubble(t, keeping, func(t *testing.T, f *fixture) {
		r := f.room("room")
		for _, meta := range []rpc.EventMeta{
			{}, {Retry: 1500 * time.Millisecond}, {RetryNow: true}, {Comments: []string{"a", `"b"`}}, {ID: "ignored"},
		} {
			at := time.Now()
			require.NoError(t, r.PublishEvent(t.Context(), message{"x"}, durableobject.WithEventMeta(meta),
				durableobject.WithTags("x"), durableobject.WithTargetIDs("a"), durableobject.WithExcludeIDs("b")))
			page, err := r.History(t.Context(), durableobject.HistoryOptions{Before: durableobject.HistoryNewest, Limit: 1})
			require.NoError(t, err)
			e := page.Events[0]
			meta.ID = ""
			require.Equal(t, meta, e.Meta)
			require.Equal(t, message{"x"}, e.Event)
			require.True(t, at.Equal(e.Time))
			require.Equal(t, eventlog.Audience{
				Tags: []string{"x"}, Targets: []durableobject.Recipient{{ID: "a"}}, Excludes: []durableobject.Recipient{{ID: "b"}},
			}, e.Audience)
			time.Sleep(time.Second)
		}
	})
}

// For selects the events that the socket's client would be sent.
func TestHistoryForASocket(t *testing.T) {
	o := keeping
	o.Subject = func(p *payload) string { return string(p.Att) }
	bubble(t, o, func(t *testing.T, f *fixture) {
		r := f.room("room")
		ann := durableobject.Recipient{Subject: `"ann"`, ID: "id"}
		f.connect("id", withAtt(`"ann"`), withTags("x"))
		f.connect("id", withAtt(`"eve"`), withTags("y"))
		f.publish("all")
		f.publish("x", durableobject.WithTags("x"))
		f.publish("for ann", durableobject.WithTargetRecipients(ann))
		f.publish("not for ann", durableobject.WithExcludeRecipients(ann))
		f.publish("for nobody", durableobject.WithTags())
		for ws := range r.Websockets() {
			want := []string{"all", "not for ann"}
			if string(ws.Token().Att) == `"ann"` {
				want = []string{"all", "x", "for ann"}
			}
			page, err := r.History(t.Context(), durableobject.HistoryOptions{For: ws})
			require.NoError(t, err)
			require.Equal(t, want, texts(page))
			page, err = r.History(t.Context(), durableobject.HistoryOptions{For: ws, Before: durableobject.HistoryNewest, Limit: 1})
			require.NoError(t, err)
			require.Equal(t, want[len(want)-1:], texts(page))
		}
	})
}

func TestHistoryErrors(t *testing.T) {
	bubble(t, keeping, func(t *testing.T, f *fixture) {
		r := f.room("room")
		f.connect("a")
		synctest.Wait() // the socket is among those of the room when the upgrade has ended
		other := f.room("other")
		var ws *durableobject.Websocket
		for ws = range r.Websockets() {
			break
		}
		for name, test := range map[string]struct {
			h    durableobject.HistoryOptions
			want string
		}{
			"both ends":         {durableobject.HistoryOptions{After: "0", Before: "newest"}, "both After and Before"},
			"a negative limit":  {durableobject.HistoryOptions{Limit: -1}, "limit -1"},
			"too large a limit": {durableobject.HistoryOptions{Limit: 1001}, "limit 1001"},
			"no real socket":    {durableobject.HistoryOptions{For: &durableobject.Websocket{}}, "another channel"},
			"a foreign socket":  {durableobject.HistoryOptions{For: ws}, "another channel"},
		} {
			page, err := other.History(t.Context(), test.h)
			require.ErrorContains(t, err, test.want, name)
			require.ErrorContains(t, err, "durableobject: history: ", name)
			require.Empty(t, page, name)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := r.History(ctx, durableobject.HistoryOptions{})
		require.ErrorIs(t, err, context.Canceled)
		page, err := r.History(t.Context(), durableobject.HistoryOptions{Limit: durableobject.MaxHistoryLimit, For: ws})
		require.NoError(t, err)
		require.Empty(t, page.Events)
	})
}

func TestHistoryWithoutRetention(t *testing.T) {
	bubble(t, durableobject.Options{}, func(t *testing.T, f *fixture) {
		_, err := f.room("room").History(t.Context(), durableobject.HistoryOptions{})
		require.ErrorIs(t, err, durableobject.ErrNotKept)
	})
}

func TestHistoryAfterShutdown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, keeping, nil)
		r := f.room("room")
		f.publish("1")
		f.end()
		_, err := r.History(t.Context(), durableobject.HistoryOptions{})
		require.ErrorIs(t, err, durableobject.ErrClosed)
	})
}

// The history includes events that are older than ResumeRetention.
func TestHistoryIsAsLongAsTheLog(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := keeping
		o.Log = eventlog.NewMemory(nil)
		f := newFixture(t, o, nil)
		f.publish("old")
		time.Sleep(10 * keeping.ResumeRetention)
		f.publish("new")
		page, err := f.room("room").History(t.Context(), durableobject.HistoryOptions{})
		require.NoError(t, err)
		require.Equal(t, []string{"old", "new"}, texts(page))
		f.end()
		require.NoError(t, o.Log.Close())
	})
}

// picky is an event that cannot be decoded from some encodings.
type picky struct{ text string }

func (p picky) MarshalJSON() ([]byte, error) { return json.Marshal(p.text) }

func (p *picky) UnmarshalJSON(b []byte) error {
	if err := json.Unmarshal(b, &p.text); err != nil {
		return err
	}
	switch p.text {
	case "bad":
		return errors.New("not this one")
	case "panic":
		panic("nor this one")
	}
	return nil
}

// The error names an event that cannot be decoded, and the next page continues after it.
func TestHistoryThatCannotBeDecoded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rooms := durableobject.NewNamespace(func(_ context.Context, o *durableobject.Object[picky]) (*durableobject.Object[picky], error) {
			return o, nil
		}, &durableobject.Options{Verifier: secret, ResumeRetention: time.Minute})
		room, err := rooms.Get(t.Context(), "room")
		require.NoError(t, err)
		for _, text := range []string{"1", "bad", "2", "panic", "3"} {
			require.NoError(t, room.PublishEvent(t.Context(), picky{text}))
		}
		for _, before := range []string{"", durableobject.HistoryNewest} {
			var got []string
			faults := 0
			h := durableobject.HistoryOptions{Before: before}
			for more := true; more; {
				page, err := room.History(t.Context(), h)
				for _, e := range page.Events {
					got = append(got, e.Event.text)
				}
				if err != nil {
					faults++
					require.ErrorContains(t, err, "event "+page.Next)
				}
				if more = page.Next != ""; before == "" {
					h.After = page.Next
				} else {
					h.Before = page.Next
				}
			}
			require.Equal(t, 2, faults)
			require.ElementsMatch(t, []string{"1", "2", "3"}, got)
		}
		require.NoError(t, rooms.Shutdown(t.Context()))
	})
}

// A decoder does not block the log: no lock is held and nothing is pinned while it runs.
func TestHistoryPinsNothing(t *testing.T) {
	bubble(t, durableobject.Options{ResumeRetention: time.Hour, IdleTimeout: time.Minute}, func(t *testing.T, f *fixture) {
		evicted := make(chan string, 1)
		f.hooks.evicted = func(channel string) { evicted <- channel }
		r := f.room("room")
		f.publish("1")
		time.Sleep(3 * time.Minute)
		require.Equal(t, "room", <-evicted)
		page, err := r.History(t.Context(), durableobject.HistoryOptions{})
		require.NoError(t, err)
		require.Equal(t, []string{"1"}, texts(page))
		select {
		case channel := <-evicted:
			require.Fail(t, "an object was made for a history", channel)
		case <-time.After(3 * time.Minute):
		}
	})
}

// backward is a log whose Newest is a function of the test.
type backward struct {
	eventlog.Log
	records func(kept records) records
}

func (l backward) Newest(ctx context.Context, channel string, p eventlog.Position) (eventlog.Replay, error) {
	replay, err := eventlog.ReadNewest(ctx, l.Log, channel, p)
	replay.Records = l.records(replay.Records)
	return replay, err
}

// A log that misbehaves when it is read backwards makes History fail, and also the subscription
// that would begin with the latest events.
func TestHistoryOfALogThatMisbehaves(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		records func(kept records) records
		want    string
	}{
		"panics":         {func(records) records { panic("a broken log") }, "a broken log"},
		"panics later":   {func(records) records { return func(func(*eventlog.Record, error) bool) { panic("a broken log") } }, "a broken log"},
		"yields nothing": {func(records) records { return func(yield func(*eventlog.Record, error) bool) { yield(nil, nil) } }, "no record"},
		"fails": {func(records) records {
			return func(yield func(*eventlog.Record, error) bool) { yield(nil, errors.New("a bad disk")) }
		}, "a bad disk"},
		"never ends": {func(kept records) records {
			return func(yield func(*eventlog.Record, error) bool) {
				for rec, err := range kept {
					for yield(rec, err) {
						continue
					}
					return
				}
			}
		}, "has yielded record 2 after record 2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o := latest(2)
				o.Log = backward{eventlog.NewMemory(nil), test.records}
				f := newFixture(t, o, nil)
				f.publish("1")
				f.publish("2")
				page, err := f.room("room").History(t.Context(), durableobject.HistoryOptions{Before: durableobject.HistoryNewest})
				require.ErrorContains(t, err, test.want)
				require.Empty(t, page)
				c := f.connect("a")
				c.send(`{"i":"1","p":{"u":"/subscribe","b":{}}}`)
				require.Contains(t, c.next(), `INTERNAL_SERVER_ERROR`)
				f.end()
			})
		})
	}
}
