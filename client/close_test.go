//go:build !js

package client_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

// Close may be called by any function that the iterator calls.
func TestCloseInCallbacks(t *testing.T) {
	closes := make(chan func(), 1) // holds the Close that the next callback is to call
	closeOnce := func() {
		select {
		case closeIt := <-closes:
			closeIt()
		default:
		}
	}
	for name, c := range map[string]struct {
		prepare func(h *harness, o *client.Options)
		provoke func(s *socket)
	}{
		"TokenSource": {
			func(h *harness, _ *client.Options) {
				h.issue = func(int) (*token.Payload, error) {
					closeOnce()
					return payload(), nil
				}
			},
			func(s *socket) { s.close(websocket.StatusPolicyViolation, "Token expired") },
		},
		"URLFunc": {
			func(_ *harness, o *client.Options) {
				url := o.URL
				o.URL, o.URLFunc = "", func(context.Context, *token.Payload) (string, error) {
					closeOnce()
					return url, nil
				}
			},
			(*socket).drop,
		},
		"RefreshTokenBeforeExpireFunc": {
			func(_ *harness, o *client.Options) {
				o.RefreshTokenBeforeExpireFunc = func(*token.Payload) time.Duration {
					closeOnce()
					return time.Hour
				}
			},
			func(s *socket) { s.close(websocket.StatusPolicyViolation, "Token expired") },
		},
		"OnStateChange": {
			func(_ *harness, o *client.Options) { o.OnStateChange = func(client.State, error) { closeOnce() } },
			(*socket).drop,
		},
		"Backoff": {
			func(_ *harness, o *client.Options) {
				o.Backoff = func(int) time.Duration {
					closeOnce()
					return time.Second
				}
			},
			(*socket).drop,
		},
		"HTTPClient": {
			func(_ *harness, o *client.Options) {
				base := o.HTTPClient.Transport
				o.HTTPClient = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
					closeOnce()
					return base.RoundTrip(r)
				})}
			},
			(*socket).drop,
		},
		"Interceptors": {
			func(_ *harness, o *client.Options) {
				o.Interceptors = []rpc.Interceptor{func(ctx context.Context, call *rpc.Call, next rpc.CallFunc) (any, error) {
					closeOnce()
					return next(ctx, call)
				}}
			},
			nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *harness) {
				o := h.options()
				c.prepare(h, o)
				it, s := h.live(o)
				returned := make(chan time.Duration, 1)
				closes <- func() {
					begin := time.Now()
					_ = it.Close()
					returned <- time.Since(begin)
				}
				if c.provoke != nil {
					c.provoke(s)
				} else {
					_, err := it.Call(t.Context(), &rpc.Call{Path: []string{"m"}})
					require.ErrorIs(t, err, client.ErrClosed)
				}
				begin := time.Now()
				read(t, it).expectEnd()
				require.NoError(t, it.Close(), "during the other call")
				require.Zero(t, <-returned, "it does not wait for its caller")
				require.LessOrEqual(t, time.Since(begin), 5*time.Second)
				synctest.Wait()
				require.Equal(t, client.StateClosed, it.State())
			})
		})
	}
}

// A function that never returns does not block Close.
func TestCloseDoesNotWaitForCallbacks(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		release := make(chan struct{})
		defer close(release)
		h.issue = func(n int) (*token.Payload, error) {
			if n > 1 {
				<-release
			}
			return payload(), nil
		}
		it, s := h.live(h.options())
		s.close(websocket.StatusPolicyViolation, "Token expired")
		time.Sleep(10 * time.Second)
		begin := time.Now()
		l := read(t, it)
		require.NoError(t, it.Close())
		require.LessOrEqual(t, time.Since(begin), 3*time.Second)
		l.expectEnd()
		require.Equal(t, client.StateClosed, it.State())
	})
}

// It does not block Dial either, after its context has ended.
func TestDialDoesNotWaitForCallbacks(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		release := make(chan struct{})
		defer close(release)
		o := h.options()
		o.URL, o.URLFunc = "", func(context.Context, *token.Payload) (string, error) {
			<-release
			return "", errors.New("late")
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, h.dial(ctx, o).failure(), context.DeadlineExceeded)
		require.LessOrEqual(t, time.Since(h.start), 5*time.Second)
	})
}
