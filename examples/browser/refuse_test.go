//go:build e2e

package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableiterator"
	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/internal/chromium"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

// bouncer is a server that may refuse clients.
type bouncer struct {
	url      string
	rooms    *durableobject.Namespace[*Room]
	upgrades atomic.Int32 // requests for a WebSocket
	objects  atomic.Int32 // that were created
}

const bouncerKey = token.Secret("the key of the bouncer")

// newBouncer starts a server from which pages of any origin may read tokens.
func newBouncer(t *testing.T, authorize func(*http.Request, *token.Payload) error, origins ...string) *bouncer {
	t.Helper()
	b := &bouncer{}
	b.rooms = durableobject.NewNamespace(func(_ context.Context, o *durableobject.Object[Event]) (*Room, error) {
		b.objects.Add(1)
		return &Room{o}, nil
	}, &durableobject.Options{Verifier: bouncerKey, ResumeRetention: retention, Presence: &durableobject.PresenceOptions{}})
	upgrade := durableobject.NewHandler(b.rooms, &durableobject.HandlerOptions{Authorize: authorize, OriginPatterns: origins})
	mux := http.NewServeMux()
	mux.HandleFunc("/room", func(w http.ResponseWriter, r *http.Request) {
		b.upgrades.Add(1)
		upgrade.ServeHTTP(w, r)
	})
	mux.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) {
		tok, err := durableiterator.New[Event]("lobby", &durableiterator.Options{Signer: bouncerKey}).Token(r.Context())
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Access-Control-Allow-Origin", "*")
		_, _ = io.WriteString(w, tok)
	})
	mux.Handle("/", http.FileServerFS(os.DirFS(webDir)))
	srv := httptest.NewServer(mux)
	b.url = srv.URL
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, b.rooms.Shutdown(ctx))
		srv.Close()
	})
	return b
}

// A page gets the status with which it is refused, and does not retry.
func TestRefusedAtFirst(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		options  string
		err      error
		status   int
		upgrades int32
	}{
		"a bad token":   {`{ token: () => '{"chn":"lobby","iat":1,"exp":9000000000}.c2lnbmF0dXJl' }`, nil, 401, 2},
		"not allowed":   {"{}", &rpc.Error{Status: http.StatusForbidden, Message: "not you"}, 403, 1},
		"gone":          {"{}", &rpc.Error{Status: http.StatusGone, Message: "the room is closed"}, 410, 1},
		"payment first": {"{}", &rpc.Error{Status: http.StatusPaymentRequired, Message: "not free"}, 402, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBouncer(t, func(*http.Request, *token.Payload) error { return test.err })
			p := browser.Open(t, b.url+"/lab.html")
			p.Until("window.listen")
			p.Run("window.ann = listen(" + test.options + ")")
			p.Until("ann.error")
			require.Equal(t, test.status, chromium.Eval[int](p, "ann.status"), chromium.Eval[string](p, "ann.error"))
			pause(t, 2*time.Second)
			require.Equal(t, test.upgrades, b.upgrades.Load())
			require.Equal(t, "closed", chromium.Eval[string](p, "ann.state"))
			require.Zero(t, b.objects.Load())
		})
	}
}

// A page that is disconnected gets the reason, and reconnects only if the code permits it.
func TestSentAway(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		code, status int
		upgrades     int32
	}{
		"forbidden": {4403, 403, 1},
		"gone":      {4410, 410, 1},
		"restart":   {1012, 0, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBouncer(t, nil)
			p := browser.Open(t, b.url+"/lab.html")
			p.Until("window.listen")
			p.Run("window.ann = listen()")
			p.Until("ann.state === 'live'")
			n, err := b.rooms.Disconnect(t.Context(), durableobject.Who{Channel: "lobby"}, test.code, "not you")
			require.NoError(t, err)
			require.Equal(t, 1, n)
			p.Until("ann.error || ann.lives === 2")
			pause(t, 2*time.Second)
			require.Equal(t, test.status, chromium.Eval[int](p, "ann.status"))
			require.Equal(t, test.status != 0, chromium.Eval[string](p, "ann.state") == "closed")
			require.Equal(t, test.upgrades, b.upgrades.Load())
			if test.status != 0 {
				require.Contains(t, chromium.Eval[string](p, "ann.error"), "not you")
			}
		})
	}
}

// A page of another origin is refused before anything is created for it, unless its origin
// is allowed.
func TestForeignOrigin(t *testing.T) {
	t.Parallel()
	home := newBouncer(t, nil)
	for name, test := range map[string]struct {
		origins []string
		live    bool
	}{
		"not allowed": {nil, false},
		"allowed":     {[]string{home.url}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			away := newBouncer(t, nil, test.origins...)
			p := browser.Open(t, home.url+"/lab.html")
			p.Until("window.listen")
			var refusals atomic.Int32
			p.On("Network.webSocketFrameError", func(params []byte) {
				if strings.Contains(string(params), "Unexpected response code: 403") {
					refusals.Add(1)
				}
			})
			p.Run("window.ann = listen({ server: " + quote(away.url) + ", connectTimeout: 3000 })")
			p.Until("ann.state === 'live' || ann.error")
			require.Equal(t, test.live, chromium.Eval[string](p, "ann.state") == "live", chromium.Eval[string](p, "ann.error"))
			require.Positive(t, away.upgrades.Load())
			require.Equal(t, test.live, away.objects.Load() == 1)
			require.Equal(t, test.live, refusals.Load() == 0)
		})
	}
}

// The chat of one server works in a page of another server, if its origin is allowed. If it
// is not, the page cannot fetch a token.
func TestChatOfAnotherOrigin(t *testing.T) {
	t.Parallel()
	home := startServer(t, config{})
	for name, test := range map[string]struct {
		origins []string
		console string
	}{
		"not allowed": {nil, "has been blocked by CORS policy"},
		"allowed":     {[]string{home.url}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			away := startServer(t, config{Origins: test.origins})
			p := browser.Open(t, "about:blank")
			var console transcript
			p.On("Log.entryAdded", console.add)
			p.Navigate(home.url + "/?name=ann&server=" + away.url)
			if test.console == "" {
				p.Until(isLive)
				write(p, "hello")
				require.Empty(t, console.text())
				return
			}
			p.Until("document.getElementById('state')?.dataset.state === 'waiting'")
			require.Contains(t, console.text(), test.console)
			require.NotContains(t, console.text(), "WebSocket")
		})
	}
}
