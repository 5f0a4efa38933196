//go:build !js

package rpc_test

import (
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
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// refuse is an interceptor that refuses every call after a while.
func refuse(after time.Duration) rpc.Interceptor {
	return func(context.Context, *rpc.Call, rpc.CallFunc) (any, error) {
		time.Sleep(after)
		return nil, rpc.Errorf(rpc.CodeUnauthorized, "who are you")
	}
}

// counting counts what is read of a body.
type counting struct {
	io.Reader
	n int
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += n
	return n, err
}

// A call that an interceptor refuses does not wait for its body, nor read it.
func TestRefusedCallsDoNotReadTheBody(t *testing.T) {
	t.Parallel()
	h := rpc.NewHandler(fixtureRouter(), &rpc.HandlerOptions{Interceptors: []rpc.Interceptor{refuse(0)}})
	for name, contentType := range map[string]string{
		"JSON": "application/json", "form": "multipart/form-data; boundary=b", "text": "text/plain",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := &counting{Reader: strings.NewReader(strings.Repeat("x", 900_000))}
			r := httptest.NewRequest(http.MethodPost, "/echo", body)
			r.Header.Set("Content-Type", contentType)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			require.Equal(t, http.StatusUnauthorized, w.Code)
			require.LessOrEqual(t, body.n, 16<<10)

			synctest.Test(t, func(t *testing.T) {
				server := memhttp.NewServer(h)
				defer server.Close()
				conn, answers := dialHTTP(t, server)
				start := time.Now()
				_, err := fmt.Fprintf(conn, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Type: %s\r\nContent-Length: 900000\r\n\r\n{", contentType)
				require.NoError(t, err)
				res, err := http.ReadResponse(answers, nil)
				require.NoError(t, err)
				require.Equal(t, http.StatusUnauthorized, res.StatusCode)
				require.True(t, res.Close)
				require.Zero(t, time.Since(start))
				_, err = io.ReadAll(res.Body)
				require.NoError(t, err)
				_, err = answers.Peek(1)
				require.ErrorIs(t, err, io.EOF)
			})
		})
	}
}

// The time that interceptors take is not that of the body.
func TestBodyTimeoutBeginsWithTheFirstRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		slow := rpc.OnStart(func(context.Context, *rpc.Call) { time.Sleep(time.Hour) })
		server := memhttp.NewServer(rpc.NewHandler(fixtureRouter(), &rpc.HandlerOptions{Interceptors: []rpc.Interceptor{slow}}))
		defer server.Close()
		link := rpc.NewLink(server.URL(), &rpc.LinkOptions{HTTPClient: server.Client()})
		out, err := rpc.Define[string, string]("echo").Call(t.Context(), link, "hello")
		require.NoError(t, err)
		require.Equal(t, "hello", out)
	})
}

// Interceptors read the input, pass it on, and read it after the call.
func TestInterceptorsUseTheInput(t *testing.T) {
	t.Parallel()
	echo := rpc.Define[any, any]("echo")
	behind := rpc.NewRouter(echo.Handler(func(_ context.Context, in any) (any, error) { return in, nil }))
	remote := httptest.NewServer(rpc.NewHandler(behind, nil))
	t.Cleanup(remote.Close)
	link := rpc.NewLink(remote.URL, nil)
	uses := map[string]rpc.Interceptor{
		"decodes it twice": func(ctx context.Context, call *rpc.Call, next rpc.CallFunc) (any, error) {
			for range 2 {
				var in []any
				if err := call.Input.(value.Value).Decode(&in); err != nil || in[0] != "a" {
					return nil, fmt.Errorf("%v %w", in, err)
				}
			}
			return next(ctx, call)
		},
		"asks whether there is one": func(ctx context.Context, call *rpc.Call, next rpc.CallFunc) (any, error) {
			if call.Input.(value.Value).IsUndefined() {
				return nil, io.EOF
			}
			return next(ctx, call)
		},
		"sends it elsewhere": func(ctx context.Context, call *rpc.Call, _ rpc.CallFunc) (any, error) {
			out, err := rpc.Define[any, []any]("echo").Call(ctx, link, []any{call.Input})
			if err != nil {
				return nil, err
			}
			return out[0], nil
		},
		"returns it": func(_ context.Context, call *rpc.Call, _ rpc.CallFunc) (any, error) { return call.Input, nil },
	}
	for name, use := range uses {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := rpc.NewHandler(behind, &rpc.HandlerOptions{Interceptors: []rpc.Interceptor{use}})
			w := post(h, "/echo", `{"json":["a","2024-01-02T03:04:05.678Z"],"meta":[[1,1]]}`)
			require.Equal(t, http.StatusOK, w.Code, w.Body)
			require.JSONEq(t, `{"json":["a","2024-01-02T03:04:05.678Z"],"meta":[[1,1]]}`, w.Body.String())
		})
	}
	var kept value.Value
	h := rpc.NewHandler(behind, &rpc.HandlerOptions{Interceptors: []rpc.Interceptor{
		func(_ context.Context, call *rpc.Call, _ rpc.CallFunc) (any, error) {
			kept = call.Input.(value.Value)
			return "cached", nil
		},
	}})
	require.Equal(t, http.StatusOK, post(h, "/echo", `{"json":"x"}`).Code)
	require.ErrorContains(t, kept.Decode(new(string)), "the request has been answered")
	require.False(t, kept.IsUndefined())
	_, err := kept.Append(nil)
	require.Error(t, err)
}
