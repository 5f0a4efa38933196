package durableobject_test

import (
	"context"
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/rpc"
)

// deepRoom is a hub whose Object is embedded by a pointer that may be nil.
type deepRoom struct{ *room }

func TestHubsThatAreNoHubs(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		newHub func(context.Context, *durableobject.Object[message]) (durableobject.Hub[message], error)
		want   string
	}{
		"nil": {func(context.Context, *durableobject.Object[message]) (durableobject.Hub[message], error) {
			return nil, nil
		}, "newHub returned nil"},
		"a nil pointer": {func(context.Context, *durableobject.Object[message]) (durableobject.Hub[message], error) {
			return (*room)(nil), nil
		}, "newHub returned nil"},
		"a nil Object": {func(context.Context, *durableobject.Object[message]) (durableobject.Hub[message], error) {
			return &room{}, nil
		}, "newHub did not embed"},
		"a nil pointer to what embeds it": {func(context.Context, *durableobject.Object[message]) (durableobject.Hub[message], error) {
			return &deepRoom{}, nil
		}, "newHub did not embed"},
		"a panic": {func(context.Context, *durableobject.Object[message]) (durableobject.Hub[message], error) {
			panic("broken")
		}, "newHub: panic: broken"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				rooms := durableobject.NewNamespace(test.newHub, &durableobject.Options{Verifier: secret})
				_, err := rooms.Get(t.Context(), "room")
				require.ErrorContains(t, err, test.want)
				require.NoError(t, rooms.Shutdown(t.Context()))
			})
		})
	}
}

func TestPanicsNameTheHook(t *testing.T) {
	log := &logBook{}
	bubble(t, durableobject.Options{Logger: log.logger()}, func(t *testing.T, f *fixture) {
		f.hooks.subscribed = func(*room, *durableobject.Websocket, durableobject.Resume) error { panic("broken") }
		f.connect("a").subscribe()
		log.has(t, "OnSubscribed: panic: broken")
	})
}

func TestMethodsThatAreRegisteredTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rooms := durableobject.NewNamespace(newPlain, &durableobject.Options{Verifier: secret})
		handle := func(path string) func() {
			return func() {
				durableobject.Handle(rooms, rpc.Define[int, int](path),
					func(_ *durableobject.Object[message], _ context.Context, _ *durableobject.Websocket, n int) (int, error) {
						return n, nil
					})
			}
		}
		handle("bid")()
		require.PanicsWithValue(t, "durableobject: Handle: bid is registered twice", handle("bid"))
		require.PanicsWithValue(t, "durableobject: Handle: bid.low conflicts with bid: a method cannot be a group too", handle("bid.low"))
		handle("offer.low")()
		require.Panics(t, handle("offer"))
		handle("offer.high")()
		require.NoError(t, rooms.Shutdown(t.Context()))
	})
}

// A recipient that no client can be is a mistake of the publisher, in all options that have one.
func TestRecipientsThatNobodyIs(t *testing.T) {
	t.Parallel()
	subject := func(p *payload) string { return p.ID }
	for name, test := range map[string]struct {
		subject   func(*payload) string
		recipient durableobject.Recipient
		want      string
	}{
		"no id":                   {subject, durableobject.Recipient{Subject: "ann"}, `"ann" has no id; for all clients of a subject use a tag`},
		"neither":                 {nil, durableobject.Recipient{}, "has no id"},
		"no Options.Subject":      {nil, durableobject.Recipient{Subject: "ann", ID: "a"}, "Options.Subject is not set"},
		"both":                    {subject, durableobject.Recipient{Subject: "ann", ID: "a"}, ""},
		"an id":                   {nil, durableobject.Recipient{ID: "a"}, ""},
		"a token without subject": {subject, durableobject.Recipient{ID: "a"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, durableobject.Options{Subject: test.subject}, func(t *testing.T, f *fixture) {
				for _, option := range []durableobject.PublishOption{
					durableobject.WithTargetRecipients(durableobject.Recipient{ID: "fine"}, test.recipient),
					durableobject.WithExcludeRecipients(test.recipient, durableobject.Recipient{ID: "fine"}),
				} {
					err := f.room("room").PublishEvent(t.Context(), message{"hi"}, option)
					if test.want == "" {
						require.NoError(t, err)
						continue
					}
					require.ErrorIs(t, err, durableobject.ErrRecipient)
					require.ErrorContains(t, err, test.want)
				}
			})
		})
	}
}

// A log that is closed before the namespace is named as the cause.
func TestLogThatIsClosedTooEarly(t *testing.T) {
	for name, bus := range map[string]eventlog.Bus{"log": nil, "bus": eventlog.NewMemoryBus()} {
		log := &logBook{}
		o := keeping
		o.Logger, o.Bus = log.logger(), bus
		o.Log = eventlog.NewMemory(&eventlog.MemoryOptions{Retention: time.Hour})
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t, o, nil)
				require.NoError(t, o.Log.Close())
				w := f.handshake(url.Values{"id": {"a"}, "token": {sign(t, "room")}}, nil)
				require.GreaterOrEqual(t, w.Code, http.StatusInternalServerError)
				synctest.Wait()
				require.Contains(t, log.String(), "closed before the namespace")
				f.end()
			})
		})
	}
}
