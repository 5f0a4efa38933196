//go:build !js

package rpc_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/internal/memhttp"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// streamExchanges are the recorded exchanges whose answers are streams of events.
func streamExchanges(t *testing.T) []exchange {
	t.Helper()
	var file struct{ Exchanges []exchange }
	vectors(t, "http.json", &file)
	var streams []exchange
	for _, e := range file.Exchanges {
		if e.Response != nil && strings.HasPrefix(e.responseHeader().Get("Content-Type"), "text/event-stream") {
			streams = append(streams, e)
		}
	}
	require.Len(t, streams, 4)
	return streams
}

// Servers answer byte for byte as recorded and as quickly, keepalive comments included
// (ES-008).
func TestHandlerAnswersRecordedStreams(t *testing.T) {
	t.Parallel()
	for _, e := range streamExchanges(t) {
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server := memhttp.NewServer(rpc.NewHandler(rpc.NewRouter(count.Handler(runCount)), &rpc.HandlerOptions{Prefix: "/rpc"}))
				defer server.Close()
				start := time.Now()
				res, err := server.Client().Post(server.URL()+e.Request.Path, "application/json", strings.NewReader(e.Request.Body))
				require.NoError(t, err)
				defer func() { _ = res.Body.Close() }()
				require.Equal(t, e.Response.Status, res.StatusCode)
				require.Equal(t, e.responseHeader().Get("Content-Type"), res.Header.Get("Content-Type"))
				for _, chunk := range e.Response.Chunks {
					got := make([]byte, len(chunk.Data))
					_, err := io.ReadFull(res.Body, got)
					require.NoError(t, err)
					require.Equal(t, chunk.Data, string(got))
					require.WithinDuration(t, start.Add(time.Duration(chunk.T)*time.Millisecond), time.Now(), 50*time.Millisecond)
				}
				rest, err := io.ReadAll(res.Body)
				require.NoError(t, err)
				require.Empty(t, rest)
			})
		})
	}
}

func TestLinkReadsRecordedStreams(t *testing.T) {
	t.Parallel()
	for _, e := range streamExchanges(t) {
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			s := &scripted{answers: []string{e.Response.Body}}
			events, err := count.Call(t.Context(), s.link(), countInput{})
			require.NoError(t, err)
			all, err := readAll(events)
			if strings.Contains(e.Response.Body, "event: error") {
				require.Equal(t, counted(1, 1), all)
				require.Equal(t, rpc.CodeConflict, rpc.CodeOf(err))
				return
			}
			require.NoError(t, err)
			result, err := events.Result()
			require.NoError(t, err)
			require.Equal(t, counted(1, result.Total), all)
			if e.ClientResult != nil {
				var items []map[string]int
				require.NoError(t, json.Unmarshal(e.ClientResult, &items))
				require.Len(t, items, len(all)+1)
				require.Equal(t, items[len(all)]["total"], result.Total)
			}
		})
	}
}

// rawItem is an item that a recorded iterator has returned, before the serializer.
type rawItem struct {
	Done       bool
	Meta       struct{ ID string }
	ErrorEvent *struct {
		Data json.RawMessage
		Meta struct{ ID string }
	}
	Failure string
}

// ES-006 and the vectors of iterators. Their data is not encoded values, so it is read as
// undefined; the test compares the ends and the metadata.
func TestLinkReadsStreams(t *testing.T) {
	t.Parallel()
	var file struct {
		Iterator []struct {
			Name, Text string
			Items      []rawItem
		}
	}
	vectors(t, "sse.json", &file)
	require.NotEmpty(t, file.Iterator)
	// The recorded values are below the serializer.
	differences := map[string]string{
		"meta on a number is dropped": "Go values of any type can have metadata",
	}
	anything := rpc.DefineEvents[rpc.Void, value.Value, value.Value]("anything")
	for _, c := range file.Iterator {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			s := &scripted{answers: []string{c.Text}}
			events, err := anything.Call(t.Context(), s.link(), rpc.Void{})
			require.NoError(t, err)
			all, err := readAll(events)
			last := c.Items[len(c.Items)-1]
			require.Len(t, all, len(c.Items)-1)
			for i, event := range all {
				if differences[c.Name] == "" {
					require.Equal(t, c.Items[i].Meta.ID, event.Meta.ID)
				}
			}
			_, noResult := events.Result()
			switch {
			case last.Done:
				require.NoError(t, err)
				require.NoError(t, noResult)
			case last.ErrorEvent != nil: // SE-007: no RPC error, so it stays an error event
				var failed *rpc.StreamError
				require.ErrorAs(t, err, &failed)
				require.Equal(t, last.ErrorEvent.Meta.ID, failed.LastEventID)
				var data json.RawMessage
				require.NoError(t, failed.Data.Decode(&data))
				require.JSONEq(t, `1`, string(data))
			default:
				require.NotEmpty(t, last.Failure)
				require.Error(t, err)
				require.Equal(t, err, noResult)
			}
		})
	}
}

// ES-006: a connection that breaks is a failure.
func TestStreamsThatBreak(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := memhttp.NewServer(rpc.NewHandler(rpc.NewRouter(foreverRoute(make(chan error, 1))), nil))
		defer server.Close()
		link := rpc.NewLink(server.URL(), &rpc.LinkOptions{HTTPClient: server.Client()})
		events, err := forever.Call(t.Context(), link, rpc.Void{})
		require.NoError(t, err)
		time.AfterFunc(1500*time.Millisecond, server.Cut)
		all, err := readAll(events)
		require.Len(t, all, 2)
		require.ErrorContains(t, err, "rpc: call forever: ")
	})
}

// Over HTTP the handler waits for its reader: neither side stores events that were not
// read.
func TestSlowReadersHoldUpHandlers(t *testing.T) {
	t.Parallel()
	var sent atomic.Int64
	big := rpc.DefineEvents[int, string, int]("big")
	text := strings.Repeat("x", 100_000)
	address := serve(t, rpc.NewRouter(big.Handler(func(_ context.Context, n int, w *rpc.EventWriter[string]) (int, error) {
		for range n {
			if err := w.Send(text); err != nil {
				return 0, err
			}
			sent.Add(1)
		}
		return n, nil
	})), nil)
	const n = 1000
	events, err := big.Call(t.Context(), rpc.NewLink(address, nil), n)
	require.NoError(t, err)
	read := int64(0)
	for event, err := range events.All() {
		require.NoError(t, err)
		require.Len(t, event, len(text))
		read++
		// The buffers of the network hold a few megabytes at most.
		require.Less(t, sent.Load()-read, int64(200))
	}
	result, err := events.Result()
	require.NoError(t, err)
	require.Equal(t, n, result)
}

func TestEventsAreLimited(t *testing.T) {
	t.Parallel()
	big := rpc.DefineEvents[int, string, rpc.Void]("big")
	address := serve(t, rpc.NewRouter(big.Handler(func(_ context.Context, n int, w *rpc.EventWriter[string]) (rpc.Void, error) {
		for range 10 { // each has the limit to itself
			if err := w.Send(strings.Repeat("x", n)); err != nil {
				return rpc.Void{}, err
			}
		}
		return rpc.Void{}, nil
	})), nil)
	link := rpc.NewLink(address, &rpc.LinkOptions{MaxBodyBytes: 1000})
	events, err := big.Call(t.Context(), link, 900)
	require.NoError(t, err)
	all, err := readAll(events)
	require.NoError(t, err)
	require.Len(t, all, 10)

	events, err = big.Call(t.Context(), link, 1000)
	require.NoError(t, err)
	_, err = readAll(events)
	require.ErrorContains(t, err, "too large")
}

// withoutFlush is a ResponseWriter after careless middleware has wrapped it.
type withoutFlush struct{ http.ResponseWriter }

func TestEventsNeedAWriterThatFlushes(t *testing.T) {
	t.Parallel()
	h := rpc.NewHandler(rpc.NewRouter(count.Handler(runCount)), nil)
	w := httptest.NewRecorder()
	h.ServeHTTP(struct{ http.ResponseWriter }{withoutFlush{w}}, httptest.NewRequest(http.MethodPost, "/count", strings.NewReader(`{"json":{"to":1}}`)))
	require.Equal(t, http.StatusInternalServerError, w.Code)
	require.Equal(t, rpc.CodeInternalServerError, errorIn(t, w.Body.Bytes()).Code)
	require.Equal(t, "application/json", w.Header().Get("Content-Type"))
}

func TestHandlersOfEventsOwnTheHeadersOfTheBody(t *testing.T) {
	t.Parallel()
	h := rpc.NewHandler(rpc.NewRouter(count.Handler(runCount, rpc.OnStart(func(_ context.Context, call *rpc.Call) {
		call.ResponseHeader.Set("Content-Type", "application/json")
		call.ResponseHeader.Set("Content-Disposition", "inline")
		call.ResponseHeader.Set("Content-Length", "3")
		call.ResponseHeader.Set("X-Own", "1")
	}))), nil)
	w := post(h, "/count", `{"json":{"to":0}}`)
	require.Equal(t, http.Header{"Content-Type": {"text/event-stream"}, "X-Own": {"1"}}, w.Result().Header)
	require.Equal(t, ": \n\nevent: done\ndata: {\"json\":{\"total\":0}}\n\n", w.Body.String())
}

// brokenWriter fails after the header.
type brokenWriter struct{ *httptest.ResponseRecorder }

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("gone") }

// ES-007: a client that is gone ends the handler.
func TestHandlersOfEventsThatNobodyGets(t *testing.T) {
	t.Parallel()
	h := rpc.NewHandler(rpc.NewRouter(foreverRoute(make(chan error, 1))), nil)
	w := brokenWriter{httptest.NewRecorder()}
	h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/forever", nil)) // returns
	require.Equal(t, http.StatusOK, w.Code)
}

// leftWriter fails from its second write on.
type leftWriter struct {
	*httptest.ResponseRecorder
	left *bool
}

func (w leftWriter) Write(p []byte) (int, error) {
	if *w.left {
		return 0, errors.New("gone")
	}
	*w.left = true
	return w.ResponseRecorder.Write(p)
}

// A client that has left is not logged as a failure of the handler, even if the transport
// notices it before the context ends.
func TestNothingIsLoggedOfCallersThatHaveLeft(t *testing.T) {
	t.Parallel()
	var log strings.Builder
	ended := make(chan error, 1)
	h := rpc.NewHandler(rpc.NewRouter(foreverRoute(ended)), &rpc.HandlerOptions{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	h.ServeHTTP(leftWriter{httptest.NewRecorder(), new(bool)}, httptest.NewRequest(http.MethodPost, "/forever", nil))
	select {
	case err := <-ended:
		require.ErrorContains(t, err, "gone")
	default:
		require.Fail(t, "the handler has not run")
	}
	require.Empty(t, log.String())
}

// A stream that was declared with GET is read with GET.
func TestEventsByGet(t *testing.T) {
	t.Parallel()
	byGet := rpc.DefineEvents[countInput, countEvent, countResult]("count", rpc.WithMethod(http.MethodGet))
	server := httptest.NewServer(rpc.NewHandler(rpc.NewRouter(byGet.Handler(runCount)), nil))
	t.Cleanup(server.Close)
	events, err := byGet.Call(t.Context(), rpc.NewLink(server.URL, nil), countInput{To: 2})
	require.NoError(t, err)
	all, err := readAll(events)
	require.NoError(t, err)
	require.Equal(t, counted(1, 2), all)

	res, err := http.Get(server.URL + "/count?data=" + `{"json":{"to":0}}`)
	require.NoError(t, err)
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, ": \n\nevent: done\ndata: {\"json\":{\"total\":0}}\n\n", string(body))
}
