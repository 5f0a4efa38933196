package rpc_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/transport"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

func jsonHeader() http.Header { return http.Header{"Content-Type": {"application/json"}} }

func TestHandlerMatchesPaths(t *testing.T) {
	t.Parallel()
	router := rpc.NewRouter(
		rpc.Define[rpc.Void, rpc.Void]("a b.ž/c").Handler(nothing),
		rpc.Define[rpc.Void, rpc.Void]("(it's)~!*").Handler(nothing),
		ping.Handler(func(context.Context, rpc.Void) (string, error) { return "pong", nil }),
	)
	tests := map[string]struct {
		prefix, path string
		status       int
	}{
		"encoded segments":             {"", "/a%20b/%C5%BE%2Fc", 200},
		"encoded in lower case":        {"", "/a%20b/%c5%be%2fc", 404},
		"plus is no space":             {"", "/a+b/%C5%BE%2Fc", 404},
		"what JavaScript leaves alone": {"", "/(it's)~!*", 200},
		"encoded without need":         {"", "/(it%27s)~!*", 404},
		"no prefix":                    {"", "/nested/ping", 200},
		"a slash as prefix":            {"/", "/nested/ping", 200},
		"prefix":                       {"/rpc", "/rpc/nested/ping", 200},
		"prefix with trailing slash":   {"/rpc/", "/rpc/nested/ping", 200},
		"prefix of two segments":       {"/api/rpc", "/api/rpc/nested/ping", 200},
		"part of a segment":            {"/rp", "/rpc/nested/ping", 404},
		"without the prefix":           {"/rpc", "/nested/ping", 404},
		"the prefix alone":             {"/rpc", "/rpc/", 404},
		"a group":                      {"", "/nested", 404},
		"root":                         {"", "/", 404},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			h := rpc.NewHandler(router, &rpc.HandlerOptions{Prefix: test.prefix})
			require.Equal(t, test.status, post(h, test.path, "{}").Code)
		})
	}
	require.Panics(t, func() { rpc.NewHandler(router, &rpc.HandlerOptions{Prefix: "rpc"}) })
}

func nothing(context.Context, rpc.Void) (rpc.Void, error) { return rpc.Void{}, nil }

func TestHandlerLeavesOtherRequestsToNotFound(t *testing.T) {
	t.Parallel()
	teapot := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	called := false
	h := rpc.NewHandler(fixtureRouter(), &rpc.HandlerOptions{NotFound: teapot, Interceptors: []rpc.Interceptor{
		rpc.OnStart(func(context.Context, *rpc.Call) { called = true }),
	}})
	w := post(h, "/nope", `{"json":`)
	require.Equal(t, http.StatusTeapot, w.Code)
	require.False(t, called)
}

func TestHandlerRefusesBodies(t *testing.T) {
	t.Parallel()
	h := rpc.NewHandler(fixtureRouter(), &rpc.HandlerOptions{MaxBodyBytes: 20})
	large := `{"json":"` + strings.Repeat("x", 20) + `"}`
	tests := map[string]struct {
		header http.Header
		body   string
		status int
	}{
		"fits":                        {jsonHeader(), `{"json":"12345678"}`, 200},
		"too large":                   {jsonHeader(), large, 413},
		"no content type":             {nil, `{"json":1}`, 200},
		"upper case":                  {http.Header{"Content-Type": {"Application/JSON"}}, `{"json":1}`, 200},
		"text":                        {http.Header{"Content-Type": {"text/plain"}}, `{"json":1}`, 415},
		"text, large":                 {http.Header{"Content-Type": {"text/plain"}}, large, 415},
		"text, empty":                 {http.Header{"Content-Type": {"text/plain"}}, "", 200},
		"unknown":                     {http.Header{"Content-Type": {"x/y"}}, "1", 415},
		"form data":                   {http.Header{"Content-Type": {"multipart/form-data; boundary=x"}}, "--x--", 400},
		"form data, large":            {http.Header{"Content-Type": {"multipart/form-data; boundary=x"}}, large, 413},
		"form data, empty":            {http.Header{"Content-Type": {"multipart/form-data; boundary=x"}}, "", 400},
		"form data with a file name":  {http.Header{"Content-Type": {"multipart/form-data; boundary=x"}, "Content-Disposition": {"inline"}}, "--x--", 415},
		"event stream":                {http.Header{"Content-Type": {"text/event-stream"}}, ": \n\n", 415},
		"JSON with a file name":       {http.Header{"Content-Type": {"application/json"}, "Content-Disposition": {"inline"}}, "{}", 415},
		"empty with a file name":      {http.Header{"Content-Disposition": {"inline"}}, "", 200},
		"no JSON":                     {jsonHeader(), "{", 400},
		"meta that does not fit":      {jsonHeader(), `{"meta":[[1]]}`, 400},
		"meta that leads nowhere":     {jsonHeader(), `{"meta":[[1,"a"]]}`, 400},
		"a text instead of an object": {jsonHeader(), `"text"`, 200},
	}
	for name, test := range tests {
		for _, chunked := range []bool{false, true} {
			t.Run(name+map[bool]string{true: ", chunked"}[chunked], func(t *testing.T) {
				r := httptest.NewRequest(http.MethodPost, "/echo", strings.NewReader(test.body))
				if chunked {
					r.ContentLength = -1
				}
				if test.header != nil {
					r.Header = test.header
				}
				w := httptest.NewRecorder()
				h.ServeHTTP(w, r)
				require.Equal(t, test.status, w.Code, "%s", w.Body)
				if test.status != 200 {
					require.Equal(t, test.status, errorIn(t, w.Body.Bytes()).Status)
				}
			})
		}
	}
}

// TestRefusalCostsReading: a call that an interceptor refuses costs no more than reading
// its request, whatever the request contains.
func TestRefusalCostsReading(t *testing.T) { //nolint:paralleltest // it measures allocations
	h := rpc.NewHandler(fixtureRouter(), &rpc.HandlerOptions{Interceptors: []rpc.Interceptor{
		func(context.Context, *rpc.Call, rpc.CallFunc) (any, error) {
			return nil, &rpc.Error{Code: rpc.CodeUnauthorized}
		},
	}})
	cost := func(body string) uint64 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		require.Equal(t, 401, post(h, "/echo", body).Code)
		runtime.ReadMemStats(&after)
		return after.TotalAlloc - before.TotalAlloc
	}
	const size = 500_000
	plain := cost(`{"json":"` + strings.Repeat("x", size) + `"}`)
	for name, item := range map[string]string{"items": "[2,1,0],", "a deep path": "[2" + strings.Repeat(",0", 900) + "],", "keys": `[0,"a","b"],`} {
		t.Run(name, func(t *testing.T) {
			bomb := cost(`{"json":null,"meta":[` + strings.Repeat(item, size/len(item)) + `[2]]}`)
			require.InDelta(t, plain, bomb, size/2)
		})
	}
}

// A procedure without input still refuses an input that cannot be decoded.
func TestVoidInputIsStillDecoded(t *testing.T) {
	t.Parallel()
	h := rpc.NewHandler(fixtureRouter(), nil)
	require.Equal(t, 200, post(h, "/nested/ping", `{"json":{"any":["thing"]}}`).Code)
	require.Equal(t, 400, post(h, "/nested/ping", `{"json":`).Code)
	require.Equal(t, 400, post(h, "/nested/ping", `{"json":{},"meta":[[1,"a"]]}`).Code)
}

func TestABodyThatBreaksOff(t *testing.T) {
	t.Parallel()
	h := rpc.NewHandler(fixtureRouter(), nil)
	for name, contentType := range map[string]string{"JSON": "application/json", "form": "multipart/form-data; boundary=x", "text": "text/plain"} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, "/echo", io.MultiReader(brokenReader{}))
			r.Header.Set("Content-Type", contentType)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			require.Equal(t, 400, w.Code)
			require.NotContains(t, w.Body.String(), "wire cut")
		})
	}
}

func TestABodyThatIsAnnouncedTooLargeIsNotRead(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodPost, "/echo", brokenReader{})
	r.ContentLength = 21
	w := httptest.NewRecorder()
	rpc.NewHandler(fixtureRouter(), &rpc.HandlerOptions{MaxBodyBytes: 20}).ServeHTTP(w, r)
	require.Equal(t, 413, w.Code)
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("wire cut") }

func TestHandlerMethods(t *testing.T) {
	t.Parallel()
	h := rpc.NewHandler(fixtureRouter(), nil)
	tests := map[string]struct {
		method, path string
		status       int
		allow        string
	}{
		"POST":                      {"POST", "/echo", 200, ""},
		"PUT":                       {"PUT", "/echo", 200, ""},
		"PATCH":                     {"PATCH", "/echo", 200, ""},
		"DELETE":                    {"DELETE", "/echo", 200, ""},
		"GET, not declared":         {"GET", "/echo", 405, "POST, PUT, PATCH, DELETE"},
		"GET, declared":             {"GET", "/readable", 200, ""},
		"POST, GET is declared":     {"POST", "/readable", 200, ""},
		"HEAD":                      {"HEAD", "/echo", 405, "POST, PUT, PATCH, DELETE"},
		"HEAD, GET is declared":     {"HEAD", "/readable", 405, "GET, POST, PUT, PATCH, DELETE"},
		"OPTIONS":                   {"OPTIONS", "/echo", 405, "POST, PUT, PATCH, DELETE"},
		"a method of another world": {"BREW", "/echo", 405, "POST, PUT, PATCH, DELETE"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := request(h, test.method, test.path, "", nil)
			require.Equal(t, test.status, w.Code)
			require.Equal(t, test.allow, w.Header().Get("Allow"))
		})
	}
}

func TestQueryInput(t *testing.T) {
	t.Parallel()
	h := rpc.NewHandler(fixtureRouter(), nil)
	tests := map[string]struct {
		query  string
		status int
		body   string
	}{
		"data":            {"data=%7B%22json%22%3A1%7D", 200, `{"json":{"got":1}}`},
		"plus is a space": {"data=%7B%22json%22%3A%22a+b%22%7D", 200, `{"json":{"got":"a b"}}`},
		"empty":           {"data=", 200, `{"json":{}}`},
		"others":          {"x=%ZZ&data=%7B%22json%22%3A1%7D&y=a;b", 200, `{"json":{"got":1}}`},
		"broken encoding": {"data=%7", 400, ""},
		"an encoded name": {"d%61ta=%7B%22json%22%3A1%7D", 200, `{"json":{"got":1}}`},
		"another name":    {"Data=%7B%22json%22%3A1%7D", 200, `{"json":{}}`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := request(h, http.MethodGet, "/readable?"+test.query, "", nil)
			require.Equal(t, test.status, w.Code)
			if test.status == 200 {
				require.Equal(t, test.body, w.Body.String())
			}
		})
	}
}

// A byte order mark is ignored, wherever the JSON comes from.
func TestByteOrderMark(t *testing.T) {
	t.Parallel()
	h := rpc.NewHandler(fixtureRouter(), nil)
	const text = "\uFEFF" + `{"json":7}`
	for name, w := range map[string]*httptest.ResponseRecorder{
		"body":  post(h, "/echo", text),
		"query": request(h, http.MethodGet, "/readable?data="+url.QueryEscape(text), "", nil),
		"form": request(h, http.MethodPost, "/echo", "--x\r\nContent-Disposition: form-data; name=\"data\"\r\n\r\n"+text+"\r\n--x--\r\n",
			http.Header{"Content-Type": {"multipart/form-data; boundary=x"}}),
	} {
		require.Equal(t, 200, w.Code, name)
		require.Contains(t, w.Body.String(), `7`, name)
	}
	link := rpc.NewLink("http://orpc", &rpc.LinkOptions{HTTPClient: roundTrip(func(*http.Request) (*http.Response, error) {
		return reply(200, "application/json", text), nil
	}).client()})
	out, err := echo.Call(t.Context(), link, nil)
	require.NoError(t, err)
	require.InDelta(t, 7, out, 0)
}

func TestNothingOfAPanicLeaves(t *testing.T) {
	t.Parallel()
	for name, given := range map[string]any{
		"text": "the secret plan", "error": errors.New("the secret plan"), "nil": nil,
		"an RPC error": &rpc.Error{Code: "SECRET"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			var seen error
			p := rpc.Define[rpc.Void, rpc.Void]("p")
			router := rpc.NewRouter(p.Handler(func(context.Context, rpc.Void) (rpc.Void, error) { panic(given) }))
			h := rpc.NewHandler(router, &rpc.HandlerOptions{
				Logger:       slog.New(slog.NewTextHandler(&log, nil)),
				Interceptors: []rpc.Interceptor{rpc.OnError(func(_ context.Context, _ *rpc.Call, err error) { seen = err })},
			})
			w := post(h, "/p", "{}")
			require.Equal(t, internalError, w.Body.String())
			var caught *rpc.PanicError
			require.ErrorAs(t, seen, &caught)
			require.Contains(t, string(caught.Stack), "TestNothingOfAPanicLeaves")
			require.Contains(t, log.String(), "level=ERROR")
			require.Contains(t, log.String(), "path=p")
			require.Contains(t, log.String(), "TestNothingOfAPanicLeaves")
		})
	}
}

func TestPanicsOfInterceptorsAndSerializers(t *testing.T) {
	t.Parallel()
	type odd struct{}
	p := rpc.Define[rpc.Void, any]("p")
	router := rpc.NewRouter(p.Handler(func(context.Context, rpc.Void) (any, error) { return odd{}, nil }))
	for name, o := range map[string]*rpc.HandlerOptions{
		"interceptor": {Interceptors: []rpc.Interceptor{rpc.OnStart(func(context.Context, *rpc.Call) { panic("no") })}},
		"serializer":  {Serializers: []value.Serializer{value.JSONSerializer(30, func(odd) (any, error) { panic("no") }, func(any) (odd, error) { return odd{}, nil })}},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, internalError, post(rpc.NewHandler(router, o), "/p", "{}").Body.String())
		})
	}
}

func TestWhatCannotBeSentIsAnInternalError(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	o := &rpc.HandlerOptions{Logger: slog.New(slog.NewTextHandler(&log, nil))}
	unsendable := make(chan int)
	p := rpc.Define[rpc.Void, any]("p")
	for name, fn := range map[string]func(context.Context, rpc.Void) (any, error){
		"output": func(context.Context, rpc.Void) (any, error) { return unsendable, nil },
		"data": func(context.Context, rpc.Void) (any, error) {
			return nil, &rpc.Error{Code: rpc.CodeConflict, Data: unsendable}
		},
		"special output": func(context.Context, rpc.Void) (any, error) { return transport.Hibernation{}, nil },
		"nil error":      func(context.Context, rpc.Void) (any, error) { var none *rpc.Error; return nil, none },
	} {
		t.Run(name, func(t *testing.T) {
			log.Reset()
			w := post(rpc.NewHandler(rpc.NewRouter(p.Handler(fn)), o), "/p", "{}")
			require.Equal(t, 500, w.Code)
			require.Equal(t, internalError, w.Body.String())
			require.Contains(t, log.String(), "path=p")
		})
	}
}

func TestAClientThatHasGone(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	p := rpc.Define[string, rpc.Void]("p")
	router := rpc.NewRouter(p.Handler(func(ctx context.Context, in string) (rpc.Void, error) {
		return rpc.Void{}, map[string]error{"ended": ctx.Err(), "failed": errors.New("disk full")}[in]
	}))
	h := rpc.NewHandler(router, &rpc.HandlerOptions{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for in, logged := range map[string]string{"ended": "", "failed": "disk full"} {
		log.Reset()
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/p", strings.NewReader(`{"json":"`+in+`"}`))
		h.ServeHTTP(goneWriter{http.Header{}}, r)
		if logged == "" {
			require.Empty(t, log.String())
		}
		require.Contains(t, log.String(), logged)
	}
}

// goneWriter is the response to a client that has gone.
type goneWriter struct{ header http.Header }

func (w goneWriter) Header() http.Header     { return w.header }
func (goneWriter) WriteHeader(int)           {}
func (goneWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestInternalErrorsAreLogged(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	h := rpc.NewHandler(fixtureRouter(), &rpc.HandlerOptions{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	post(h, "/fail", `{"json":{"kind":"custom"}}`)
	require.Empty(t, log.String(), "the caller gets the error")
	post(h, "/fail", `{"json":{"kind":"plain"}}`)
	require.Contains(t, log.String(), "the secret plan")
	post(h, "/badOutput", `{}`)
	require.Contains(t, log.String(), "mail")
}
