//go:build !js

package rpc_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/memhttp"
	"github.com/go-orpc/durable-iterator/rpc"
)

// dialHTTP connects a test to a server below HTTP.
func dialHTTP(t *testing.T, server *memhttp.Server) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := server.Dial(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	return conn, bufio.NewReader(conn)
}

// The server waits for a slow body as long as the options say.
func TestSlowBodies(t *testing.T) {
	t.Parallel()
	request := "POST /%s HTTP/1.1\r\nHost: h\r\nContent-Type: %s\r\nContent-Length: 1000\r\n\r\n%s"
	for name, c := range map[string]struct {
		procedure, contentType, begin string
		timeout, server               time.Duration // of the handler, and of reading altogether
		wait                          time.Duration // -1: forever
	}{
		"JSON":                     {"echo", "application/json", `{"json":`, 0, 0, 30 * time.Second},
		"form":                     {"echo", "multipart/form-data; boundary=b", "--b\r\n", 0, 0, 30 * time.Second},
		"text":                     {"echo", "text/plain", "", 0, 0, 30 * time.Second},
		"other timeout":            {"echo", "application/json", "", time.Minute, 0, time.Minute},
		"none":                     {"echo", "application/json", "", -1, 0, -1},
		"the server's, if less":    {"echo", "application/json", "", 0, 3 * time.Second, 3 * time.Second},
		"its own, if that is":      {"echo", "application/json", "", 0, time.Hour, 30 * time.Second},
		"the server's if no other": {"echo", "application/json", "", -1, time.Hour, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				h := rpc.NewHandler(fixtureRouter(), &rpc.HandlerOptions{BodyTimeout: c.timeout})
				server := memhttp.NewServer(h, func(s *http.Server) { s.ReadTimeout = c.server })
				defer server.Close()
				conn, answers := dialHTTP(t, server)
				start := time.Now()
				_, err := fmt.Fprintf(conn, request, c.procedure, c.contentType, c.begin)
				require.NoError(t, err)
				if c.wait < 0 {
					time.Sleep(24 * time.Hour)
					require.NoError(t, conn.SetReadDeadline(time.Now()))
					_, err := answers.Peek(1)
					require.ErrorIs(t, err, os.ErrDeadlineExceeded, "nothing has arrived")
					return
				}
				res, err := http.ReadResponse(answers, nil)
				require.NoError(t, err)
				require.Equal(t, c.wait, time.Since(start))
				body, err := io.ReadAll(res.Body)
				require.NoError(t, err)
				require.Equal(t, http.StatusRequestTimeout, res.StatusCode)
				require.Equal(t, rpc.CodeTimeout, errorIn(t, body).Code)
				_, err = answers.Peek(1)
				require.ErrorIs(t, err, io.EOF, "and the connection is closed")
			})
		})
	}
}

// trickle is a body that comes slowly through middleware that knows no deadlines.
type trickle struct{}

func (trickle) Read(p []byte) (int, error) {
	time.Sleep(time.Second)
	return copy(p, " "), nil
}

func TestBodiesThatTrickle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := httptest.NewRecorder()
		start := time.Now()
		rpc.NewHandler(fixtureRouter(), nil).ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/echo", trickle{}))
		require.Equal(t, http.StatusRequestTimeout, w.Code)
		require.Equal(t, 30*time.Second, time.Since(start))
	})
}

// The deadline of a body does not apply to anything after it.
func TestBodyTimeoutEndsWithTheBody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := memhttp.NewServer(rpc.NewHandler(rpc.NewRouter(count.Handler(runCount)), nil))
		defer server.Close()
		for _, body := range []string{`{"json":{"to":3,"ms":3600000}}`, formOf(`{"json":{"to":3,"ms":3600000}}`)} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL()+"/count", struct{ io.Reader }{strings.NewReader(body)})
			require.NoError(t, err)
			if body[0] == '-' {
				r.Header.Set("Content-Type", "multipart/form-data; boundary=b")
			}
			res, err := server.Client().Do(r)
			require.NoError(t, err)
			text, err := io.ReadAll(res.Body)
			require.NoError(t, err)
			require.NoError(t, res.Body.Close())
			require.Contains(t, string(text), "event: done\ndata: {\"json\":{\"total\":3}}\n\n")
		}
	})
}

func formOf(data string) string {
	return "--b\r\nContent-Disposition: form-data; name=\"data\"\r\n\r\n" + data + "\r\n--b--\r\n"
}

// A request that is refused without its body is answered at once. The connection serves
// further requests if the body arrives anyway.
func TestRefusalsDoNotWaitForBodies(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		request string // its first lines
		status  int
	}{
		"no procedure":    {"POST /nothing HTTP/1.1\r\n", 404},
		"method":          {"OPTIONS /echo HTTP/1.1\r\n", 405},
		"GET":             {"GET /echo HTTP/1.1\r\n", 405},
		"origin":          {"POST /echo HTTP/1.1\r\nOrigin: https://evil.example\r\n", 403},
		"GET with a body": {"GET /readable HTTP/1.1\r\n", 200},
	} {
		for size, length := range map[string]int{"small": 100, "large": 100_000} {
			t.Run(name+", "+size, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					server := memhttp.NewServer(rpc.NewHandler(fixtureRouter(), nil))
					defer server.Close()
					request := fmt.Sprintf("%sHost: h\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", c.request, length)
					answer := func(conn net.Conn, answers *bufio.Reader) {
						start := time.Now()
						_, err := io.WriteString(conn, request)
						require.NoError(t, err)
						res, err := http.ReadResponse(answers, nil)
						require.NoError(t, err)
						require.Equal(t, c.status, res.StatusCode)
						_, err = io.ReadAll(res.Body)
						require.NoError(t, err)
						require.Zero(t, time.Since(start))
					}
					conn, answers := dialHTTP(t, server)
					answer(conn, answers)
					start := time.Now()
					_, err := answers.Peek(1)
					require.ErrorIs(t, err, io.EOF)
					require.Equal(t, 5*time.Second, time.Since(start), "the rest has little time")
				})
			})
		}
	}
}

// If the body has arrived with the request, the connection is reused.
func TestRefusalsKeepConnections(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := memhttp.NewServer(rpc.NewHandler(fixtureRouter(), nil))
		defer server.Close()
		conn, answers := dialHTTP(t, server)
		for range 3 {
			_, err := io.WriteString(conn, "POST /nothing HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n{\"json\":1}")
			require.NoError(t, err)
			res, err := http.ReadResponse(answers, nil)
			require.NoError(t, err)
			require.Equal(t, http.StatusNotFound, res.StatusCode)
			_, err = io.ReadAll(res.Body)
			require.NoError(t, err)
		}
	})
}

// A body that is announced too large is not read at all, and its sender learns why.
func TestBodiesThatAreTooLarge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := memhttp.NewServer(rpc.NewHandler(fixtureRouter(), nil))
		defer server.Close()
		conn, answers := dialHTTP(t, server)
		_, err := io.WriteString(conn, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 2000000\r\n\r\n")
		require.NoError(t, err)
		res, err := http.ReadResponse(answers, nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusRequestEntityTooLarge, res.StatusCode)
		time.Sleep(time.Second) // net/http lets the answer arrive
	})
}

// A client that reads nothing for StallTimeout loses its connection. One that reads a
// little now and then keeps it.
func TestStalledAnswers(t *testing.T) {
	t.Parallel()
	large := rpc.Define[int, string]("large")
	flood := rpc.DefineEvents[int, string, rpc.Void]("flood")
	text := strings.Repeat("x", 100_000)
	for name, request := range map[string]string{
		"an answer": "POST /large HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n{\"json\":1}",
		"a stream":  "POST /flood HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n{\"json\":1}",
	} {
		for _, timeout := range []time.Duration{0, time.Minute, -1} {
			for _, slow := range []bool{false, true} {
				t.Run(fmt.Sprint(name, ", timeout ", timeout, ", slow ", slow), func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) {
						ended := make(chan struct{})
						server := memhttp.NewServer(rpc.NewHandler(rpc.NewRouter(
							large.Handler(func(ctx context.Context, _ int) (string, error) {
								context.AfterFunc(ctx, func() { close(ended) })
								return text, nil
							}),
							flood.Handler(func(_ context.Context, _ int, w *rpc.EventWriter[string]) (rpc.Void, error) {
								defer close(ended)
								return rpc.Void{}, w.Send(text)
							}),
						), &rpc.HandlerOptions{StallTimeout: timeout}))
						defer server.Close()
						conn, answers := dialHTTP(t, server)
						_, err := io.WriteString(conn, request)
						require.NoError(t, err)
						res, err := http.ReadResponse(answers, nil)
						require.NoError(t, err)
						start := time.Now()
						if slow {
							total := 0
							for total < len(text) {
								time.Sleep(time.Second)
								n, err := io.ReadFull(res.Body, make([]byte, 4000))
								total += n
								if err != nil {
									require.ErrorIs(t, err, io.ErrUnexpectedEOF)
									break
								}
							}
							require.GreaterOrEqual(t, total, len(text))
							go func() { _, _ = io.Copy(io.Discard, answers) }()
							<-ended
							return
						}
						if timeout < 0 {
							time.Sleep(24 * time.Hour)
							select {
							case <-ended:
								require.Fail(t, "it is not limited")
							default:
							}
							return
						}
						<-ended
						want := timeout
						if want == 0 {
							want = 10 * time.Second
						}
						require.Equal(t, want, time.Since(start))
						synctest.Wait()
						_, err = io.ReadAll(answers)
						require.NoError(t, err, "the connection is closed")
					})
				})
			}
		}
	}
}

// A deadline that has passed between two events ends no stream over HTTP/2.
func TestStreamsOverHTTP2(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var protocols http.Protocols
		protocols.SetUnencryptedHTTP2(true)
		h := rpc.NewHandler(rpc.NewRouter(count.Handler(runCount)), &rpc.HandlerOptions{StallTimeout: time.Second})
		server := memhttp.NewServer(h, func(s *http.Server) { s.Protocols = &protocols })
		defer server.Close()
		transport, ok := server.Client().Transport.(*http.Transport)
		require.True(t, ok)
		transport.Protocols = &protocols
		link := rpc.NewLink(server.URL(), &rpc.LinkOptions{HTTPClient: server.Client()})
		events, err := count.Call(t.Context(), link, countInput{To: 3, MS: 60_000})
		require.NoError(t, err)
		all, err := readAll(events)
		require.NoError(t, err)
		require.Equal(t, counted(1, 3), all)
	})
}

// A stream may last longer than the WriteTimeout of the server.
func TestStreamsOutliveTheWriteTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := rpc.NewHandler(rpc.NewRouter(count.Handler(runCount)), nil)
		server := memhttp.NewServer(h, func(s *http.Server) { s.WriteTimeout = time.Second })
		defer server.Close()
		link := rpc.NewLink(server.URL(), &rpc.LinkOptions{HTTPClient: server.Client()})
		events, err := count.Call(t.Context(), link, countInput{To: 3, MS: 60_000})
		require.NoError(t, err)
		all, err := readAll(events)
		require.NoError(t, err)
		require.Equal(t, counted(1, 3), all)
	})
}
