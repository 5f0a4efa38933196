package durableiterator_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableiterator"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

var listen = durableiterator.Define[rpc.Void, string]("listen")

// serve answers one call of listen, whose handler returns it.
func serve(plugin *durableiterator.HandlerPlugin, it *durableiterator.Subscription[string], o rpc.HandlerOptions, origin string, w http.ResponseWriter) {
	if plugin != nil {
		o.Plugins = append(o.Plugins, plugin)
	}
	handler := rpc.NewHandler(rpc.NewRouter(
		listen.Handler(func(context.Context, rpc.Void) (*durableiterator.Subscription[string], error) { return it, nil }),
	), &o)
	r := httptest.NewRequest(http.MethodPost, "/listen", nil)
	if origin != "" {
		r.Header.Set("Origin", origin)
	}
	handler.ServeHTTP(w, r)
}

func TestOwnSignerAndLifeWin(t *testing.T) {
	cases := map[string]struct {
		plugin durableiterator.HandlerPlugin
		own    durableiterator.Options
		key    token.Secret
		life   time.Duration
	}{
		"the plugin's":           {durableiterator.HandlerPlugin{Signer: token.Secret("p"), TokenTTL: time.Hour}, durableiterator.Options{}, "p", time.Hour},
		"the iterator's own":     {durableiterator.HandlerPlugin{Signer: token.Secret("p"), TokenTTL: time.Hour}, durableiterator.Options{Signer: token.Secret("o"), TokenTTL: time.Minute}, "o", time.Minute},
		"one of each":            {durableiterator.HandlerPlugin{TokenTTL: time.Hour}, durableiterator.Options{Signer: token.Secret("o")}, "o", time.Hour},
		"neither has a lifetime": {durableiterator.HandlerPlugin{Signer: token.Secret("p")}, durableiterator.Options{}, "p", 24 * time.Hour},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := httptest.NewRecorder()
			serve(&c.plugin, durableiterator.New[string]("room", &c.own), rpc.HandlerOptions{}, "", w)
			require.Equal(t, http.StatusOK, w.Code)
			require.Equal(t, "1", w.Header().Get("x-orpc-durable-iterator"))
			tok, err := rpcOutput(w)
			require.NoError(t, err)
			p, err := c.key.Verify(t.Context(), tok)
			require.NoError(t, err)
			require.Equal(t, c.life, p.ExpiresAt.Sub(p.IssuedAt))
		})
	}
}

// rpcOutput reads an answer like a client.
func rpcOutput(w *httptest.ResponseRecorder) (string, error) {
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) {
		out.Header().Set("Content-Type", w.Header().Get("Content-Type"))
		out.WriteHeader(w.Code)
		_, _ = out.Write(w.Body.Bytes())
	}))
	defer server.Close()
	return listen.Procedure().Call(context.Background(), rpc.NewLink(server.URL, nil), rpc.Void{})
}

func TestWiringFaultsAreLoggedAndHidden(t *testing.T) {
	cases := map[string]struct {
		plugin *durableiterator.HandlerPlugin
		it     *durableiterator.Subscription[string]
		log    string
	}{
		"no plugin":   {nil, durableiterator.New[string]("room", nil), "install durableiterator.HandlerPlugin"},
		"no signer":   {&durableiterator.HandlerPlugin{}, durableiterator.New[string]("room", nil), "no signer"},
		"no iterator": {&durableiterator.HandlerPlugin{Signer: key}, nil, "the iterator is nil"},
		"too large, by default": {
			&durableiterator.HandlerPlugin{Signer: key},
			durableiterator.New[string]("room", &durableiterator.Options{Att: strings.Repeat("x", 8192), ID: "i"}),
			"durableiterator: token: too large: it has 8303 bytes, and MaxTokenBytes is 8192",
		},
		"too large for the plugin": {
			&durableiterator.HandlerPlugin{Signer: key, MaxTokenBytes: 100}, durableiterator.New[string]("room", nil),
			"MaxTokenBytes is 100",
		},
		"too large for its own limit": {
			&durableiterator.HandlerPlugin{Signer: key, MaxTokenBytes: 1000},
			durableiterator.New[string]("room", &durableiterator.Options{MaxTokenBytes: 50}), "MaxTokenBytes is 50",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			w := httptest.NewRecorder()
			serve(c.plugin, c.it, rpc.HandlerOptions{Logger: slog.New(slog.NewTextHandler(&log, nil))}, "", w)
			require.Equal(t, http.StatusInternalServerError, w.Code)
			require.NotContains(t, w.Header(), "X-Orpc-Durable-Iterator")
			require.Equal(t, `{"json":{"defined":false,"code":"INTERNAL_SERVER_ERROR","status":500,"message":"Internal server error"}}`, w.Body.String())
			require.Contains(t, log.String(), c.log)
		})
	}
}

func TestInterceptorsSeeTheToken(t *testing.T) {
	var seen any
	o := rpc.HandlerOptions{Interceptors: []rpc.Interceptor{
		rpc.OnSuccess(func(_ context.Context, _ *rpc.Call, output any) { seen = output }),
	}}
	serve(&durableiterator.HandlerPlugin{Signer: key}, durableiterator.New[string]("room", nil), o, "", httptest.NewRecorder())
	require.IsType(t, "", seen)
}

func TestHeaderIsExposedToOtherOrigins(t *testing.T) {
	const name = "x-orpc-durable-iterator"
	cases := map[string]struct {
		origin string
		before []string
		want   []string
	}{
		"no origin":             {"", nil, nil},
		"an origin":             {"https://a.b", nil, []string{name}},
		"in addition to others": {"https://a.b", []string{"X-Other"}, []string{"X-Other", name}},
		"already exposed":       {"https://a.b", []string{"X-Other, X-ORPC-Durable-Iterator"}, []string{"X-Other, X-ORPC-Durable-Iterator"}},
	}
	for label, c := range cases {
		t.Run(label, func(t *testing.T) {
			recorder := func() *httptest.ResponseRecorder {
				w := httptest.NewRecorder()
				for _, line := range c.before {
					w.Header().Add("Access-Control-Expose-Headers", line)
				}
				return w
			}
			w := recorder()
			trusting := rpc.HandlerOptions{TrustedOrigins: []string{"https://a.b"}}
			serve(&durableiterator.HandlerPlugin{Signer: key}, durableiterator.New[string]("room", nil), trusting, c.origin, w)
			require.Equal(t, http.StatusOK, w.Code)
			requireSecret(t, w.Header())
			require.Equal(t, c.want, w.Header()["Access-Control-Expose-Headers"])

			w = recorder()
			r := httptest.NewRequest(http.MethodGet, "/token", nil)
			r.Header.Set("Origin", c.origin)
			durableiterator.New[string]("room", &durableiterator.Options{Signer: key}).ServeHTTP(w, r)
			require.Equal(t, c.want, w.Header()["Access-Control-Expose-Headers"])
			requireSecret(t, w.Header())
		})
	}
}

// requireSecret checks that no cache keeps an answer with a token.
func requireSecret(t *testing.T, header http.Header) {
	t.Helper()
	require.Equal(t, "no-store", header.Get("Cache-Control"))
	require.Equal(t, "nosniff", header.Get("X-Content-Type-Options"))
}

// Responses without a token may be cached.
func TestOtherOutputsAreNoSecret(t *testing.T) {
	w := httptest.NewRecorder()
	other := rpc.Define[rpc.Void, string]("other")
	rpc.NewHandler(rpc.NewRouter(other.Handler(func(context.Context, rpc.Void) (string, error) { return "", nil })), &rpc.HandlerOptions{
		Plugins: []rpc.HandlerPlugin{&durableiterator.HandlerPlugin{Signer: key}},
	}).ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/other", nil))
	require.Equal(t, http.StatusOK, w.Code)
	require.NotContains(t, w.Header(), "Cache-Control")
}

func TestServeHTTP(t *testing.T) {
	w := httptest.NewRecorder()
	durableiterator.New[string]("room", &durableiterator.Options{Signer: key}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/token", nil))
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, "application/json", w.Header().Get("Content-Type"))
	requireSecret(t, w.Header())
	require.Equal(t, "1", w.Header().Get("x-orpc-durable-iterator"))
	require.Equal(t, "room", tokenIn(t, w.Body.String()).Channel)
}

func TestServeHTTPWithoutSigner(t *testing.T) {
	var log bytes.Buffer
	it := durableiterator.New[string]("room", &durableiterator.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	w := httptest.NewRecorder()
	it.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/token", nil))
	require.Equal(t, http.StatusInternalServerError, w.Code)
	require.NotContains(t, w.Header(), "X-Orpc-Durable-Iterator")
	require.Contains(t, log.String(), "no signer")
}

// The largest token that can be made is the largest one that a namespace accepts by default.
func TestLargestToken(t *testing.T) {
	t.Parallel()
	sign := func(att, limit int) (string, error) {
		return durableiterator.New[string]("room", &durableiterator.Options{
			Signer: key, Att: strings.Repeat("x", att), ID: "i", MaxTokenBytes: limit,
		}).Token(t.Context())
	}
	small, err := sign(1, 0)
	require.NoError(t, err)
	room := token.DefaultMaxBytes - len(small) + 1
	largest, err := sign(room, 0)
	require.NoError(t, err)
	require.Len(t, largest, token.DefaultMaxBytes)
	_, err = sign(room+1, 0)
	require.ErrorIs(t, err, durableiterator.ErrTokenSize)
	_, err = sign(room+1, token.DefaultMaxBytes+1)
	require.NoError(t, err)
	_, err = sign(100_000, -1)
	require.NoError(t, err)
}

func TestHandlerPluginIsChecked(t *testing.T) {
	t.Parallel()
	require.PanicsWithValue(t, "durableiterator: HandlerPlugin: TokenTTL is negative", func() {
		(&durableiterator.HandlerPlugin{TokenTTL: -1}).InitHandler(&rpc.HandlerOptions{})
	})
	require.PanicsWithValue(t, "durableiterator: HandlerPlugin: MaxTokenBytes is negative", func() {
		(&durableiterator.HandlerPlugin{MaxTokenBytes: -1}).InitHandler(&rpc.HandlerOptions{})
	})
	require.PanicsWithValue(t, "durableiterator: HandlerPlugin: Signer is an empty token.Secret", func() {
		(&durableiterator.HandlerPlugin{Signer: token.Secret("")}).InitHandler(&rpc.HandlerOptions{})
	})
}

func TestHandlerPluginIsCopied(t *testing.T) {
	t.Parallel()
	plugin := &durableiterator.HandlerPlugin{Signer: token.Secret("k"), TokenTTL: time.Minute}
	var o rpc.HandlerOptions
	plugin.InitHandler(&o)
	plugin.Signer, plugin.TokenTTL = nil, time.Hour
	call := &rpc.Call{Header: http.Header{}, ResponseHeader: http.Header{}}
	out, err := o.Interceptors[0](t.Context(), call, func(context.Context, *rpc.Call) (any, error) {
		return durableiterator.New[string]("room", nil), nil
	})
	require.NoError(t, err)
	p, err := token.Parse(out.(string))
	require.NoError(t, err)
	require.Equal(t, time.Minute, p.ExpiresAt.Sub(p.IssuedAt))
}
