//go:build !js

package rpc_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/websocket"
)

// keysOf makes a call that fails three times with these options, and returns the header of
// each try.
func keysOf(t *testing.T, call *rpc.Call, opts ...rpc.CallOption) (keys []string) {
	t.Helper()
	caller := rpc.NewCaller(func(_ context.Context, call *rpc.Call) (any, error) {
		keys = append(keys, strings.Join(call.Header.Values("Idempotency-Key"), "|"))
		if len(keys) <= 3 {
			return nil, io.EOF
		}
		return "pong", nil
	})
	_, _ = caller.Call(t.Context(), call, opts...) // it may fail for lack of retries
	return keys
}

func TestRetriesHaveOneKey(t *testing.T) {
	t.Parallel()
	retry := rpc.Retry{Max: 3, Delay: none}
	long := strings.Repeat("k", 128)
	for name, c := range map[string]struct {
		opts []rpc.CallOption
		want []string // of each try
	}{
		"of the application":       {[]rpc.CallOption{retry, rpc.WithIdempotencyKey("k")}, []string{"k", "k", "k", "k"}},
		"without retry":            {[]rpc.CallOption{rpc.WithIdempotencyKey("k")}, []string{"k"}},
		"long":                     {[]rpc.CallOption{rpc.WithIdempotencyKey(long)}, []string{long}},
		"the last counts":          {[]rpc.CallOption{rpc.WithIdempotencyKey("k"), rpc.WithIdempotencyKey("l")}, []string{"l"}},
		"a header is kept":         {[]rpc.CallOption{retry, rpc.WithHeader("idempotency-key", "h")}, []string{"h", "h", "h", "h"}},
		"none is wanted":           {[]rpc.CallOption{retry, rpc.WithIdempotencyKey("")}, []string{"", "", "", ""}},
		"a call without retry":     {[]rpc.CallOption{rpc.WithHeader("x", "y")}, []string{""}},
		"a call that cannot retry": {[]rpc.CallOption{rpc.WithRetry(0)}, []string{""}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, c.want, keysOf(t, &rpc.Call{}, c.opts...))
		})
	}
	t.Run("random", func(t *testing.T) {
		t.Parallel()
		seen := map[string]bool{}
		call := &rpc.Call{Header: http.Header{}}
		for range 100 {
			keys := keysOf(t, call, retry)
			require.Equal(t, []string{keys[0], keys[0], keys[0], keys[0]}, keys)
			require.GreaterOrEqual(t, len(keys[0]), 26)
			require.False(t, seen[keys[0]], "two calls have one key")
			seen[keys[0]] = true
		}
		require.Empty(t, call.Header, "the caller's call is left alone")
	})
}

func TestBadIdempotencyKeys(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]string{
		"too long": strings.Repeat("k", 129), "space": "a b", "line end": "a\r\nb", "NUL": "\x00", "not ASCII": "é", "DEL": "\x7f",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tries := 0
			_, err := ping.Call(t.Context(), flaky(0, &tries), rpc.Void{}, rpc.WithRetry(3), rpc.WithIdempotencyKey(key))
			require.EqualError(t, err, "rpc: call nested.ping: idempotency key is not 1 to 128 visible ASCII characters")
			require.Zero(t, tries)
		})
	}
}

// The handler sees the key, over HTTP, over a socket, and in the same process.
func TestIdempotencyKeyArrives(t *testing.T) {
	t.Parallel()
	key := rpc.Define[rpc.Void, string]("key")
	router := rpc.NewRouter(key.Handler(func(ctx context.Context, _ rpc.Void) (string, error) {
		call, _ := rpc.CallOf(ctx)
		return call.IdempotencyKey(), nil
	}))
	callers := map[string]rpc.Caller{
		"HTTP":   rpc.NewLink(serve(t, router, nil), nil),
		"socket": dial(t, hostRouter(t, router, nil), websocket.LinkOptions{}),
		"local":  router,
	}
	for name, caller := range callers {
		t.Run(name, func(t *testing.T) {
			got, err := key.Call(t.Context(), caller, rpc.Void{}, rpc.WithIdempotencyKey("a-key"))
			require.NoError(t, err)
			require.Equal(t, "a-key", got)
			got, err = key.Call(t.Context(), caller, rpc.Void{}, rpc.WithRetry(1))
			require.NoError(t, err)
			require.Len(t, got, 26)
			got, err = key.Call(t.Context(), caller, rpc.Void{})
			require.NoError(t, err)
			require.Empty(t, got)
		})
	}
}
