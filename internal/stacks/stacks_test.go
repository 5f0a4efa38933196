package stacks

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	chimiddleware "github.com/go-chi/chi/v5/middleware"
	"github.com/gorilla/mux"
	"github.com/klauspost/compress/gzhttp"
	echo4 "github.com/labstack/echo/v4"
	echo4middleware "github.com/labstack/echo/v4/middleware"
	"github.com/labstack/echo/v5"
	echomiddleware "github.com/labstack/echo/v5/middleware"
	"github.com/rs/cors"
	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/websocket"
	"github.com/go-orpc/durable-iterator/token"
)

func init() { gin.SetMode(gin.ReleaseMode) } //nolint:gochecknoinits // it is global, and else gin writes to the standard output

// stacks are routers and middleware, around the handlers of an application.
var stacks = map[string]struct {
	wrap              func(http.Handler) http.Handler
	upgrades, streams bool
}{
	"net/http":                       {func(h http.Handler) http.Handler { return h }, true, true},
	"gorilla/mux":                    {underMux, true, true},
	"chi":                            {underChi, true, true},
	"gin":                            {underGin, true, true},
	"echo":                           {underEcho, true, true},
	"echo 4":                         {underEcho4, true, true},
	"rs/cors":                        {cors.Default().Handler, true, true},
	"gzhttp":                         {func(h http.Handler) http.Handler { return gzhttp.GzipHandler(h) }, true, true},
	"chi, gin in it":                 {func(h http.Handler) http.Handler { return underChi(underGin(h)) }, true, true},
	"gzhttp, gin in it":              {func(h http.Handler) http.Handler { return gzhttp.GzipHandler(underGin(h)) }, true, true},
	"a wrapper with Unwrap":          {wrapped(func(w http.ResponseWriter) http.ResponseWriter { return unwrapping{w} }), true, true},
	"one with Unwrap, gin in it":     {onWrapped(underGin, func(w http.ResponseWriter) http.ResponseWriter { return unwrapping{w} }), true, true},
	"one with Unwrap, echo in it":    {onWrapped(underEcho, func(w http.ResponseWriter) http.ResponseWriter { return unwrapping{w} }), true, true},
	"a wrapper without":              {wrapped(func(w http.ResponseWriter) http.ResponseWriter { return opaque{w} }), false, false},
	"one that flushes":               {wrapped(func(w http.ResponseWriter) http.ResponseWriter { return flushing{w} }), false, true},
	"one without, gin in it":         {onWrapped(underGin, func(w http.ResponseWriter) http.ResponseWriter { return opaque{w} }), false, false},
	"one without, echo in it":        {onWrapped(underEcho, func(w http.ResponseWriter) http.ResponseWriter { return opaque{w} }), false, false},
	"http.TimeoutHandler":            {underTimeout, false, false},
	"http.TimeoutHandler, gin":       {func(h http.Handler) http.Handler { return underTimeout(underGin(h)) }, false, false},
	"http.TimeoutHandler, echo":      {func(h http.Handler) http.Handler { return underTimeout(underEcho(h)) }, false, false},
	"http.TimeoutHandler, chi":       {func(h http.Handler) http.Handler { return underTimeout(underChi(h)) }, false, false},
	"http.TimeoutHandler, gzhttp":    {func(h http.Handler) http.Handler { return underTimeout(gzhttp.GzipHandler(h)) }, false, false},
	"http.MaxBytesHandler":           {func(h http.Handler) http.Handler { return http.MaxBytesHandler(h, 1<<20) }, true, true},
	"http.CrossOriginProtection":     {http.NewCrossOriginProtection().Handler, true, true},
	"http.StripPrefix, of no prefix": {func(h http.Handler) http.Handler { return http.StripPrefix("", h) }, true, true},
}

func underMux(h http.Handler) http.Handler {
	r := mux.NewRouter()
	r.PathPrefix("/").Handler(h)
	return r
}

func underChi(h http.Handler) http.Handler {
	r := chi.NewRouter()
	r.Use(
		chimiddleware.RequestID,
		chimiddleware.RequestLogger(&chimiddleware.DefaultLogFormatter{Logger: slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)}),
		chimiddleware.Recoverer,
		chimiddleware.Timeout(time.Minute),
		chimiddleware.Compress(5, "application/json", "text/event-stream"),
	)
	r.Mount("/", h)
	return r
}

func underGin(h http.Handler) http.Handler {
	r := gin.New()
	r.Use(gin.LoggerWithWriter(io.Discard), gin.RecoveryWithWriter(io.Discard))
	r.Any("/*path", gin.WrapH(h))
	return r
}

func underEcho(h http.Handler) http.Handler {
	e := echo.New()
	e.Use(echomiddleware.Recover(), echomiddleware.Gzip())
	e.Any("/*", echo.WrapHandler(h))
	return e
}

func underEcho4(h http.Handler) http.Handler {
	e := echo4.New()
	e.Logger.SetOutput(io.Discard)
	e.Use(echo4middleware.Recover(), echo4middleware.Gzip())
	e.Any("/*", echo4.WrapHandler(h))
	return e
}

func underTimeout(h http.Handler) http.Handler {
	return http.TimeoutHandler(h, time.Minute, "too late")
}

// unwrapping, opaque and flushing are kinds of ResponseWriter of middleware.
type (
	unwrapping struct{ http.ResponseWriter }
	opaque     struct{ http.ResponseWriter }
	flushing   struct{ http.ResponseWriter }
)

func (w unwrapping) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w flushing) Flush() { w.ResponseWriter.(http.Flusher).Flush() }

func wrapped(wrap func(http.ResponseWriter) http.ResponseWriter) func(http.Handler) http.Handler {
	return onWrapped(func(h http.Handler) http.Handler { return h }, wrap)
}

func onWrapped(
	stack func(http.Handler) http.Handler, wrap func(http.ResponseWriter) http.ResponseWriter,
) func(http.Handler) http.Handler {
	return func(h http.Handler) http.Handler {
		h = stack(h)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(wrap(w), r) })
	}
}

func TestProcedures(t *testing.T) {
	t.Parallel()
	for name, stack := range stacks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := serve(t, stack.wrap)
			for range 2 {
				out, err := ping.Call(t.Context(), a.link(), rpc.Void{})
				require.NoError(t, err)
				require.Equal(t, strings.Repeat("pong ", 1000), out)
			}
			require.Empty(t, a.log.String()+a.server.String())
		})
	}
}

// Each event arrives before the next one is sent. Otherwise the caller and the log get the
// reason.
func TestStreams(t *testing.T) {
	t.Parallel()
	for name, stack := range stacks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := serve(t, stack.wrap)
			events, err := count.Call(t.Context(), a.link(), 3)
			if !stack.streams {
				require.Equal(t, rpc.CodeInternalServerError, rpc.CodeOf(err))
				a.log.requireLine(t, `level=ERROR msg="events cannot be streamed"`)
				require.Empty(t, a.server.String())
				return
			}
			require.NoError(t, err)
			next := 1
			go func() { a.sent <- next }()
			for event, err := range events.All() {
				require.NoError(t, err)
				require.Equal(t, next, event)
				if next++; next <= 3 {
					go func() { a.sent <- next }()
				}
			}
			sum, err := events.Result()
			require.NoError(t, err)
			require.Equal(t, 3, sum)
			require.Empty(t, a.log.String()+a.server.String())
		})
	}
}

// A client that has received status 101 is connected.
func TestIterators(t *testing.T) {
	t.Parallel()
	for name, stack := range stacks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := serve(t, stack.wrap)
			if !stack.upgrades {
				tok, err := key.Sign(t.Context(), &token.Payload{Channel: "room", ExpiresAt: time.Now().Add(time.Hour)})
				require.NoError(t, err)
				requireRefusal(t, a.address+"/socket?id=a&token="+url.QueryEscape(tok))
				a.log.requireLine(t, `level=ERROR msg="upgrade refused"`)
				require.Empty(t, a.server.String())
				return
			}
			it, err := client.Subscribe(t.Context(), a.link(), onEvent, rpc.Void{})
			require.NoError(t, err)
			room, err := a.rooms.Get(t.Context(), "room")
			require.NoError(t, err)
			require.NoError(t, room.PublishEvent(t.Context(), "hello"))
			for event, err := range it.All() {
				require.NoError(t, err)
				require.Equal(t, "hello", event)
				break
			}
			require.NoError(t, it.Close())
			require.Empty(t, a.log.String()+a.server.String())
		})
	}
}

func TestCallsOverWebsockets(t *testing.T) {
	t.Parallel()
	for name, stack := range stacks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := serve(t, stack.wrap)
			if !stack.upgrades {
				requireRefusal(t, a.address+"/calls")
				a.log.requireLine(t, `level=ERROR msg="websocket refused"`)
				require.Empty(t, a.server.String())
				return
			}
			link, err := websocket.Dial(t.Context(), a.socket("/calls"), nil)
			require.NoError(t, err)
			_, err = ping.Call(t.Context(), link, rpc.Void{})
			require.NoError(t, err)
			require.NoError(t, link.Close())
			require.Empty(t, a.log.String()+a.server.String())
		})
	}
}

// requireRefusal requests an upgrade that must be refused.
func requireRefusal(t *testing.T, address string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	require.NoError(t, err)
	r.Header = http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"},
		"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
	}
	res, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	require.Equal(t, http.StatusNotImplemented, res.StatusCode)
	require.NotContains(t, res.Header, "Sec-Websocket-Accept")
}

// Both lists of origins are needed: one for the browser, one against other pages.
func TestPagesOfAnotherOrigin(t *testing.T) {
	t.Parallel()
	router := rpc.NewRouter(onEvent.Handler(nil), ping.Handler(nil))
	for name, h := range map[string]http.Handler{"middleware": pages(router), "plugin": site(router, newRooms(t))} {
		res := askAs(h, http.MethodOptions, "/rpc/ping", "https://app.example.com", http.Header{
			"Access-Control-Request-Method": {"POST"}, "Access-Control-Request-Headers": {"content-type,last-event-id"},
		})
		require.Equal(t, "https://app.example.com", res.Header.Get("Access-Control-Allow-Origin"), name)
		require.Equal(t, "true", res.Header.Get("Access-Control-Allow-Credentials"), name)
		res = askAs(h, http.MethodPost, "/rpc/nothing", "https://app.example.com", http.Header{})
		require.Equal(t, http.StatusNotFound, res.StatusCode, name)
		res = askAs(h, http.MethodPost, "/rpc/ping", "https://evil.example", http.Header{})
		require.Equal(t, http.StatusForbidden, res.StatusCode, name)
		require.Empty(t, res.Header.Get("Access-Control-Allow-Origin"), name)
	}
}

func TestSocketsOfAnotherOrigin(t *testing.T) {
	t.Parallel()
	h := site(rpc.NewRouter(), newRooms(t))
	for origin, status := range map[string]int{
		"https://app.example.com":  http.StatusUnauthorized, // there is no token
		"https://evil.example.com": http.StatusForbidden,
	} {
		res := askAs(h, http.MethodGet, "/chat-room?id=a", origin, http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}})
		require.Equal(t, status, res.StatusCode, origin)
	}
}

// newRooms returns a namespace that ends with the test.
func newRooms(t *testing.T) *durableobject.Namespace[*durableobject.Object[string]] {
	t.Helper()
	rooms := durableobject.NewNamespace(func(_ context.Context, o *durableobject.Object[string]) (*durableobject.Object[string], error) {
		return o, nil
	}, &durableobject.Options{Verifier: key})
	t.Cleanup(func() { require.NoError(t, rooms.Shutdown(context.Background())) })
	return rooms
}

// askAs makes a request like a page of another origin.
func askAs(h http.Handler, method, target, origin string, header http.Header) *http.Response {
	r := httptest.NewRequest(method, target, bytes.NewReader(nil))
	r.Header = header.Clone()
	r.Header.Set("Origin", origin)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}
