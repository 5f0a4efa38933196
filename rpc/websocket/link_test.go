//go:build !js

package websocket_test

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	coder "github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/websocket"
)

func TestCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, client := hostRouter(t, fixtureRouter(), nil)
		link := dial(t, client, websocket.LinkOptions{})
		text, err := ping.Call(t.Context(), link, rpc.Void{})
		require.NoError(t, err)
		require.Equal(t, "pong", text)
		got, err := readable.Call(t.Context(), link, "x")
		require.NoError(t, err)
		require.Equal(t, map[string]any{"got": "x"}, got)
		out, err := echo.Call(t.Context(), link, map[string]any{"at": date()})
		require.NoError(t, err)
		require.Equal(t, date(), out.(map[string]any)["at"])
		last, err := lastEventID.Call(t.Context(), link, rpc.Void{}, rpc.WithLastEventID("7"))
		require.NoError(t, err)
		require.Equal(t, "7", last)
		_, err = fail.Call(t.Context(), link, teapotData{Kind: "green"})
		data, ok := errTeapot.As(err)
		require.True(t, ok, "%v", err)
		require.Equal(t, "green", data.Kind)
		_, err = sendMessage.Call(t.Context(), link, messageInput{})
		require.Equal(t, rpc.CodeBadRequest, rpc.CodeOf(err))
		_, err = link.Call(t.Context(), &rpc.Call{Path: []string{"nope"}})
		require.Equal(t, rpc.CodeNotFound, rpc.CodeOf(err))
	})
}

func TestCarriesLargeMessages(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("x", 3<<20)
	synctest.Test(t, func(t *testing.T) {
		_, client := hostRouter(t, fixtureRouter(), &websocket.HandlerOptions{MaxMessageBytes: 4 << 20})
		out, err := echo.Call(t.Context(), dial(t, client, websocket.LinkOptions{}), large)
		require.NoError(t, err)
		require.Equal(t, large, out)
	})
}

func TestLimitsMessages(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("x", 2<<10)
	tests := map[string]struct {
		client  websocket.LinkOptions
		handler websocket.HandlerOptions
	}{
		"of the server": {client: websocket.LinkOptions{MaxMessageBytes: 1 << 10}},
		"of the client": {handler: websocket.HandlerOptions{MaxMessageBytes: 1 << 10}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				_, client := hostRouter(t, fixtureRouter(), &test.handler)
				link := dial(t, client, test.client)
				_, err := echo.Call(t.Context(), link, large)
				require.ErrorIs(t, err, rpc.ErrDisconnected)
				<-link.Done()
				if test.client.MaxMessageBytes > 0 {
					require.ErrorIs(t, link.Err(), coder.ErrMessageTooBig)
				} else {
					require.Equal(t, coder.StatusMessageTooBig, coder.CloseStatus(link.Err()))
				}
			})
		})
	}
}

func TestDialRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := host(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") == "" {
				http.Error(w, "who are you?", http.StatusUnauthorized)
			}
		}))
		_, err := websocket.Dial(t.Context(), "ws://memory/rpc", &websocket.LinkOptions{HTTPClient: client})
		require.Equal(t, rpc.CodeUnauthorized, rpc.CodeOf(err))
		data, dataErr := rpc.ErrorData[rpc.ErrorResponse](err)
		require.NoError(t, dataErr)
		require.Equal(t, "who are you?\n", data.Body)

		_, err = websocket.Dial(t.Context(), "ws://memory/rpc", &websocket.LinkOptions{HTTPClient: client, Header: http.Header{"Authorization": {"me"}}})
		require.Error(t, err, "200 is not an upgrade")
		var e *rpc.Error
		require.NotErrorAs(t, err, &e)
	})
}

func TestDialContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		never := host(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := websocket.Dial(ctx, "ws://memory/rpc", &websocket.LinkOptions{HTTPClient: never})
		require.ErrorIs(t, err, context.DeadlineExceeded)

		_, client := hostRouter(t, fixtureRouter(), nil)
		ctx, cancel = context.WithCancel(t.Context())
		link, err := websocket.Dial(ctx, "ws://memory/rpc", &websocket.LinkOptions{HTTPClient: client})
		require.NoError(t, err)
		cancel()
		synctest.Wait()
		_, err = ping.Call(t.Context(), link, rpc.Void{})
		require.NoError(t, err, "it governs the dialing only")
		require.NoError(t, link.Close())
	})
}

func TestCancelReachesTheHandler(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBlocked()
		slow := rpc.Define[rpc.Void, string]("slow")
		_, client := hostRouter(t, rpc.NewRouter(
			slow.Handler(b.handle),
			ping.Handler(pong),
		), nil)
		link := dial(t, client, websocket.LinkOptions{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := slow.Call(ctx, link, rpc.Void{})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		synctest.Wait()
		require.Len(t, b.ended, 1)
		_, err = ping.Call(t.Context(), link, rpc.Void{})
		require.NoError(t, err, "the connection is fine")
	})
}

func TestLinkClose(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		code := make(chan coder.StatusCode, 1)
		client := host(t, accept(func(conn *coder.Conn) {
			for {
				if _, _, err := conn.Read(context.Background()); err != nil {
					code <- coder.CloseStatus(err)
					return
				}
			}
		}))
		link := dial(t, client, websocket.LinkOptions{})
		done := startPing(t.Context(), link)
		synctest.Wait()
		require.NoError(t, link.Err())
		require.NoError(t, link.Close())
		require.ErrorIs(t, <-done, rpc.ErrDisconnected)
		require.Equal(t, coder.StatusNormalClosure, <-code)
		<-link.Done()
		require.NoError(t, link.Err())
		require.NoError(t, link.Close())
		_, err := ping.Call(t.Context(), link, rpc.Void{})
		require.ErrorIs(t, err, rpc.ErrDisconnected)
	})
}

// deaf answers the handshake and then calls serve with the connection.
func deaf(w http.ResponseWriter, r *http.Request, serve func(net.Conn, *bufio.ReadWriter)) {
	_, _ = coder.Accept(hijacked{w, serve}, r, nil) // returns an error, since serve keeps the connection
}

// hijacked is a http.ResponseWriter that passes the connection to a test instead of the
// WebSocket server.
type hijacked struct {
	http.ResponseWriter
	serve func(net.Conn, *bufio.ReadWriter)
}

func (h hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, brw, err := h.ResponseWriter.(http.Hijacker).Hijack()
	if err != nil {
		return nil, nil, err
	}
	h.serve(nc, brw)
	return nil, nil, net.ErrClosed
}

func TestLinkDoesNotWaitForACloseFrame(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		received := make(chan int, 1)
		client := host(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			deaf(w, r, func(_ net.Conn, brw *bufio.ReadWriter) {
				total := 0
				for {
					n, err := brw.Read(make([]byte, 100))
					if total += n; err != nil {
						received <- total
						return
					}
				}
			})
		}))
		link := dial(t, client, websocket.LinkOptions{})
		begun := time.Now()
		require.NoError(t, link.Close())
		require.LessOrEqual(t, time.Since(begun), time.Second)
		require.Equal(t, 2+4+2, <-received, "a close frame with a code")
	})
}

func TestLinkGivesUpOnAStuckServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		over := make(chan struct{})
		defer close(over)
		client := host(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			deaf(w, r, func(nc net.Conn, _ *bufio.ReadWriter) {
				<-over // without having read
				_ = nc.Close()
			})
		}))
		link := dial(t, client, websocket.LinkOptions{WriteTimeout: 10 * time.Second})
		begun := time.Now()
		_, err := ping.Call(t.Context(), link, rpc.Void{})
		require.ErrorIs(t, err, rpc.ErrDisconnected)
		require.Equal(t, 10*time.Second, time.Since(begun))
		<-link.Done()
		require.Error(t, link.Err())
		require.ErrorIs(t, link.Close(), link.Err())
	})
}

func TestLinkEndsWithTheConnection(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		end  func(*coder.Conn)
		code coder.StatusCode
	}{
		"closed": {func(c *coder.Conn) { _ = c.Close(1013, "later") }, 1013},
		"cut":    {func(c *coder.Conn) { _ = c.CloseNow() }, -1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				client := host(t, accept(func(conn *coder.Conn) {
					if _, _, err := conn.Read(context.Background()); err == nil {
						test.end(conn)
					}
				}))
				link := dial(t, client, websocket.LinkOptions{})
				_, err := ping.Call(t.Context(), link, rpc.Void{})
				require.ErrorIs(t, err, rpc.ErrDisconnected)
				<-link.Done()
				require.Error(t, link.Err())
				require.Equal(t, test.code, coder.CloseStatus(link.Err()))
			})
		})
	}
}
