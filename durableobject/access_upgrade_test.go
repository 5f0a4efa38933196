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
	"github.com/go-orpc/durable-iterator/token"
)

// A client whose token is revoked while it is being accepted is disconnected.
func TestRevokedDuringTheUpgrade(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var f *fixture
		f = newFixture(t, durableobject.Options{}, &durableobject.HandlerOptions{
			Authorize: func(*http.Request, *token.Payload) error {
				return f.rooms.Revoke(context.Background(), durableobject.Who{TokenID: "t1"}, time.Now().Add(time.Hour))
			},
		})
		c := f.connect("a", withTokenID("t1"))
		require.Equal(t, 1008, c.closedWith())
		f.end()
	})
}

// A client that was admitted before Disconnect is called is disconnected and counted, even if its
// socket is not open yet because its object is being created.
func TestDisconnectedDuringTheUpgrade(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		who  durableobject.Who
		n    int
		code int
	}{
		"matches":  {durableobject.Who{ID: "a"}, 1, 4403},
		"does not": {durableobject.Who{ID: "b"}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var f *fixture
				f = newFixture(t, durableobject.Options{}, &durableobject.HandlerOptions{
					Context: func(r *http.Request) context.Context {
						n, err := f.rooms.Disconnect(r.Context(), test.who, 4403, "bye")
						require.NoError(t, err)
						require.Equal(t, test.n, n)
						return r.Context()
					},
				})
				c := f.connect("a")
				if test.code != 0 {
					require.Equal(t, test.code, c.closedWith())
				}
				n, err := f.rooms.Disconnect(t.Context(), durableobject.Who{ID: "a"}, 4410, "the end")
				require.NoError(t, err)
				require.Equal(t, 1-test.n, n)
				f.end()
			})
		})
	}
}

// A client that is refused after its object was created leaves nothing pinned: the object is
// evicted. A panic of Options.Subject is such a refusal.
func TestRefusedUpgradePinsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, durableobject.Options{
			IdleTimeout: time.Minute, Subject: func(*token.Payload) string { panic("broken") },
		}, nil)
		evicted := make(chan string, 1)
		f.hooks.evicted = func(channel string) { evicted <- channel }
		w := f.handshake(url.Values{"id": {"a"}, "token": {sign(t, "room")}}, nil)
		require.Equal(t, http.StatusInternalServerError, w.Code)
		time.Sleep(3 * time.Minute)
		require.Equal(t, "room", <-evicted)
		f.end()
	})
}
