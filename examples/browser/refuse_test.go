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

// bouncer is a server that may refuse its visitors.
type bouncer struct {
	url      string
	upgrades atomic.Int32 // requests for a WebSocket
	objects  atomic.Int32 // that were made
}

const bouncerKey = token.Secret("the key of the bouncer")

// newBouncer starts a server whose pages may read its tokens from anywhere.
func newBouncer(t *testing.T, authorize func(*http.Request, *token.Payload) error, origins ...string) *bouncer {
	t.Helper()
	b := &bouncer{}
	rooms := durableobject.NewNamespace(func(_ context.Context, o *durableobject.Object[Event]) (*Room, error) {
		b.objects.Add(1)
		return &Room{Object: o}, nil
	}, &durableobject.Options{Verifier: bouncerKey, ResumeRetention: retention})
	upgrade := durableobject.UpgradeHandler(rooms, &durableobject.UpgradeOptions{Authorize: authorize, OriginPatterns: origins})
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
		require.NoError(t, rooms.Shutdown(ctx))
		srv.Close()
	})
	return b
}

// A page learns with which status it is refused, and does not try again and again.
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

// A page of another origin is refused before anything is made for it, unless its origin is
// allowed.
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
