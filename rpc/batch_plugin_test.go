package rpc_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc"
)

// batchItem is an answer in the answer to a batch.
type batchItem struct {
	Index   int             `json:"index"`
	Status  int             `json:"status"`
	Headers map[string]any  `json:"headers"`
	Body    json.RawMessage `json:"body"`
}

func batchHandler(plugin *rpc.BatchPlugin, interceptors ...rpc.Interceptor) *rpc.Handler {
	return rpc.NewHandler(fixtureRouter(), &rpc.HandlerOptions{
		Prefix: "/rpc", MaxBodyBytes: 4 << 10, Plugins: []rpc.HandlerPlugin{plugin}, Interceptors: interceptors,
		TrustedOrigins: []string{"http://friend.test"},
	})
}

// postBatch sends a batch in the mode in which all its answers are sent together.
func postBatch(h http.Handler, body string, header http.Header) *httptest.ResponseRecorder {
	all := http.Header{"Content-Type": {"application/json"}, "X-Orpc-Batch": {"buffered"}}
	maps.Copy(all, header)
	return request(h, http.MethodPost, "/rpc/anything/__batch__", body, all)
}

// itemsOf reads the answers of a batch, by index.
func itemsOf(t *testing.T, w *httptest.ResponseRecorder) []batchItem {
	t.Helper()
	require.Equal(t, http.StatusMultiStatus, w.Code, "%s", w.Body)
	var list []batchItem
	if strings.HasPrefix(w.Header().Get("Content-Type"), "text/event-stream") {
		for line := range strings.Lines(w.Body.String()) {
			if data, ok := strings.CutPrefix(line, "data: "); ok {
				var item batchItem
				require.NoError(t, json.Unmarshal([]byte(data), &item))
				list = append(list, item)
			}
		}
	} else {
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &list))
	}
	items := make([]batchItem, len(list))
	for _, item := range list {
		items[item.Index] = item
	}
	return items
}

func TestBatchAnswersEachCall(t *testing.T) {
	t.Parallel()
	const body = `[
		{"url":"http://elsewhere.test/rpc/echo","body":{"json":"1","meta":[[0]]}},
		{"url":"http://h/rpc/nested/ping","body":{}},
		{"url":"http://h/rpc/fail","body":{"json":{"kind":"orpc"}},"headers":null,"method":null},
		{"url":"http://h/rpc/readable?data=%7B%22json%22%3A1%7D","method":"GET"},
		{"url":"http://h/rpc/missing"},
		{"url":"http://h/other/nested/ping"},
		{"url":"http://h/rpc/../rpc/nested/ping"},
		{"url":"http://h/rpc/download"},
		{"url":"http://h/rpc/echo","body":null}
	]`
	want := []batchItem{
		{Index: 0, Status: 200, Body: json.RawMessage(`{"json":"1","meta":[[0]]}`)},
		{Index: 1, Status: 200, Body: json.RawMessage(`{"json":"pong"}`)},
		{Index: 2, Status: 409, Body: json.RawMessage(`{"json":{"defined":false,"code":"CONFLICT","status":409,"message":"already there","data":{"id":"7","at":"2024-01-02T03:04:05.678Z"}},"meta":[[0,"data","id"],[1,"data","at"]]}`)},
		{Index: 3, Status: 200, Body: json.RawMessage(`{"json":{"got":1}}`)},
		{Index: 4, Status: 404, Body: json.RawMessage(`"No procedure matched"`)},
		{Index: 5, Status: 404, Body: json.RawMessage(`"No procedure matched"`)},
		{Index: 6, Status: 404, Body: json.RawMessage(`"No procedure matched"`)},
		{Index: 7, Status: 500, Body: json.RawMessage(`"Batch responses do not support file/blob, or event-iterator. Please call this procedure separately outside of the batch request."`)},
		{Index: 8, Status: 400, Body: json.RawMessage(`{"json":{"defined":false,"code":"BAD_REQUEST","status":400,"message":"Malformed request. Ensure the request body is properly formatted and the 'Content-Type' header is set correctly."}}`)},
	}
	for _, mode := range []string{"buffered", "streaming", "1"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			w := postBatch(batchHandler(&rpc.BatchPlugin{}), body, http.Header{"X-Orpc-Batch": {mode}})
			require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
			require.Equal(t, mode != "buffered", strings.HasPrefix(w.Body.String(), ": \n\nevent: message\n"))
			require.Equal(t, want, itemsOf(t, w))
		})
	}
	t.Run("a writer that cannot stream", func(t *testing.T) {
		t.Parallel()
		recorder := httptest.NewRecorder()
		hidden := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			batchHandler(&rpc.BatchPlugin{}).ServeHTTP(struct{ http.ResponseWriter }{w}, r)
		})
		r := httptest.NewRequest(http.MethodPost, "/rpc/x", strings.NewReader(body))
		r.Header.Set("X-Orpc-Batch", "streaming")
		hidden.ServeHTTP(recorder, r)
		require.Equal(t, "application/json", recorder.Header().Get("Content-Type"))
		require.Equal(t, want, itemsOf(t, recorder))
	})
	t.Run("empty", func(t *testing.T) {
		t.Parallel()
		require.JSONEq(t, `[]`, postBatch(batchHandler(&rpc.BatchPlugin{}), ` [ ] `, nil).Body.String())
	})
	t.Run("without the plugin", func(t *testing.T) {
		t.Parallel()
		h := rpc.NewHandler(fixtureRouter(), &rpc.HandlerOptions{Prefix: "/rpc"})
		require.Equal(t, http.StatusNotFound, postBatch(h, body, nil).Code)
	})
	t.Run("outside of the prefix", func(t *testing.T) {
		t.Parallel()
		w := request(batchHandler(&rpc.BatchPlugin{}), http.MethodPost, "/other", body, http.Header{"X-Orpc-Batch": {"buffered"}})
		require.Equal(t, http.StatusNotFound, w.Code)
	})
}

func TestBatchIsRefused(t *testing.T) {
	t.Parallel()
	item := `{"url":"http://h/rpc/echo","body":{}}`
	many := func(n int) string { return "[" + strings.TrimSuffix(strings.Repeat(item+",", n), ",") + "]" }
	for name, c := range map[string]struct {
		method, body string
		header       http.Header
		status       int
	}{
		"one too many":         {body: many(11), status: 413},
		"far too many":         {body: "[" + strings.Repeat("0,", 1<<10) + "0]", status: 400},
		"no list":              {body: `{}`, status: 400},
		"nothing":              {body: ``, status: 400},
		"cut off":              {body: many(2)[:60], status: 400},
		"more than a list":     {body: many(1) + "[]", status: 400},
		"no address":           {body: `[{"body":{}}]`, status: 400},
		"relative address":     {body: `[{"url":"/rpc/echo"}]`, status: 400},
		"wrong address":        {body: `[{"url":7}]`, status: 400},
		"wrong headers":        {body: `[{"url":"http://h/rpc/echo","headers":{"a":1}}]`, status: 400},
		"null":                 {body: `[null]`, status: 400},
		"too large as a whole": {body: many(9) + strings.Repeat(" ", 4<<10), status: 413},
		"a form":               {header: http.Header{"Content-Type": {"multipart/form-data; boundary=x"}}, status: 415},
		"a text":               {body: many(1), header: http.Header{"Content-Type": {"text/plain"}}, status: 415},
		"PUT":                  {method: http.MethodPut, body: many(1), status: 405},
		"HEAD":                 {method: http.MethodHead, status: 405},
		"GET without a list":   {method: http.MethodGet, status: 400},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ran := false
			h := batchHandler(&rpc.BatchPlugin{}, rpc.OnStart(func(context.Context, *rpc.Call) { ran = true }))
			header := http.Header{"Content-Type": {"application/json"}, "X-Orpc-Batch": {"buffered"}}
			maps.Copy(header, c.header)
			method := c.method
			if method == "" {
				method = http.MethodPost
			}
			w := request(h, method, "/rpc/__batch__", c.body, header)
			require.Equal(t, c.status, w.Code, "%s", w.Body)
			require.False(t, ran)
		})
	}
	t.Run("headers without end", func(t *testing.T) {
		t.Parallel()
		h := rpc.NewHandler(fixtureRouter(), &rpc.HandlerOptions{Prefix: "/rpc", Plugins: []rpc.HandlerPlugin{&rpc.BatchPlugin{}}})
		large := `{"url":"http://h/rpc/echo","headers":{"a":"` + strings.Repeat("x", 40<<10) + `"}}`
		require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, postBatch(h, "["+large+","+large+"]", nil).Code)
	})
	t.Run("a larger size", func(t *testing.T) {
		t.Parallel()
		require.Len(t, itemsOf(t, postBatch(batchHandler(&rpc.BatchPlugin{MaxSize: 11}), many(11), nil)), 11)
	})
}

func TestBatchOfGETRunsNothingElse(t *testing.T) {
	t.Parallel()
	list := `[{"url":"http://h/rpc/readable?data=%7B%22json%22%3A%22a%22%7D"},{"url":"http://h/rpc/sendMessage","method":"POST","body":{"json":{"message":"m"}}},{"url":"http://h/rpc/sendMessage?data=%7B%7D"},{"url":"http://h/rpc/readable","method":"DELETE"}]`
	ran := map[string]bool{}
	h := rpc.NewHandler(rpc.NewRouter(
		readable.Handler(func(_ context.Context, in any) (map[string]any, error) { return map[string]any{"got": in}, nil }),
		sendMessage.Handler(func(context.Context, messageInput) (rpc.Void, error) {
			ran["sendMessage"] = true
			return rpc.Void{}, nil
		}),
	), &rpc.HandlerOptions{Prefix: "/rpc", Plugins: []rpc.HandlerPlugin{&rpc.BatchPlugin{}}})
	w := request(h, http.MethodGet, "/rpc/x?batch=0&batch="+url.QueryEscape(list), "", http.Header{"X-Orpc-Batch": {"buffered"}})
	items := itemsOf(t, w)
	require.Empty(t, ran)
	require.JSONEq(t, `{"json":{"got":"a"}}`, string(items[0].Body))
	for _, item := range items[1:] {
		require.Equal(t, http.StatusMethodNotAllowed, item.Status)
		require.Equal(t, rpc.CodeMethodNotSupported, errorIn(t, item.Body).Code)
	}
}

func TestBatchCannotHoldABatch(t *testing.T) {
	t.Parallel()
	inner := `{"url":"http://h/rpc/echo","headers":{"x-orpc-batch":"buffered"},"body":[{"url":"http://h/rpc/nested/ping"}]}`
	items := itemsOf(t, postBatch(batchHandler(&rpc.BatchPlugin{}), "["+inner+`,{"url":"http://h/rpc/x/__batch__","headers":{"X-ORPC-Batch":"1"},"body":[]}]`, nil))
	require.Equal(t, http.StatusBadRequest, items[0].Status)
	require.Equal(t, rpc.CodeBadRequest, errorIn(t, items[0].Body).Code)
	require.Equal(t, http.StatusNotFound, items[1].Status)
}

// A call sees the headers of the batch and its own, and cannot pretend to be a
// request of another page, of another client, or of a proxy.
func TestBatchHeaders(t *testing.T) {
	t.Parallel()
	whole := http.Header{
		"Authorization": {"Bearer all"}, "Cookie": {"session=1"}, "Origin": {"http://friend.test"}, "Sec-Fetch-Site": {"cross-site"},
		"X-Forwarded-For": {"10.0.0.1"}, "X-User": {"proxy"}, "Accept-Language": {"en"},
	}
	const list = `[
		{"url":"http://h/rpc/echo","headers":{"authorization":"Bearer own","x-list":["a","b"],"last-event-id":"7"}},
		{"url":"http://h/rpc/echo","headers":{"cookie":"session=2","ORIGIN":"http://example.com","sec-fetch-site":"same-origin",
			"x-forwarded-for":"1.2.3.4","x-user":"admin","content-type":"multipart/form-data","content-length":"9","host":"h"},"body":{"json":1}}
	]`
	seen := make([]http.Header, 2)
	hosts := make([]string, 2)
	h := batchHandler(&rpc.BatchPlugin{ReservedHeaders: []string{"x-user"}},
		func(ctx context.Context, call *rpc.Call, next rpc.CallFunc) (any, error) {
			index := 0
			if call.Header.Get("Last-Event-Id") == "" {
				index = 1
			}
			seen[index], hosts[index] = call.Header, call.LastEventID
			call.ResponseHeader.Add("X-One", "1")
			call.ResponseHeader["X-Two"] = []string{"1", "2"}
			return next(ctx, call)
		})
	items := itemsOf(t, postBatch(h, list, whole))
	require.Equal(t, map[string]any{"x-one": "1", "x-two": []any{"1", "2"}}, items[0].Headers)
	require.Equal(t, 200, items[1].Status)

	own := whole.Clone()
	own.Set("Authorization", "Bearer own")
	own["X-List"] = []string{"a", "b"}
	own.Set("Last-Event-Id", "7")
	require.Equal(t, own, seen[0])
	require.Equal(t, "7", hosts[0])
	trusted := whole.Clone()
	trusted.Set("Content-Type", "application/json")
	require.Equal(t, trusted, seen[1])
}

// A page of another site cannot run calls in a batch, as it cannot run single ones.
func TestBatchOfAForeignPage(t *testing.T) {
	t.Parallel()
	ran := false
	h := batchHandler(&rpc.BatchPlugin{}, func(ctx context.Context, call *rpc.Call, next rpc.CallFunc) (any, error) {
		ran = true
		return next(ctx, call)
	})
	const list = `[{"url":"http://h/rpc/echo","headers":{"origin":"http://example.com","sec-fetch-site":"same-origin"}}]`
	w := postBatch(h, list, http.Header{"Origin": {"http://evil.test"}, "Sec-Fetch-Site": {"cross-site"}})
	require.Equal(t, http.StatusForbidden, w.Code)
	require.False(t, ran)
}

func TestBatchSurvivesWhatPanics(t *testing.T) {
	t.Parallel()
	h := batchHandler(&rpc.BatchPlugin{}, func(ctx context.Context, call *rpc.Call, next rpc.CallFunc) (any, error) {
		if call.Path[0] == "echo" {
			panic("of an interceptor")
		}
		return next(ctx, call)
	})
	const list = `[{"url":"http://h/rpc/echo"},{"url":"http://h/rpc/nested/ping"}]`
	items := itemsOf(t, postBatch(h, list, nil))
	require.Equal(t, http.StatusInternalServerError, items[0].Status)
	require.JSONEq(t, `{"json":"pong"}`, string(items[1].Body))

	broken := rpc.NewHandler(rpc.NewRouter(
		echo.Handler(func(context.Context, any) (any, error) { panic("of a handler, which the logger hears of") }),
		ping.Handler(func(context.Context, rpc.Void) (string, error) { return "pong", nil }),
	), &rpc.HandlerOptions{Prefix: "/rpc", Plugins: []rpc.HandlerPlugin{&rpc.BatchPlugin{}}, Logger: slog.New(panickingLog{})})
	items = itemsOf(t, postBatch(broken, list, nil))
	require.Equal(t, http.StatusInternalServerError, items[0].Status)
	require.Contains(t, string(items[0].Body), "Internal server error")
	require.JSONEq(t, `{"json":"pong"}`, string(items[1].Body))
}

// panickingLog is the logger of an application that is broken.
type panickingLog struct{ slog.Handler }

func (panickingLog) Enabled(context.Context, slog.Level) bool { panic("of the logger") }

func TestBatchRunsNoStreams(t *testing.T) {
	t.Parallel()
	ran := false
	feed := rpc.DefineEvents[rpc.Void, int, rpc.Void]("feed")
	h := rpc.NewHandler(rpc.NewRouter(feed.Handler(func(context.Context, rpc.Void, *rpc.EventWriter[int]) (rpc.Void, error) {
		ran = true
		return rpc.Void{}, nil
	})), &rpc.HandlerOptions{Prefix: "/rpc", Plugins: []rpc.HandlerPlugin{&rpc.BatchPlugin{}}})
	items := itemsOf(t, postBatch(h, `[{"url":"http://h/rpc/feed"}]`, nil))
	require.Equal(t, http.StatusInternalServerError, items[0].Status)
	require.Contains(t, string(items[0].Body), "event-iterator")
	require.False(t, ran)
}

// Interceptors decide about each call, whatever is in the same batch.
func TestBatchPassesInterceptors(t *testing.T) {
	t.Parallel()
	h := batchHandler(&rpc.BatchPlugin{}, func(ctx context.Context, call *rpc.Call, next rpc.CallFunc) (any, error) {
		if call.Header.Get("Authorization") != "Bearer t" {
			return nil, &rpc.Error{Code: rpc.CodeUnauthorized}
		}
		return next(ctx, call)
	})
	items := itemsOf(t, postBatch(h, `[{"url":"http://h/rpc/nested/ping"},{"url":"http://h/rpc/nested/ping","headers":{"authorization":"Bearer t"}}]`, nil))
	require.Equal(t, http.StatusUnauthorized, items[0].Status)
	require.Equal(t, http.StatusOK, items[1].Status)
}
