package rpc_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc"
)

const (
	formText = "--b\r\nContent-Disposition: form-data; name=\"data\"\r\n\r\n{\"json\":1}\r\n--b--\r\n"
	ours     = "https://app.example.com"
)

// A request that a page of another site has made is not run, whatever its body.
func TestForeignPagesAreRefused(t *testing.T) {
	t.Parallel()
	ran := false
	observe := rpc.OnStart(func(context.Context, *rpc.Call) { ran = true })
	bodies := map[string]struct{ contentType, text string }{
		"JSON":       {"application/json", `{"json":1}`},
		"untyped":    {"", `{"json":1}`},
		"form":       {"multipart/form-data; boundary=b", formText},
		"text":       {"text/plain", ""},
		"parameters": {"application/x-www-form-urlencoded", ""},
	}
	origins := map[string]struct {
		header http.Header
		passes bool
	}{
		"a program":                        {nil, true},
		"a page of the same origin":        {http.Header{"Sec-Fetch-Site": {"same-origin"}, "Origin": {"http://example.com"}}, true},
		"the user":                         {http.Header{"Sec-Fetch-Site": {"none"}}, true},
		"a page in an old browser":         {http.Header{"Origin": {"http://example.com"}}, true},
		"another site":                     {http.Header{"Sec-Fetch-Site": {"cross-site"}, "Origin": {"https://evil.example"}}, false},
		"another site in an old browser":   {http.Header{"Origin": {"https://evil.example"}}, false},
		"a sandboxed page":                 {http.Header{"Origin": {"null"}}, false},
		"another site without a name":      {http.Header{"Sec-Fetch-Site": {"cross-site"}}, false},
		"another host of the site":         {http.Header{"Sec-Fetch-Site": {"same-site"}, "Origin": {"https://x.example.com"}}, false},
		"a trusted origin":                 {http.Header{"Sec-Fetch-Site": {"same-site"}, "Origin": {ours}}, true},
		"a trusted origin, by another way": {http.Header{"Origin": {"http://app.example.com"}}, false},
		"a trusted origin, and more":       {http.Header{"Origin": {ours + ".evil.example"}}, false},
		"an origin that is trusted by fn":  {http.Header{"Sec-Fetch-Site": {"cross-site"}, "Origin": {"https://by.fn"}}, true},
	}
	h := rpc.NewHandler(fixtureRouter(), &rpc.HandlerOptions{
		Interceptors:      []rpc.Interceptor{observe},
		TrustedOrigins:    []string{ours},
		TrustedOriginFunc: func(origin string) bool { return origin == "https://by.fn" },
	})
	for name, origin := range origins {
		for kind, body := range bodies {
			t.Run(name+", "+kind, func(t *testing.T) {
				header := origin.header.Clone()
				if header == nil {
					header = http.Header{}
				}
				if body.contentType != "" {
					header.Set("Content-Type", body.contentType)
				}
				ran = false
				w := request(h, http.MethodPost, "/echo", body.text, header)
				require.Equal(t, origin.passes, ran)
				if origin.passes {
					require.Equal(t, http.StatusOK, w.Code, w.Body)
					return
				}
				require.Equal(t, http.StatusForbidden, w.Code)
				require.Equal(t, rpc.CodeForbidden, errorIn(t, w.Body.Bytes()).Code)
			})
		}
	}
}

// GET changes nothing: a procedure that changes something should not be declared with it.
func TestForeignPagesMayGet(t *testing.T) {
	t.Parallel()
	foreign := http.Header{"Sec-Fetch-Site": {"cross-site"}, "Origin": {"https://evil.example"}}
	h := rpc.NewHandler(fixtureRouter(), nil)
	require.Equal(t, http.StatusOK, request(h, http.MethodGet, "/readable", "", foreign).Code)
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		require.Equal(t, http.StatusForbidden, request(h, method, "/readable", "", foreign).Code, method)
	}
	for _, method := range []string{http.MethodHead, http.MethodOptions} { // they run nothing
		require.Equal(t, http.StatusMethodNotAllowed, request(h, method, "/readable", "", foreign).Code, method)
	}
}

func TestRefusedOriginsAreLogged(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	h := rpc.NewHandler(fixtureRouter(), &rpc.HandlerOptions{
		Logger:            slog.New(slog.NewTextHandler(&text, nil)),
		TrustedOriginFunc: func(string) bool { panic("no") },
	})
	w := request(h, http.MethodPost, "/echo", "", http.Header{"Origin": {"https://evil.example"}})
	require.Equal(t, http.StatusInternalServerError, w.Code, "a function that panics trusts nobody")
	require.Contains(t, text.String(), "level=WARN")
	require.Contains(t, text.String(), "origin=https://evil.example")
}

func TestTrustedOriginsAreChecked(t *testing.T) {
	t.Parallel()
	for _, origin := range []string{"", "app.example.com", "https://", "https://app.example.com/", "*"} {
		require.Panics(t, func() {
			rpc.NewHandler(fixtureRouter(), &rpc.HandlerOptions{TrustedOrigins: []string{origin}})
		}, origin)
	}
}
