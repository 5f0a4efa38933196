//go:build !js

package rpc_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/memhttp"
	"github.com/go-orpc/durable-iterator/rpc"
)

const oneTwo = ": \n\nevent: message\nid: a\ndata: {\"json\":{\"n\":1}}\n\ndata: {\"json\":{\"n\":2}}\n\n"

// A body need not end with an event "done".
func TestInputBodies(t *testing.T) {
	t.Parallel()
	h := rpc.NewHandler(rpc.NewRouter(rpc.Define[*rpc.Events[countEvent, *countResult], collected]("collect").Handler(
		func(_ context.Context, in *rpc.Events[countEvent, *countResult]) (collected, error) {
			var all collected
			for event, err := range in.All() {
				if err != nil {
					return all, err
				}
				all.Events = append(all.Events, event.N)
			}
			result, err := in.Result()
			if result != nil {
				all.Total = result.Total
			}
			all.LastID = in.LastEventID()
			return all, err
		})), &rpc.HandlerOptions{MaxBodyBytes: 1 << 10})
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	for name, c := range map[string]struct {
		method, contentType, body string
		status                    int
		want                      string
	}{
		"complete":            {"POST", "text/event-stream", oneTwo + "event: done\ndata: {\"json\":{\"total\":2}}\n\n", 200, `{"json":{"events":[1,2],"lastId":"a","total":2}}`},
		"PUT":                 {"PUT", "text/event-stream", oneTwo, 200, `{"json":{"events":[1,2],"lastId":"a","total":0}}`},
		"with a charset":      {"POST", "text/event-stream; charset=utf-8", oneTwo, 200, `{"json":{"events":[1,2],"lastId":"a","total":0}}`},
		"empty":               {"POST", "text/event-stream", "", 200, `{"json":{"events":null,"lastId":"","total":0}}`},
		"failed":              {"POST", "text/event-stream", "event: error\ndata: {\"json\":{\"defined\":false,\"code\":\"CONFLICT\",\"status\":409,\"message\":\"m\"}}\n\n", 409, "CONFLICT"},
		"cut off":             {"POST", "text/event-stream", oneTwo + "data: 1", 400, "BAD_REQUEST"},
		"an event too large":  {"POST", "text/event-stream", oneTwo + "data: " + strings.Repeat("x", 2<<10) + "\n\n", 413, "PAYLOAD_TOO_LARGE"},
		"a value that is bad": {"POST", "text/event-stream", "data: {\"json\":{\"n\":\"x\"}}\n\n", 400, "BAD_REQUEST"},
		"a bad result":        {"POST", "text/event-stream", "event: done\ndata: {\"json\":1}\n\n", 400, "BAD_REQUEST"},
		"a bad envelope":      {"POST", "text/event-stream", "data: {\n\n", 400, "BAD_REQUEST"},
		"GET":                 {"GET", "text/event-stream", "", 405, "METHOD_NOT_SUPPORTED"},
		"JSON":                {"POST", "application/json", `{"json":1}`, 400, "Expect event iterator"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := http.NewRequestWithContext(t.Context(), c.method, server.URL+"/collect", strings.NewReader(c.body))
			require.NoError(t, err)
			r.Header.Set("Content-Type", c.contentType)
			response, err := server.Client().Do(r)
			require.NoError(t, err)
			defer response.Body.Close() //nolint:errcheck // it was read
			text, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			require.Equal(t, c.status, response.StatusCode, "%s", text)
			require.Contains(t, string(text), c.want)
		})
	}
	t.Run("a writer that cannot be written while the body is read", func(t *testing.T) {
		t.Parallel()
		w := request(h, http.MethodPost, "/collect", oneTwo, http.Header{"Content-Type": {"text/event-stream"}})
		require.Equal(t, http.StatusNotImplemented, w.Code)
		require.Equal(t, rpc.CodeNotImplemented, errorIn(t, w.Body.Bytes()).Code)
	})
}

// Data that follows an input that was not read is never taken for a request.
func TestInputThatIsLeftIsNoRequest(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]string{"plain answer": "/collect", "stream as answer": "/twice"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				served := 0
				h := rpc.NewHandler(rpc.NewRouter(
					collect.Handler(func(context.Context, countInputs) (collected, error) { return collected{}, nil }),
					twice.Handler(func(context.Context, countInputs, *rpc.EventWriter[countEvent]) (countResult, error) {
						return countResult{}, nil
					}),
				), nil)
				conn := rawServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					served++
					h.ServeHTTP(w, r)
				}))
				_, err := fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: h\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n", path)
				require.NoError(t, err)
				response, err := http.ReadResponse(bufio.NewReader(conn), nil)
				require.NoError(t, err)
				require.Equal(t, http.StatusOK, response.StatusCode)
				require.True(t, response.Close)
				_, err = io.ReadAll(response.Body)
				require.NoError(t, err)
				_, _ = fmt.Fprint(conn, "POST /collect HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n") // it may be closed
				time.Sleep(time.Minute)
				require.Equal(t, 1, served)
				_, err = conn.Read(make([]byte, 1))
				require.Error(t, err)
			})
		})
	}
}

// A client that opens an input and sends nothing does not hold the handler. One that sends
// comments does.
func TestInputSilence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan time.Duration, 1)
		start := time.Now()
		conn := rawServer(t, rpc.NewHandler(rpc.NewRouter(collect.Handler(func(ctx context.Context, in countInputs) (collected, error) {
			out, err := runCollect(ctx, in)
			ended <- time.Since(start)
			return out, err
		})), nil))
		_, err := fmt.Fprint(conn, "POST /collect HTTP/1.1\r\nHost: h\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
		require.NoError(t, err)
		for range 10 {
			time.Sleep(50 * time.Second)
			_, err = fmt.Fprint(conn, "4\r\n: \n\n\r\n")
			require.NoError(t, err)
		}
		require.Equal(t, 500*time.Second+time.Minute, <-ended)
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusRequestTimeout, response.StatusCode)
	})
}

// If a handler does not read, the client stops making events once the buffers are full.
func TestInputOverHTTPIsSlowedDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		take := rpc.Define[*rpc.Events[string, rpc.Void], int]("take")
		begin := make(chan struct{})
		server := memhttp.NewServer(rpc.NewHandler(rpc.NewRouter(take.Handler(func(_ context.Context, in *rpc.Events[string, rpc.Void]) (int, error) {
			<-begin
			n := 0
			for _, err := range in.All() {
				if err != nil {
					return n, err
				}
				n++
			}
			return n, nil
		})), nil))
		t.Cleanup(server.Close)
		link := rpc.NewLink(server.URL(), &rpc.LinkOptions{HTTPClient: server.Client()})
		sent := 0
		in := rpc.NewEvents(t.Context(), func(_ context.Context, w *rpc.EventWriter[string]) (rpc.Void, error) {
			for ; sent < 100; sent++ {
				if err := w.Send(strings.Repeat("x", 10<<10)); err != nil {
					return rpc.Void{}, err
				}
			}
			return rpc.Void{}, nil
		})
		done := make(chan int, 1)
		go func() {
			n, err := take.Call(t.Context(), link, in)
			if err != nil {
				n = -1
			}
			done <- n
		}()
		synctest.Wait()
		require.Less(t, sent, 5)
		close(begin)
		require.Equal(t, 100, <-done)
	})
}

// An input of unknown length is not sent to a redirected address.
func TestInputIsNotRedirected(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	}))
	defer server.Close()
	link := rpc.NewLink(server.URL, &rpc.LinkOptions{HTTPClient: server.Client()})
	_, err := collect.Call(t.Context(), link, countTo(t.Context(), countInput{To: 3}))
	require.Error(t, err)
}

// The deadline of an input does not apply to the handler, nor to the next request on the
// connection.
func TestInputLeavesNoDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := memhttp.NewServer(rpc.NewHandler(rpc.NewRouter(collect.Handler(func(ctx context.Context, in countInputs) (collected, error) {
			if _, err := runCollect(ctx, in); err != nil {
				return collected{}, err
			}
			time.Sleep(3 * time.Minute)
			return collected{}, ctx.Err()
		})), nil))
		t.Cleanup(server.Close)
		for range 3 {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL()+"/collect", strings.NewReader("event: done\ndata: {\"json\":{\"total\":1}}\n\n"))
			require.NoError(t, err)
			r.Header.Set("Content-Type", "text/event-stream")
			response, err := server.Client().Do(r)
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, response.StatusCode)
			_, err = io.Copy(io.Discard, response.Body)
			require.NoError(t, err)
		}
	})
}
