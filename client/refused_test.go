//go:build !js

package client_test

import (
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

func TestRefusedToken(t *testing.T) {
	refuseFirst := func(times int) func(int, *http.Request) (int, http.Header, string) {
		return func(n int, _ *http.Request) (int, http.Header, string) {
			if n <= times {
				return 401, nil, "Invalid Token"
			}
			return 0, nil, ""
		}
	}
	t.Run("a new one is accepted", func(t *testing.T) {
		inBubble(t, func(t *testing.T, h *harness) {
			h.answer = refuseFirst(1)
			it, s := h.live(h.options())
			require.Len(t, h.fetchTimes(), 2)
			require.Equal(t, "2", string(it.Token().Att))
			require.Contains(t, s.query.Get("token"), `"att":2`)
		})
	})
	t.Run("a new one is refused too", func(t *testing.T) {
		inBubble(t, func(t *testing.T, h *harness) {
			h.answer = refuseFirst(2)
			require.ErrorIs(t, h.dial(t.Context(), h.options()).failure(), client.ErrRefused)
			require.Len(t, h.fetchTimes(), 2)
		})
	})
	t.Run("later, and only after it was accepted", func(t *testing.T) {
		inBubble(t, func(t *testing.T, h *harness) {
			it, s := h.live(h.options())
			for range 3 {
				s.close(websocket.StatusPolicyViolation, "Token expired")
				s = h.accept().expectSubscribe("e-0")
				s.open("complete", "e-0")
				synctest.Wait()
			}
			require.Len(t, h.fetchTimes(), 4)
			h.refuse(401)
			l := read(t, it)
			s.close(websocket.StatusPolicyViolation, "Token expired")
			l.expect("!client: token refused: dial: memory: UNAUTHORIZED: refused")
			l.expectEnd()
			require.Equal(t, client.StateClosed, it.State())
		})
	})
	t.Run("other closes do not mean the token", func(t *testing.T) {
		inBubble(t, func(t *testing.T, h *harness) {
			_, s := h.live(h.options())
			for _, reason := range []string{"", "token expired", "Too fast"} {
				s.close(websocket.StatusPolicyViolation, reason)
				s = h.accept().expectSubscribe("e-0")
				s.open("complete", "e-0")
			}
			require.Len(t, h.fetchTimes(), 1)
		})
	})
	t.Run("the source refuses", func(t *testing.T) {
		for _, code := range []rpc.Code{rpc.CodeUnauthorized, rpc.CodeForbidden, rpc.CodeNotFound} {
			inBubble(t, func(t *testing.T, h *harness) {
				h.issue = func(n int) (*token.Payload, error) {
					if n > 1 {
						return nil, rpc.Errorf(code, "gone")
					}
					return payload(), nil
				}
				it, s := h.live(h.options())
				l := read(t, it)
				s.close(websocket.StatusPolicyViolation, "Token expired")
				l.expect("!client: token refused: refresh: " + string(code) + ": gone")
				l.expectEnd()
			})
		}
	})
	t.Run("the source fails for a while", func(t *testing.T) {
		inBubble(t, func(t *testing.T, h *harness) {
			h.issue = func(n int) (*token.Payload, error) {
				if n > 1 && n < 5 {
					return nil, errors.New("down")
				}
				return payload(), nil
			}
			_, s := h.live(h.options())
			s.close(websocket.StatusPolicyViolation, "Token expired")
			h.accept().expectSubscribe("e-0").open("complete", "e-0")
			require.Equal(t, []time.Duration{0, time.Second, 3 * time.Second, 6 * time.Second, 10 * time.Second}, h.fetchTimes())
		})
	})
}
