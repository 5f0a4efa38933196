package rpc_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc"
)

func corsHandler(p rpc.CORSPlugin, o rpc.HandlerOptions) *rpc.Handler {
	o.Plugins = append(o.Plugins, &p)
	return rpc.NewHandler(fixtureRouter(), &o)
}

func preflight(origin string, headers ...string) http.Header {
	h := http.Header{"Origin": {origin}, "Access-Control-Request-Method": {"POST"}, "Sec-Fetch-Site": {"cross-site"}}
	if len(headers) > 0 {
		h["Access-Control-Request-Headers"] = headers
	}
	return h
}

func TestCORSPreflight(t *testing.T) {
	t.Parallel()
	ran := false
	observe := rpc.HandlerOptions{Interceptors: []rpc.Interceptor{rpc.OnStart(func(context.Context, *rpc.Call) { ran = true })}}
	for name, c := range map[string]struct {
		plugin rpc.CORSPlugin
		header http.Header
		want   http.Header
	}{
		"an origin of the list": {
			rpc.CORSPlugin{Origins: []string{ours}},
			preflight(ours, "content-type,x-orpc-batch"),
			http.Header{
				"Access-Control-Allow-Origin":  {ours},
				"Access-Control-Allow-Methods": {"GET, POST, PUT, PATCH, DELETE"},
				"Access-Control-Allow-Headers": {"content-type,x-orpc-batch"},
				"Vary":                         {"Origin"},
			},
		},
		"all options": {
			rpc.CORSPlugin{
				OriginFunc: func(origin string) bool { return origin == ours }, Credentials: true,
				MaxAge: 90*time.Second + time.Millisecond, AllowHeaders: []string{"Content-Type", "X-Own"}, ExposeHeaders: []string{"X-Count"},
			},
			preflight(ours, "x-other"),
			http.Header{
				"Access-Control-Allow-Origin":      {ours},
				"Access-Control-Allow-Credentials": {"true"},
				"Access-Control-Allow-Methods":     {"GET, POST, PUT, PATCH, DELETE"},
				"Access-Control-Allow-Headers":     {"Content-Type, X-Own"},
				"Access-Control-Max-Age":           {"90"},
				"Vary":                             {"Origin"},
			},
		},
		"all origins": {
			rpc.CORSPlugin{Origins: []string{"*"}},
			preflight("null"),
			http.Header{
				"Access-Control-Allow-Origin":  {"*"},
				"Access-Control-Allow-Methods": {"GET, POST, PUT, PATCH, DELETE"},
			},
		},
		"another origin":           {rpc.CORSPlugin{Origins: []string{ours}, Credentials: true}, preflight("https://evil.example"), http.Header{"Vary": {"Origin"}}},
		"nothing is allowed":       {rpc.CORSPlugin{}, preflight(ours), http.Header{"Vary": {"Origin"}}},
		"a function that panics":   {rpc.CORSPlugin{OriginFunc: func(string) bool { panic("no") }}, preflight(ours), http.Header{"Vary": {"Origin"}}},
		"an origin that begins so": {rpc.CORSPlugin{Origins: []string{ours}}, preflight(ours + ".evil.example"), http.Header{"Vary": {"Origin"}}},
	} {
		for _, path := range []string{"/echo", "/nested/ping", "/unknown"} {
			w := request(corsHandler(c.plugin, observe), http.MethodOptions, path, "", c.header)
			require.Equal(t, http.StatusNoContent, w.Code, name)
			require.Equal(t, c.want, w.Header(), name)
			require.Empty(t, w.Body.String(), name)
		}
	}
	require.False(t, ran)
}

func TestCORSAnswers(t *testing.T) {
	t.Parallel()
	plugin := rpc.CORSPlugin{Origins: []string{ours}, Credentials: true, ExposeHeaders: []string{"X-Count"}}
	h := corsHandler(plugin, rpc.HandlerOptions{Plugins: []rpc.HandlerPlugin{&rpc.BatchPlugin{}}})
	from := func(origin string, more ...string) http.Header {
		header := http.Header{"Origin": {origin}, "Sec-Fetch-Site": {"cross-site"}, "Content-Type": {"application/json"}}
		for i := 0; i < len(more); i += 2 {
			header.Set(more[i], more[i+1])
		}
		return header
	}
	for name, c := range map[string]struct {
		method, path, body string
		header             http.Header
		status             int
		readable           bool
	}{
		"a call":            {http.MethodPost, "/echo", `{"json":1}`, from(ours), 200, true},
		"an error":          {http.MethodPost, "/fail", `{"json":{"kind":"orpc"}}`, from(ours), 409, true},
		"a bad body":        {http.MethodPost, "/echo", `{`, from(ours), 400, true},
		"no procedure":      {http.MethodPost, "/unknown", ``, from(ours), 404, true},
		"another method":    {http.MethodHead, "/echo", ``, from(ours), 405, true},
		"GET":               {http.MethodGet, "/readable", ``, from(ours), 200, true},
		"a form":            {http.MethodPost, "/echo", formText, from(ours, "Content-Type", "multipart/form-data; boundary=b"), 200, true},
		"a batch":           {http.MethodPost, "/__batch__", `[{"url":"http://h/echo","body":{"json":1}}]`, from(ours, "x-orpc-batch", "buffered"), 207, true},
		"another origin":    {http.MethodPost, "/echo", `{"json":1}`, from("https://evil.example"), 403, false},
		"its batch":         {http.MethodPost, "/__batch__", `[{"url":"http://h/echo","body":{"json":1}}]`, from("https://evil.example", "x-orpc-batch", "buffered"), 403, false},
		"GET by another":    {http.MethodGet, "/readable", ``, from("https://evil.example"), 200, false},
		"OPTIONS of a tool": {http.MethodOptions, "/echo", ``, nil, 405, false},
		"a program":         {http.MethodPost, "/echo", `{"json":1}`, nil, 200, false},
	} {
		w := request(h, c.method, c.path, c.body, c.header)
		require.Equal(t, c.status, w.Code, "%s: %s", name, w.Body)
		require.Equal(t, []string{"Origin"}, w.Header()["Vary"], name)
		if !c.readable {
			require.NotContains(t, w.Header(), "Access-Control-Allow-Origin", name)
			require.NotContains(t, w.Header(), "Access-Control-Allow-Credentials", name)
			continue
		}
		require.Equal(t, ours, w.Header().Get("Access-Control-Allow-Origin"), name)
		require.Equal(t, "true", w.Header().Get("Access-Control-Allow-Credentials"), name)
		require.Equal(t, []string{"Content-Disposition", "Retry-After", "X-Count"}, w.Header()["Access-Control-Expose-Headers"], name)
	}
}

// A procedure that every page may call must not act for the user whose browser shows the
// page.
func TestCORSOfAllOrigins(t *testing.T) {
	t.Parallel()
	h := corsHandler(rpc.CORSPlugin{Origins: []string{"*", ours}}, rpc.HandlerOptions{})
	for name, c := range map[string]struct {
		origin, header, value string
		status                int
	}{
		"without credentials":       {"https://any.example", "X-Nothing", "", 200},
		"a sandboxed page":          {"null", "X-Nothing", "", 200},
		"a token of its own":        {"https://any.example", "Authorization", "bearer x", 200},
		"cookies":                   {"https://any.example", "Cookie", "session=1", 403},
		"a password of the browser": {"https://any.example", "Authorization", "Basic eDp5", 403},
		"cookies of a named origin": {ours, "Cookie", "session=1", 200},
	} {
		header := http.Header{"Origin": {c.origin}, "Sec-Fetch-Site": {"cross-site"}, c.header: {c.value}}
		w := request(h, http.MethodPost, "/echo", `{"json":1}`, header)
		require.Equal(t, c.status, w.Code, name)
		require.Equal(t, "*", w.Header().Get("Access-Control-Allow-Origin"), name)
	}
	r := httptest.NewRequest(http.MethodPost, "/echo", strings.NewReader(`{"json":1}`))
	r.Header = http.Header{"Content-Type": {"application/json"}, "Origin": {"https://any.example"}, "Sec-Fetch-Site": {"cross-site"}}
	r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{}}}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	require.Equal(t, 403, w.Code, "a certificate of the user")
}

// The plugin does not permit requests that the handler passes on.
func TestCORSLeavesOtherRoutesAlone(t *testing.T) {
	t.Parallel()
	other := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	h := corsHandler(rpc.CORSPlugin{Origins: []string{ours}}, rpc.HandlerOptions{
		Prefix: "/rpc", NotFound: other, Plugins: []rpc.HandlerPlugin{&rpc.BatchPlugin{}},
	})
	for path, status := range map[string]int{"/page": 418, "/rpc/unknown": 418, "/rpc/echo": 204} {
		w := request(h, http.MethodOptions, path, "", preflight(ours))
		require.Equal(t, status, w.Code, path)
		require.Equal(t, status == 204, w.Header().Get("Access-Control-Allow-Origin") != "", path)
	}
	require.Equal(t, 204, request(h, http.MethodOptions, "/rpc/__batch__", "", preflight(ours, "content-type,x-orpc-batch")).Code)
	require.Equal(t, 418, request(h, http.MethodOptions, "/page", "", preflight(ours, "x-orpc-batch")).Code)
}

func TestCORSRefusalsAreLogged(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	o := rpc.HandlerOptions{Logger: slog.New(slog.NewTextHandler(&text, nil))}
	request(corsHandler(rpc.CORSPlugin{Origins: []string{ours}}, o), http.MethodOptions, "/echo", "", preflight("https://evil.example"))
	require.Contains(t, text.String(), "level=WARN")
	require.Contains(t, text.String(), "CORSPlugin.Origins")
	require.Contains(t, text.String(), "origin=https://evil.example")
	text.Reset()
	panics := rpc.CORSPlugin{OriginFunc: func(string) bool { panic("no") }}
	w := request(corsHandler(panics, o), http.MethodPost, "/echo", `{"json":1}`, http.Header{"Origin": {ours}})
	require.Equal(t, http.StatusInternalServerError, w.Code)
	require.Contains(t, text.String(), "level=ERROR")
	require.Contains(t, text.String(), "TestCORSRefusalsAreLogged", "the stack")
	text.Reset()
	request(corsHandler(rpc.CORSPlugin{}, o), http.MethodOptions, "/echo", "", preflight("https://"+strings.Repeat("x", 100_000)))
	require.Less(t, text.Len(), 1000)
}

// The plugin is copied.
func TestCORSPluginIsCopied(t *testing.T) {
	t.Parallel()
	p := rpc.CORSPlugin{Origins: []string{ours}, ExposeHeaders: []string{"X-Count"}}
	h := rpc.NewHandler(fixtureRouter(), &rpc.HandlerOptions{Plugins: []rpc.HandlerPlugin{&p}})
	p.Origins[0], p.ExposeHeaders[0] = "https://evil.example", "X-Other"
	w := request(h, http.MethodPost, "/echo", `{"json":1}`, http.Header{"Origin": {ours}})
	require.Equal(t, ours, w.Header().Get("Access-Control-Allow-Origin"))
	require.Contains(t, w.Header()["Access-Control-Expose-Headers"], "X-Count")
}

func TestCORSPluginIsChecked(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]rpc.CORSPlugin{
		"an empty origin":        {Origins: []string{""}},
		"an origin without host": {Origins: []string{"https://"}},
		"an origin with a path":  {Origins: []string{ours + "/"}},
		"a pattern":              {Origins: []string{"*.example.com"}},
		"a negative age":         {Origins: []string{ours}, MaxAge: -1},
		"all with credentials":   {Origins: []string{"*"}, Credentials: true},
	} {
		require.Panics(t, func() { corsHandler(p, rpc.HandlerOptions{}) }, name)
	}
}
