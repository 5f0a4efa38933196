package durableobject_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// The message of an error begins with the name of the package and contains it once.
func TestErrorsNameThePackageOnce(t *testing.T) {
	bubble(t, keeping, func(t *testing.T, f *fixture) {
		r, other := f.room("room"), f.room("other")
		f.connect("a")
		synctest.Wait() // the socket is among those of the room when the upgrade has ended
		var ws *durableobject.Websocket
		for ws = range r.Websockets() {
			break
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		later := time.Now().Add(time.Hour)
		publish := func(o ...durableobject.PublishOption) error { return other.PublishEvent(t.Context(), message{}, o...) }
		history := func(h durableobject.HistoryOptions) error {
			_, err := other.History(t.Context(), h)
			return err
		}
		disconnect := func(w durableobject.Who, code int) error {
			_, err := f.rooms.Disconnect(t.Context(), w, code, "")
			return err
		}
		presence := func() error {
			_, err := r.Presence(t.Context())
			return err
		}
		changes := func() (last error) {
			for _, err := range r.PresenceChanges(t.Context()) {
				last = err
			}
			return last
		}
		failures := map[string]error{
			"publish for a foreign socket": publish(durableobject.WithTargets(ws)),
			"publish with a long key":      publish(durableobject.WithIdempotencyKey(strings.Repeat("k", eventlog.MaxKeyBytes+1))),
			"publish with an ended ctx":    r.PublishEvent(ended, message{}),
			"send without a subscription":  ws.Send(t.Context(), message{}),
			"history for a foreign socket": history(durableobject.HistoryOptions{For: ws}),
			"history with a large limit":   history(durableobject.HistoryOptions{Limit: -1}),
			"disconnect of nobody":         disconnect(durableobject.Who{}, 4000),
			"disconnect with a bad code":   disconnect(durableobject.Who{ID: "a"}, 1),
			"revoke of nobody":             f.rooms.Revoke(t.Context(), durableobject.Who{}, later),
			"revoke in the past":           f.rooms.Revoke(t.Context(), durableobject.Who{Tag: "x"}, time.Time{}),
			"presence that is off":         presence(),
			"changes of presence":          changes(),
		}
		idle := f.room("idle")
		f.rooms.Drain()
		_, failures["get after Drain"] = f.rooms.Get(t.Context(), "new")
		failures["publish with targets of nobody after Drain"] = idle.PublishEvent(t.Context(), message{}, durableobject.WithTargets(nil))
		for name, err := range failures {
			require.Error(t, err, name)
			require.True(t, strings.HasPrefix(err.Error(), "durableobject: "), "%s: %v", name, err)
			require.Equal(t, 1, strings.Count(err.Error(), "durableobject"), "%s: %v", name, err)
		}
	})
}
