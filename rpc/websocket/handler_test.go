//go:build !js

package websocket_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	coder "github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/websocket"
)

func TestHandlerChecksTheOrigin(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		origin   string
		patterns []string
		any      bool
		status   int // 0 means that it is accepted
	}{
		"none":             {},
		"own host":         {origin: "http://memory"},
		"any":              {origin: "https://evil.example", any: true},
		"foreign":          {origin: "https://evil.example", status: http.StatusForbidden},
		"pattern":          {origin: "https://app.example.com", patterns: []string{"*.example.com"}},
		"pattern no match": {origin: "https://example.org", patterns: []string{"*.example.com"}, status: http.StatusForbidden},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				_, client := hostRouter(t, fixtureRouter(), &websocket.HandlerOptions{OriginPatterns: test.patterns, AnyOrigin: test.any})
				header := http.Header{}
				if test.origin != "" {
					header.Set("Origin", test.origin)
				}
				link, err := websocket.Dial(t.Context(), "ws://memory/rpc", &websocket.LinkOptions{HTTPClient: client, Header: header})
				if test.status == 0 {
					require.NoError(t, err)
					require.NoError(t, link.Close())
					return
				}
				data, dataErr := rpc.ErrorData[rpc.ErrorResponse](err)
				require.NoError(t, dataErr)
				require.Equal(t, test.status, data.Status)
			})
		})
	}
}

func TestNewHandlerChecksOriginPatterns(t *testing.T) {
	t.Parallel()
	require.PanicsWithValue(t, `websocket: NewHandler: OriginPatterns: socket: origin pattern "[": syntax error in pattern`, func() {
		websocket.NewHandler(fixtureRouter(), &websocket.HandlerOptions{OriginPatterns: []string{"["}})
	})
}

func TestHandlerRefusesPlainRequests(t *testing.T) {
	t.Parallel()
	h := websocket.NewHandler(fixtureRouter(), nil)
	status := func() int {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/rpc", nil))
		return w.Code
	}
	require.Equal(t, http.StatusUpgradeRequired, status())
	require.NoError(t, h.Shutdown(t.Context()))
	require.Equal(t, http.StatusServiceUnavailable, status())
	require.NoError(t, h.Shutdown(t.Context()), "a second time")
}

func TestHandlerInterceptors(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var seen []string
		see := func(who string) rpc.Interceptor {
			return rpc.OnStart(func(ctx context.Context, call *rpc.Call) {
				seen = append(seen, who+" "+strings.Join(call.Path, ".")+" "+ctx.Value(ctxKey{}).(string))
			})
		}
		h := websocket.NewHandler(fixtureRouter(), &websocket.HandlerOptions{
			Interceptors: []rpc.Interceptor{see("option")},
			Plugins:      []rpc.HandlerPlugin{interceptorPlugin{see("plugin")}},
		})
		client := host(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), ctxKey{}, "user")))
		}))
		link := dial(t, client, websocket.LinkOptions{})
		_, err := ping.Call(t.Context(), link, rpc.Void{})
		require.NoError(t, err)
		_, err = link.Call(t.Context(), &rpc.Call{Path: []string{"nope"}})
		require.Error(t, err)
		require.Equal(t, []string{"option nested.ping user", "plugin nested.ping user"}, seen)
		require.NoError(t, link.Close())
		require.NoError(t, h.Shutdown(t.Context()))
	})
}

type ctxKey struct{}

type interceptorPlugin struct{ interceptor rpc.Interceptor }

func (p interceptorPlugin) InitHandler(o *rpc.HandlerOptions) {
	o.Interceptors = append(o.Interceptors, p.interceptor)
}

func TestHandlerEndsCallsWithTheConnection(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBlocked()
		_, client := hostRouter(t, blockedRouter(b), nil)
		link := dial(t, client, websocket.LinkOptions{})
		done := startPing(t.Context(), link)
		synctest.Wait()
		require.NoError(t, link.Close())
		require.Error(t, <-done)
		synctest.Wait()
		require.Len(t, b.ended, 1)
	})
}

func TestHandlerShutdown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBlocked()
		h, client := hostRouter(t, blockedRouter(b), nil)
		links := []*websocket.Link{dial(t, client, websocket.LinkOptions{}), dial(t, client, websocket.LinkOptions{})}
		done := startPing(t.Context(), links[0])
		synctest.Wait()
		require.NoError(t, h.Shutdown(t.Context()))
		require.Len(t, b.ended, 1, "calls have returned")
		require.ErrorIs(t, <-done, rpc.ErrDisconnected)
		for _, link := range links {
			<-link.Done()
			require.Equal(t, coder.StatusServiceRestart, coder.CloseStatus(link.Err()))
		}
		_, err := websocket.Dial(t.Context(), "ws://memory/rpc", &websocket.LinkOptions{HTTPClient: client})
		require.Equal(t, rpc.CodeServiceUnavailable, rpc.CodeOf(err))
	})
}

func TestHandlerShutdownGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stubborn := make(chan struct{})
		h, client := hostRouter(t, rpc.NewRouter(ping.Handler(func(context.Context, rpc.Void) (string, error) {
			<-stubborn
			return "pong", nil
		})), nil)
		conn := dialRaw(t, client) // does not read, so it answers no close frame
		require.NoError(t, conn.Write(t.Context(), coder.MessageText, []byte(`{"i":"1","p":{"u":"/nested/ping"}}`)))
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, h.Shutdown(ctx), context.DeadlineExceeded)
		_, _, err := conn.Read(t.Context())
		require.Error(t, err, "the connection was cut")
		close(stubborn)
	})
}

func TestHandlerDropsSilentClients(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, client := hostRouter(t, fixtureRouter(), &websocket.HandlerOptions{PingInterval: time.Minute})
		link := dial(t, client, websocket.LinkOptions{}) // its reader answers pings
		silent := dialRaw(t, client)
		time.Sleep(10 * time.Minute)
		_, err := ping.Call(t.Context(), link, rpc.Void{})
		require.NoError(t, err)
		require.Error(t, silent.Write(t.Context(), coder.MessageText, []byte(`{}`)))
	})
}

func TestHandlerWaitsForSlowReaders(t *testing.T) {
	t.Parallel()
	const answers, size = 20, 500_000
	synctest.Test(t, func(t *testing.T) {
		running := 0
		var mu sync.Mutex
		big := rpc.Define[rpc.Void, string]("big")
		_, client := hostRouter(t, rpc.NewRouter(big.Handler(func(context.Context, rpc.Void) (string, error) {
			mu.Lock()
			running++
			mu.Unlock()
			return strings.Repeat("x", size), nil
		})), &websocket.HandlerOptions{MaxCalls: 10})
		conn := dialRaw(t, client)
		for i := range answers {
			synctest.Wait()
			require.NoError(t, conn.Write(t.Context(), coder.MessageText, []byte(`{"i":`+strconv.Itoa(i)+`,"p":{"u":"/big"}}`)))
		}
		synctest.Wait()
		require.Less(t, running, answers, "calls of a client that does not read are held up")
		got := 0
		for range answers {
			_, m, err := conn.Read(t.Context())
			require.NoError(t, err)
			if len(m) > size {
				got++
			}
		}
		require.Equal(t, running, got, "all others were refused, and no answer is lost")
	})
}

func TestHandlerDropsClientsThatNeverRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, client := hostRouter(t, fixtureRouter(), nil)
		conn := dialRaw(t, client)
		start := time.Now()
		for n := range 100_000 { // when there is no room for its answers, nothing is read
			if conn.Write(t.Context(), coder.MessageText, []byte(`{"i":"`+strconv.Itoa(n)+`"}`)) != nil {
				break
			}
		}
		require.Error(t, conn.Write(t.Context(), coder.MessageText, []byte(`{}`)))
		require.Less(t, time.Since(start), 20*time.Second)
	})
}

// This test uses real connections, with their buffers and system calls.
func TestCallsOverTCP(t *testing.T) {
	t.Parallel()
	h := websocket.NewHandler(fixtureRouter(), nil)
	server := httptest.NewServer(h)
	defer server.Close()
	link, err := websocket.Dial(t.Context(), server.URL, nil)
	require.NoError(t, err)
	var callers sync.WaitGroup
	for caller := range 200 {
		callers.Go(func() {
			for n := caller; n < 4000; n += 200 {
				ctx, cancel := context.WithCancel(t.Context())
				if n%7 == 0 {
					cancel()
				}
				text := strconv.Itoa(n) + strings.Repeat("x", n*n%10_000)
				out, err := echo.Call(ctx, link, text)
				cancel()
				if n%7 != 0 && (err != nil || out != text) {
					t.Errorf("call %d: %v", n, err)
				}
			}
		})
	}
	callers.Wait()
	require.NoError(t, h.Shutdown(t.Context()))
	<-link.Done()
	require.Equal(t, coder.StatusServiceRestart, coder.CloseStatus(link.Err()))
	require.ErrorIs(t, link.Close(), link.Err())
}
