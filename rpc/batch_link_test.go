//go:build !js

package rpc_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/memhttp"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// requestLog keeps the requests that a link has sent.
type requestLog struct {
	next http.RoundTripper

	mu   sync.Mutex // guards all
	all  []*http.Request
	body []string
}

func (l *requestLog) RoundTrip(r *http.Request) (*http.Response, error) {
	text := ""
	if r.GetBody != nil {
		body, err := r.GetBody()
		if err != nil {
			return nil, err
		}
		data, err := io.ReadAll(body)
		if err != nil {
			return nil, err
		}
		text = string(data)
	}
	l.mu.Lock()
	l.all, l.body = append(l.all, r), append(l.body, text)
	l.mu.Unlock()
	return l.next.RoundTrip(r)
}

// lines describes the requests: methods, paths, and how many calls are in them.
func (l *requestLog) lines() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var lines []string
	for i, r := range l.all {
		line := r.Method + " " + r.URL.Path
		text := l.body[i]
		if r.Method == http.MethodGet {
			text = r.URL.Query().Get("batch")
		}
		var list []json.RawMessage
		if r.Header.Get("X-Orpc-Batch") != "" && json.Unmarshal([]byte(text), &list) == nil {
			line += fmt.Sprintf(" %s %d", r.Header.Get("X-Orpc-Batch"), len(list))
		}
		lines = append(lines, line)
	}
	return lines
}

// batchLink makes a link with a plugin to a handler with one.
func batchLink(t *testing.T, r *rpc.Router, plugin *rpc.BatchLinkPlugin, o rpc.LinkOptions) (*rpc.Link, *requestLog) {
	t.Helper()
	server := memhttp.NewServer(rpc.NewHandler(r, &rpc.HandlerOptions{
		Prefix: "/rpc", Plugins: []rpc.HandlerPlugin{&rpc.BatchPlugin{}},
	}))
	t.Cleanup(server.Close)
	log := &requestLog{next: server.Client().Transport}
	o.HTTPClient = &http.Client{Transport: log}
	o.Plugins = append(o.Plugins, plugin)
	return rpc.NewLink(server.URL()+"/rpc/", &o), log
}

func TestBatchLinkSendsCallsTogether(t *testing.T) {
	t.Parallel()
	for name, buffered := range map[string]bool{"streaming": false, "buffered": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				link, log := batchLink(t, fixtureRouter(), &rpc.BatchLinkPlugin{Buffered: buffered}, rpc.LinkOptions{})
				var calls sync.WaitGroup
				for i := range 3 {
					calls.Go(func() {
						out, err := echo.Call(t.Context(), link, map[string]any{"i": float64(i), "at": time.Unix(0, 0).UTC()})
						require.NoError(t, err)
						require.Equal(t, map[string]any{"i": float64(i), "at": time.Unix(0, 0).UTC()}, out)
					})
				}
				calls.Go(func() {
					_, err := sendMessage.Call(t.Context(), link, messageInput{Message: "m"})
					require.NoError(t, err)
				})
				calls.Go(func() {
					_, err := fail.Call(t.Context(), link, failInput{Kind: "defined"})
					data, ok := errTeapot.As(err)
					require.True(t, ok, "%v", err)
					require.Equal(t, "green", data.Kind)
				})
				calls.Go(func() {
					_, err := rpc.Define[rpc.Void, any]("missing").Call(t.Context(), link, rpc.Void{})
					require.Equal(t, rpc.CodeNotFound, rpc.CodeOf(err))
					data, err := rpc.ErrorData[rpc.ErrorResponse](err)
					require.NoError(t, err)
					require.Equal(t, "No procedure matched", data.Body)
				})
				calls.Wait()
				require.Len(t, log.lines(), 1)
				require.Regexp(t, `^POST /rpc/[a-zA-Z]+/__batch__ `+name+` 6$`, log.lines()[0])
			})
		})
	}
}

func TestBatchLinkSendsAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		routes := []rpc.Route{
			count.Handler(runCount),
			echo.Handler(func(_ context.Context, in any) (any, error) { return in, nil }),
			upload.Handler(describe),
		}
		link, log := batchLink(t, rpc.NewRouter(routes...), &rpc.BatchLinkPlugin{
			Exclude: func(call *rpc.Call) bool { return call.Header.Get("X-Alone") != "" },
		}, rpc.LinkOptions{})
		var calls sync.WaitGroup
		calls.Go(func() {
			events, err := count.Call(t.Context(), link, countInput{To: 2})
			require.NoError(t, err)
			all, err := readAll(events)
			require.NoError(t, err)
			require.Len(t, all, 2)
		})
		calls.Go(func() {
			_, err := upload.Call(t.Context(), link, uploadInput{File: value.NewFile("a", "text/plain", []byte("a"))})
			require.NoError(t, err)
		})
		calls.Go(func() {
			_, err := echo.Call(t.Context(), link, 1, rpc.WithHeader("X-Alone", "1"))
			require.NoError(t, err)
		})
		calls.Go(func() {
			_, err := echo.Call(t.Context(), link, 2) // has no company
			require.NoError(t, err)
		})
		calls.Wait()
		require.ElementsMatch(t, []string{"POST /rpc/count", "POST /rpc/upload", "POST /rpc/echo", "POST /rpc/echo"}, log.lines())
	})
}

func TestBatchLinkSplits(t *testing.T) {
	t.Parallel()
	callAll := func(t *testing.T, n int, call func(i int)) {
		t.Helper()
		var calls sync.WaitGroup
		for i := range n {
			calls.Go(func() { call(i) })
		}
		calls.Wait()
	}
	t.Run("by size", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			link, log := batchLink(t, fixtureRouter(), &rpc.BatchLinkPlugin{Window: time.Second}, rpc.LinkOptions{})
			start := time.Now()
			callAll(t, 20, func(i int) {
				out, err := echo.Call(t.Context(), link, i)
				require.NoError(t, err)
				require.InDelta(t, i, out, 0)
			})
			require.Equal(t, []string{"POST /rpc/echo/__batch__ streaming 10", "POST /rpc/echo/__batch__ streaming 10"}, log.lines())
			require.Zero(t, time.Since(start)) // a full batch does not wait
		})
	})
	t.Run("by method, address and headers", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			link, log := batchLink(t, fixtureRouter(), &rpc.BatchLinkPlugin{}, rpc.LinkOptions{MaxURLLength: 700})
			callAll(t, 4, func(i int) {
				out, err := readable.Call(t.Context(), link, strings.Repeat("x", 100+i))
				require.NoError(t, err)
				require.Equal(t, strings.Repeat("x", 100+i), out["got"])
			})
			for _, line := range log.lines() {
				require.Equal(t, "GET /rpc/readable/__batch__ streaming 2", line)
			}
			require.Len(t, log.lines(), 2)
			callAll(t, 4, func(i int) {
				_, err := echo.Call(t.Context(), link, i, rpc.WithHeader("Cookie", fmt.Sprint("user=", i%2)))
				require.NoError(t, err)
			})
			require.Equal(t, []string{"POST /rpc/echo/__batch__ streaming 2", "POST /rpc/echo/__batch__ streaming 2"}, log.lines()[2:])
		})
	})
	t.Run("by group", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			link, log := batchLink(t, fixtureRouter(), &rpc.BatchLinkPlugin{
				Group: func(call *rpc.Call) string { return call.Header.Get("X-Group") },
			}, rpc.LinkOptions{})
			callAll(t, 5, func(i int) {
				_, err := echo.Call(t.Context(), link, i, rpc.WithHeader("X-Group", fmt.Sprint(i%2)))
				require.NoError(t, err)
			})
			require.ElementsMatch(t, []string{"POST /rpc/echo/__batch__ streaming 3", "POST /rpc/echo/__batch__ streaming 2"}, log.lines())
		})
	})
}

func TestBatchLinkHeaders(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		router := rpc.NewRouter(echo.Handler(func(ctx context.Context, _ any) (any, error) {
			call, _ := rpc.CallOf(ctx)
			call.ResponseHeader.Set("X-Answer", call.Header.Get("X-Own"))
			return strings.Join(append(call.Header.Values("X-List"), call.Header.Get("Authorization"), call.LastEventID), " "), nil
		}))
		link, log := batchLink(t, router, &rpc.BatchLinkPlugin{}, rpc.LinkOptions{
			Header: func(context.Context, *rpc.Call) (http.Header, error) {
				return http.Header{"Authorization": {"Bearer t"}}, nil
			},
		})
		var calls sync.WaitGroup
		for i := range 2 {
			calls.Go(func() {
				own := fmt.Sprint("own-", i)
				var header http.Header
				out, err := echo.Call(t.Context(), link, i, rpc.WithHeader("X-Own", own), rpc.WithHeader("X-List", "a"),
					rpc.WithHeader("X-List", own), rpc.WithLastEventID(own), rpc.WithResponseHeader(&header))
				require.NoError(t, err)
				require.Equal(t, "a "+own+" Bearer t "+own, out)
				require.Equal(t, own, header.Get("X-Answer"))
			})
		}
		calls.Wait()
		require.Equal(t, "Bearer t", log.all[0].Header.Get("Authorization"))
		require.NotContains(t, log.body[0], "Bearer")
		require.Empty(t, log.all[0].Header.Get("X-Own"))
	})
}

// A slow call does not delay the answers to the others, and a call that is given up does
// not end the others. The server ends such a call too.
func TestBatchLinkCallsAreApart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := rpc.Define[int, int]("slow")
		ended := make(chan int, 3)
		link, log := batchLink(t, rpc.NewRouter(slow.Handler(func(ctx context.Context, in int) (int, error) {
			select {
			case <-time.After(time.Duration(in) * time.Second):
			case <-ctx.Done():
				ended <- in
			}
			return in, ctx.Err()
		})), &rpc.BatchLinkPlugin{}, rpc.LinkOptions{})
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		var calls sync.WaitGroup
		for _, in := range []int{1, 10, 20} {
			calls.Go(func() {
				out, err := slow.Call(ctx, link, in)
				if in == 1 {
					require.NoError(t, err)
					require.Equal(t, 1, out)
					require.Less(t, time.Since(start), 2*time.Second)
					return
				}
				require.ErrorIs(t, err, context.DeadlineExceeded)
			})
		}
		brief, stop := context.WithTimeout(t.Context(), time.Second/2)
		defer stop()
		_, err := slow.Call(brief, link, 30)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Less(t, time.Since(start), time.Second)
		calls.Wait()
		synctest.Wait()
		require.Len(t, log.lines(), 1)
		require.Len(t, ended, 3)
	})
}

func TestBatchLinkIsRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := memhttp.NewServer(rpc.NewHandler(fixtureRouter(), nil)) // without the plugin
		defer server.Close()
		link := rpc.NewLink(server.URL(), &rpc.LinkOptions{HTTPClient: server.Client(), Plugins: []rpc.LinkPlugin{&rpc.BatchLinkPlugin{}}})
		both(func() {
			_, err := echo.Call(t.Context(), link, 1)
			require.Equal(t, rpc.CodeNotFound, rpc.CodeOf(err))
			data, err := rpc.ErrorData[rpc.ErrorResponse](err)
			require.NoError(t, err)
			require.Equal(t, "Not Found", data.Body)
		})
	})
}

// both runs a function twice at the same time.
func both(call func()) {
	var calls sync.WaitGroup
	for range 2 {
		calls.Go(call)
	}
	calls.Wait()
}

func TestBatchLinkReadsAByteOrderMark(t *testing.T) {
	t.Parallel()
	for contentType, body := range map[string]string{
		"application/json":  `[{"index":0,"body":{"json":1}},{"index":1,"body":{"json":1}}]`,
		"text/event-stream": "event: message\ndata: {\"index\":0,\"body\":{\"json\":1}}\n\nevent: message\ndata: {\"index\":1,\"body\":{\"json\":1}}\n\n",
	} {
		t.Run(contentType, func(t *testing.T) {
			t.Parallel()
			network := roundTrip(func(*http.Request) (*http.Response, error) {
				return reply(http.StatusMultiStatus, contentType, "\uFEFF"+body), nil
			})
			link := rpc.NewLink("http://example.test", &rpc.LinkOptions{
				HTTPClient: network.client(), Plugins: []rpc.LinkPlugin{&rpc.BatchLinkPlugin{MaxSize: 2, Window: time.Hour}},
			})
			both(func() {
				out, err := echo.Call(t.Context(), link, 1)
				require.NoError(t, err)
				require.EqualValues(t, 1, out)
			})
		})
	}
}

func TestBatchLinkReadsBrokenAnswers(t *testing.T) {
	t.Parallel()
	good := `{"index":0,"status":200,"body":{"json":1}}`
	for name, c := range map[string]struct {
		contentType, body string
		want              string
	}{
		"incomplete list":   {"application/json", "[" + good + "]", "no answer to the call"},
		"incomplete stream": {"text/event-stream", "data: " + good + "\n\n", "no answer to the call"},
		"cut off":           {"text/event-stream", "data: " + good, "read answer"},
		"an early end":      {"text/event-stream", "event: done\ndata: 1\n\n", "no answer to the call"},
		"no list":           {"application/json", `{}`, "not an answer to a batch"},
		"bad list":          {"application/json", `[{"index":0},`, "read answer"},
		"an index too high": {"application/json", `[{"index":2,"status":200}]`, "not an answer to a batch"},
		"a negative index":  {"application/json", `[{"index":-1,"status":200}]`, "not an answer to a batch"},
		"no index":          {"application/json", `[{"status":200}]`, "no index"},
		"bad headers":       {"application/json", `[{"index":0,"headers":{"a":{}}}]`, "headers"},
		"a page":            {"text/html", "<html>", "text/html"},
		"too large":         {"application/json", `[{"index":0,"body":{"json":"` + strings.Repeat("x", 2000) + `"}}]`, "too large"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			network := roundTrip(func(*http.Request) (*http.Response, error) {
				return reply(http.StatusMultiStatus, c.contentType, c.body), nil
			})
			link := rpc.NewLink("http://example.test", &rpc.LinkOptions{
				HTTPClient: network.client(), MaxBodyBytes: 1000,
				Plugins: []rpc.LinkPlugin{&rpc.BatchLinkPlugin{MaxSize: 2, Window: time.Hour}},
			})
			var mu sync.Mutex
			var failed []string
			both(func() {
				if _, err := echo.Call(t.Context(), link, 1); err != nil {
					mu.Lock()
					failed = append(failed, err.Error())
					mu.Unlock()
				}
			})
			require.NotEmpty(t, failed)
			for _, text := range failed {
				require.Contains(t, text, c.want)
			}
		})
	}
	t.Run("a transport that panics", func(t *testing.T) {
		t.Parallel()
		network := roundTrip(func(*http.Request) (*http.Response, error) { panic("broken") })
		link := rpc.NewLink("http://example.test", &rpc.LinkOptions{
			HTTPClient: network.client(), Plugins: []rpc.LinkPlugin{&rpc.BatchLinkPlugin{MaxSize: 2, Window: time.Hour}},
		})
		both(func() {
			_, err := echo.Call(t.Context(), link, 1)
			var panicked *rpc.PanicError
			require.ErrorAs(t, err, &panicked)
		})
	})
}
