package rpc_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc"
)

// addHeaders adds headers as middleware or a call does.
func addHeaders(lines [][2]string, into http.Header) {
	for _, line := range lines {
		into.Add(line[0], line[1])
	}
}

func TestResponseHeadersAreMerged(t *testing.T) {
	t.Parallel()
	const expose = "Access-Control-Expose-Headers"
	tests := map[string]struct {
		middleware, call [][2]string
		name             string
		want             []string
	}{
		"of the call alone":       {nil, [][2]string{{"X-Own", "1"}}, "X-Own", []string{"1"}},
		"of the middleware alone": {[][2]string{{"X-Own", "1"}}, nil, "X-Own", []string{"1"}},
		"the call replaces":       {[][2]string{{"X-Own", "1"}, {"X-Own", "2"}}, [][2]string{{"x-own", "3"}}, "X-Own", []string{"3"}},
		"several values":          {nil, [][2]string{{"X-Own", "1"}, {"X-Own", "2"}}, "X-Own", []string{"1", "2"}},
		"lists add up":            {[][2]string{{expose, "a"}}, [][2]string{{expose, "b"}}, expose, []string{"a", "b"}},
		"lists repeat nothing":    {[][2]string{{expose, "x-a, X-B"}}, [][2]string{{expose, "x-b"}}, expose, []string{"x-a, X-B"}},
		"Vary is a list":          {[][2]string{{"Vary", "Origin"}}, [][2]string{{"Vary", "Accept"}, {"Vary", "origin"}}, "Vary", []string{"Origin", "Accept"}},
		"cookies add up":          {[][2]string{{"Set-Cookie", "a=1"}}, [][2]string{{"Set-Cookie", "b=2"}}, "Set-Cookie", []string{"a=1", "b=2"}},
		"the type is ours":        {nil, [][2]string{{"Content-Type", "text/html"}}, "Content-Type", []string{"application/json"}},
		"the length is ours":      {nil, [][2]string{{"Content-Length", "1"}}, "Content-Length", []string{"15"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			h := rpc.NewHandler(fixtureRouter(), &rpc.HandlerOptions{Interceptors: []rpc.Interceptor{
				rpc.OnStart(func(_ context.Context, call *rpc.Call) { addHeaders(test.call, call.ResponseHeader) }),
			}})
			w := httptest.NewRecorder()
			addHeaders(test.middleware, w.Header())
			h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/nested/ping", nil))
			require.Equal(t, test.want, w.Header()[test.name])
		})
	}
}

func TestErrorAnswersHaveTheHeadersToo(t *testing.T) {
	t.Parallel()
	h := rpc.NewHandler(fixtureRouter(), &rpc.HandlerOptions{Interceptors: []rpc.Interceptor{
		func(_ context.Context, call *rpc.Call, _ rpc.CallFunc) (any, error) {
			call.ResponseHeader.Set("Retry-After", "9")
			return nil, rpc.Errorf(rpc.CodeTooManyRequests, "slow down")
		},
	}})
	w := post(h, "/echo", "{}")
	require.Equal(t, 429, w.Code)
	require.Equal(t, "9", w.Header().Get("Retry-After"))
}

func TestACallKnowsItsRequest(t *testing.T) {
	t.Parallel()
	type contextKey struct{}
	var seen rpc.Call
	var value any
	h := rpc.NewHandler(fixtureRouter(), &rpc.HandlerOptions{Interceptors: []rpc.Interceptor{
		rpc.OnStart(func(ctx context.Context, call *rpc.Call) { seen, value = *call, ctx.Value(contextKey{}) }),
	}})
	r := httptest.NewRequest(http.MethodPost, "/nested/ping", nil)
	r = r.WithContext(context.WithValue(r.Context(), contextKey{}, "of the request"))
	r.Header.Add("Last-Event-Id", "1")
	r.Header.Add("Last-Event-Id", "2")
	r.Header.Set("Authorization", "Bearer x")
	h.ServeHTTP(httptest.NewRecorder(), r)
	require.Equal(t, []string{"nested", "ping"}, seen.Path)
	require.Equal(t, "1, 2", seen.LastEventID)
	require.Equal(t, "Bearer x", seen.Header.Get("Authorization"))
	require.Equal(t, "of the request", value)
}
