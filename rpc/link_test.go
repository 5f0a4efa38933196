package rpc_test

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

func TestLinkRoundTrips(t *testing.T) {
	t.Parallel()
	link := rpc.NewLink(serve(t, fixtureRouter(), nil), nil)
	for name, in := range map[string]any{
		"text": "ž", "number": 1.5, "null": nil, "undefined": value.Undefined{}, "list": []any{true, value.Undefined{}},
		"object": map[string]any{"a": value.Set{"x"}}, "large": strings.Repeat("x", 1<<19),
	} {
		t.Run(name, func(t *testing.T) {
			out, err := echo.Call(t.Context(), link, in)
			require.NoError(t, err)
			require.Equal(t, in, out)
		})
	}
	t.Run("NaN", func(t *testing.T) {
		out, err := echo.Call(t.Context(), link, math.NaN())
		require.NoError(t, err)
		require.True(t, math.IsNaN(out.(float64)))
	})
	t.Run("void", func(t *testing.T) {
		_, err := sendMessage.Call(t.Context(), link, messageInput{Message: "hi"})
		require.NoError(t, err)
	})
	t.Run("nested", func(t *testing.T) {
		out, err := ping.Call(t.Context(), link, rpc.Void{})
		require.NoError(t, err)
		require.Equal(t, "pong", out)
	})
	t.Run("not decoded", func(t *testing.T) {
		out, err := link.Call(t.Context(), &rpc.Call{Path: []string{"echo"}, Input: 7})
		require.NoError(t, err)
		var n int
		require.NoError(t, out.(value.Value).Decode(&n))
		require.Equal(t, 7, n)
	})
}

// sent calls p over a network that answers all with undefined, and returns the request.
func sent[In, Out any](t *testing.T, address string, o rpc.LinkOptions, p rpc.Procedure[In, Out], in In, opts ...rpc.CallOption) (*http.Request, string) {
	t.Helper()
	var request *http.Request
	var body []byte
	o.HTTPClient = roundTrip(func(r *http.Request) (answer *http.Response, err error) {
		request = r
		body, err = io.ReadAll(r.Body)
		return reply(200, "application/json", "{}"), err
	}).client()
	_, err := rpc.NewLink(address, &o).Call(t.Context(), callTo(p, in), opts...)
	require.NoError(t, err)
	return request, string(body)
}

// callTo returns the call that p makes, with an output that is not decoded.
func callTo[In, Out any](p rpc.Procedure[In, Out], in In) *rpc.Call {
	var made *rpc.Call
	caller := rpc.NewCaller(func(_ context.Context, call *rpc.Call) (any, error) {
		made = call
		return nil, nil
	})
	_, _ = p.Call(context.Background(), caller, in)
	made.New = nil
	return made
}

func TestLinkRequests(t *testing.T) {
	t.Parallel()
	const base = "http://example.test/rpc"
	odd := rpc.Define[any, any]("a b.ž/c")
	get := rpc.Define[any, any]("get", rpc.WithMethod(http.MethodGet))
	del := rpc.Define[any, any]("del", rpc.WithMethod(http.MethodDelete))
	tests := map[string]struct {
		address            string
		o                  rpc.LinkOptions
		p                  rpc.Procedure[any, any]
		in                 any
		method, want, body string
	}{
		"POST by default":          {base, rpc.LinkOptions{}, echo, 1, "POST", base + "/echo", `{"json":1}`},
		"undefined":                {base, rpc.LinkOptions{}, echo, value.Undefined{}, "POST", base + "/echo", `{}`},
		"void":                     {base, rpc.LinkOptions{}, echo, rpc.Void{}, "POST", base + "/echo", `{}`},
		"null":                     {base, rpc.LinkOptions{}, echo, nil, "POST", base + "/echo", `{"json":null}`},
		"declared method":          {base, rpc.LinkOptions{}, del, 1, "DELETE", base + "/del", `{"json":1}`},
		"GET":                      {base, rpc.LinkOptions{}, get, "a&b", "GET", base + "/get?data=%7B%22json%22%3A%22a%26b%22%7D", ""},
		"GET of nothing":           {base, rpc.LinkOptions{}, get, rpc.Void{}, "GET", base + "/get", ""},
		"GET, too long":            {base, rpc.LinkOptions{MaxURLLength: 60}, get, "a&b", "POST", base + "/get", `{"json":"a&b"}`},
		"GET, just fits":           {base, rpc.LinkOptions{MaxURLLength: len(base + "/get?data=%7B%22json%22%3A%22a%26b%22%7D")}, get, "a&b", "GET", base + "/get?data=%7B%22json%22%3A%22a%26b%22%7D", ""},
		"GET, long by default":     {base, rpc.LinkOptions{}, get, strings.Repeat("x", 2083), "POST", base + "/get", `{"json":"` + strings.Repeat("x", 2083) + `"}`},
		"encoded path":             {base, rpc.LinkOptions{}, odd, 1, "POST", base + "/a%20b/%C5%BE%2Fc", `{"json":1}`},
		"trailing slash":           {base + "/", rpc.LinkOptions{}, echo, 1, "POST", base + "/echo", `{"json":1}`},
		"trailing slashes":         {base + "//", rpc.LinkOptions{}, echo, 1, "POST", base + "/echo", `{"json":1}`},
		"no prefix":                {"https://example.test", rpc.LinkOptions{}, echo, 1, "POST", "https://example.test/echo", `{"json":1}`},
		"encoded prefix":           {"http://example.test/a%2Fb", rpc.LinkOptions{}, echo, 1, "POST", "http://example.test/a%2Fb/echo", `{"json":1}`},
		"encoded slash at the end": {"http://example.test/a%2F/", rpc.LinkOptions{}, echo, 1, "POST", "http://example.test/a%2F/echo", `{"json":1}`},
		"query of the address":     {base + "?k=v#f", rpc.LinkOptions{}, echo, 1, "POST", base + "/echo?k=v", `{"json":1}`},
		"query of both with GET":   {base + "?k=v", rpc.LinkOptions{}, get, 1, "GET", base + "/get?k=v&data=%7B%22json%22%3A1%7D", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, body := sent(t, test.address, test.o, test.p, test.in)
			require.Equal(t, test.method, r.Method)
			require.Equal(t, test.want, r.URL.String())
			require.Equal(t, test.body, body)
			wantType := "application/json"
			if test.method == http.MethodGet {
				wantType = ""
			}
			require.Equal(t, wantType, r.Header.Get("Content-Type"))
		})
	}
}

// A bad address often comes from a flag or a file. It is an error, and the call is not
// repeated.
func TestLinkWithABadAddress(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"", "/rpc", "example.test/rpc", "localhost:3000", "ws://example.test", "http://", "http://a b", "http://h:port", "mailto:x@y", "\x00",
		"ftp://user:password@h",
	} {
		t.Run(address, func(t *testing.T) {
			t.Parallel()
			link := rpc.NewLink(address, &rpc.LinkOptions{Header: func(context.Context, *rpc.Call) (http.Header, error) {
				return nil, errors.New("asked for headers")
			}})
			_, err := ping.Call(t.Context(), link, rpc.Void{}, rpc.WithRetry(3))
			require.ErrorIs(t, err, rpc.ErrAddress)
			require.ErrorContains(t, err, "rpc: call nested.ping: ")
			require.NotContains(t, err.Error(), "password")
			events := rpc.DefineEvents[rpc.Void, int, rpc.Void]("events")
			_, err = events.Call(t.Context(), link, rpc.Void{})
			require.ErrorIs(t, err, rpc.ErrAddress)
		})
	}
}

func TestLinkHeaders(t *testing.T) {
	t.Parallel()
	header := func(_ context.Context, call *rpc.Call) (http.Header, error) {
		return http.Header{"authorization": {"Bearer " + call.Path[0]}, "X-Both": {"link"}, "Content-Type": {"text/plain"}}, nil
	}
	r, _ := sent(t, "http://example.test", rpc.LinkOptions{Header: header}, echo, nil,
		rpc.WithHeader("x-both", "call"), rpc.WithHeader("X-Both", "twice"),
		rpc.WithHeader("Content-Disposition", "inline"), rpc.WithLastEventID("7"))
	require.Equal(t, "Bearer echo", r.Header.Get("Authorization"))
	require.Equal(t, []string{"call", "twice"}, r.Header.Values("X-Both"))
	require.Equal(t, []string{"application/json"}, r.Header.Values("Content-Type"))
	require.Empty(t, r.Header.Values("Content-Disposition"))
	require.Equal(t, []string{"7"}, r.Header.Values("Last-Event-Id"))
}

func TestLinkAsksForHeadersAtEachTry(t *testing.T) {
	t.Parallel()
	tries, errExpired := 0, errors.New("expired")
	link := rpc.NewLink(serve(t, fixtureRouter(), nil), &rpc.LinkOptions{
		Header: func(context.Context, *rpc.Call) (http.Header, error) {
			if tries++; tries < 3 {
				return nil, errExpired
			}
			return nil, nil
		},
	})
	_, err := ping.Call(t.Context(), link, rpc.Void{}, rpc.Retry{Max: 1, Delay: none})
	require.ErrorIs(t, err, errExpired)
	require.ErrorContains(t, err, "rpc: call nested.ping: header: ")
	_, err = ping.Call(t.Context(), link, rpc.Void{})
	require.NoError(t, err)
}

func TestLinkGivesTheResponseHeader(t *testing.T) {
	t.Parallel()
	address := serve(t, fixtureRouter(), &rpc.HandlerOptions{Interceptors: []rpc.Interceptor{
		rpc.OnStart(func(_ context.Context, call *rpc.Call) { call.ResponseHeader.Set("X-Mark", "1") }),
	}})
	var seen http.Header
	link := rpc.NewLink(address, &rpc.LinkOptions{Interceptors: []rpc.Interceptor{
		rpc.OnFinish(func(_ context.Context, call *rpc.Call, _ any, _ error) { seen = call.ResponseHeader }),
	}})
	var header http.Header
	_, err := ping.Call(t.Context(), link, rpc.Void{}, rpc.WithResponseHeader(&header))
	require.NoError(t, err)
	require.Equal(t, "1", header.Get("X-Mark"))
	require.Equal(t, header, seen)

	header = nil
	_, err = fail.Call(t.Context(), link, failInput{}, rpc.WithResponseHeader(&header))
	require.Error(t, err)
	require.Equal(t, "1", header.Get("X-Mark"), "of an error")

	tries := 0
	network := roundTrip(func(*http.Request) (*http.Response, error) {
		if tries++; tries > 1 {
			return nil, io.ErrUnexpectedEOF
		}
		return reply(500, "", "{}"), nil
	})
	link = rpc.NewLink("http://example.test", &rpc.LinkOptions{HTTPClient: network.client()})
	_, err = ping.Call(t.Context(), link, rpc.Void{}, rpc.WithResponseHeader(&header), rpc.Retry{Max: 1, Delay: none})
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.Nil(t, header, "the last try had no answer")
}

func TestLinkReadsAnswers(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		answer *http.Response
		text   string // of the error
	}{
		"no content type":    {reply(200, "", `{"json":"pong"}`), ""},
		"empty":              {reply(204, "", ""), ""},
		"another success":    {reply(304, "application/json", `{"json":"pong"}`), ""},
		"empty page":         {reply(200, "text/html", ""), ""},
		"page":               {reply(200, "text/html", "<html>"), `rpc: call echo: answer has a body of type "text/html"`},
		"form data":          {reply(200, "multipart/form-data; boundary=x", "--x--"), "rpc: call echo: read answer: form: read: malformed form"},
		"large form data":    {reply(200, "multipart/form-data; boundary=x", strings.Repeat("x", 65)), "rpc: call echo: read answer: "},
		"event stream":       {reply(200, "text/event-stream", ": \n\n"), "text/event-stream"},
		"no JSON":            {reply(200, "application/json", "{"), "rpc: call echo: "},
		"meta does not fit":  {reply(200, "application/json", `{"json":1,"meta":[[1]]}`), "rpc: call echo: "},
		"larger than wanted": {reply(200, "application/json", strings.Repeat("x", 65)), "rpc: call echo: read answer: "},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			network := roundTrip(func(*http.Request) (*http.Response, error) { return test.answer, nil })
			link := rpc.NewLink("http://example.test", &rpc.LinkOptions{HTTPClient: network.client(), MaxBodyBytes: 64})
			_, err := echo.Call(t.Context(), link, nil)
			if test.text == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.text)
			var sent *rpc.Error
			require.NotErrorAs(t, err, &sent, "nobody has sent it")
		})
	}
	t.Run("of another type", func(t *testing.T) {
		network := roundTrip(func(*http.Request) (*http.Response, error) { return reply(200, "", `{"json":1}`), nil })
		_, err := ping.Call(t.Context(), rpc.NewLink("http://example.test", &rpc.LinkOptions{HTTPClient: network.client()}), rpc.Void{})
		require.ErrorContains(t, err, "rpc: call nested.ping: decode output: ")
	})
	t.Run("limit", func(t *testing.T) {
		network := roundTrip(func(*http.Request) (*http.Response, error) { return reply(500, "", "{}  "), nil })
		_, err := echo.Call(t.Context(), rpc.NewLink("http://example.test", &rpc.LinkOptions{HTTPClient: network.client(), MaxBodyBytes: 3}), nil)
		var tooLarge *http.MaxBytesError
		require.ErrorAs(t, err, &tooLarge)
	})
}

func TestErrorAnswersWithoutErrorKeepWhatCame(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		contentType, body string
		decoded           any // nil: the text
	}{
		"page":            {"text/html", "<html>", nil},
		"broken JSON":     {"application/json", "{", nil},
		"some other JSON": {"application/json", `{"json":{"oops":true}}`, map[string]any{"oops": true}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			network := roundTrip(func(*http.Request) (*http.Response, error) { return reply(503, test.contentType, test.body), nil })
			_, err := echo.Call(t.Context(), rpc.NewLink("http://example.test", &rpc.LinkOptions{HTTPClient: network.client()}), nil)
			require.EqualError(t, err, "SERVICE_UNAVAILABLE: Service Unavailable")
			data, err := rpc.ErrorData[rpc.ErrorResponse](err)
			require.NoError(t, err)
			require.Equal(t, 503, data.Status)
			require.Equal(t, test.contentType, data.Headers.Get("Content-Type"))
			if test.decoded == nil {
				require.Equal(t, test.body, data.Body)
				return
			}
			var body any
			require.NoError(t, data.Body.(value.Value).Decode(&body))
			require.Equal(t, test.decoded, body)
		})
	}
}

func TestACancelledCallReachesTheHandler(t *testing.T) {
	t.Parallel()
	started, ended := make(chan struct{}), make(chan struct{})
	wait := rpc.Define[rpc.Void, rpc.Void]("wait")
	address := serve(t, rpc.NewRouter(wait.Handler(func(ctx context.Context, _ rpc.Void) (rpc.Void, error) {
		close(started)
		<-ctx.Done()
		close(ended)
		return rpc.Void{}, ctx.Err()
	})), nil)
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-started
		cancel(io.ErrUnexpectedEOF)
	}()
	_, err := wait.Call(ctx, rpc.NewLink(address, nil), rpc.Void{})
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF, "the cause")
	<-ended
}

func TestLinkPlugins(t *testing.T) {
	t.Parallel()
	var order []string
	note := func(name string) rpc.Interceptor {
		return rpc.OnStart(func(context.Context, *rpc.Call) { order = append(order, name) })
	}
	o := &rpc.LinkOptions{
		Interceptors: append(make([]rpc.Interceptor, 0, 9), note("own")),
		Plugins: []rpc.LinkPlugin{
			linkPlugin(func(o *rpc.LinkOptions) { o.Interceptors = append(o.Interceptors, note("first")) }),
			linkPlugin(func(o *rpc.LinkOptions) { o.Interceptors = append(o.Interceptors, note("second")) }),
		},
	}
	address := serve(t, fixtureRouter(), nil)
	link := rpc.NewLink(address, o)
	rpc.NewLink(address, &rpc.LinkOptions{Interceptors: o.Interceptors, Plugins: []rpc.LinkPlugin{
		linkPlugin(func(o *rpc.LinkOptions) { o.Interceptors = append(o.Interceptors, note("of another link")) }),
	}})
	_, err := ping.Call(t.Context(), link, rpc.Void{})
	require.NoError(t, err)
	require.Equal(t, []string{"own", "first", "second"}, order)
	require.Len(t, o.Interceptors, 1, "plugins get a copy")
}

type linkPlugin func(*rpc.LinkOptions)

func (p linkPlugin) InitLink(o *rpc.LinkOptions) { p(o) }

// A redirect that keeps the method keeps the body too.
func TestLinkFollowsRedirects(t *testing.T) {
	t.Parallel()
	target := serve(t, fixtureRouter(), nil)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, target+strings.TrimPrefix(r.URL.Path, "/old"), http.StatusTemporaryRedirect)
	}))
	t.Cleanup(server.Close)
	out, err := echo.Call(t.Context(), rpc.NewLink(server.URL+"/old", nil), "moved")
	require.NoError(t, err)
	require.Equal(t, "moved", out)
}
