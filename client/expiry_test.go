//go:build !js

package client_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/token"
)

// refuseExpired answers upgrades like a server that checks the token.
func (h *harness) refuseExpired() {
	h.change(func() {
		h.answer = func(_ int, r *http.Request) (int, http.Header, string) {
			p, err := token.Parse(r.URL.Query().Get("token"))
			if err != nil || p.Expired(time.Now()) {
				return http.StatusUnauthorized, nil, "Invalid Token"
			}
			return 0, nil, ""
		}
	})
}

// If a token that was fetched after a refusal is refused too, the iterator ends, unless the
// token has expired before it could be used.
func TestTokenExpiresWhileTheServerIsAway(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		h.issue = living(5 * time.Second)
		h.refuseExpired()
		it, s := h.live(h.options())
		time.Sleep(5 * time.Second)
		h.server.SetDown(true)
		s.close(websocket.StatusPolicyViolation, "Token expired")
		time.Sleep(time.Minute)
		require.Len(t, h.fetchTimes(), 2, "one for the refusal")
		require.Equal(t, client.StateWaiting, it.State())
		h.server.SetDown(false)
		h.accept().expectSubscribe("e-0").open("complete", "e-0")
		synctest.Wait()
		require.Equal(t, client.StateLive, it.State())
		require.Len(t, h.fetchTimes(), 3, "one for each refusal")
		require.Len(t, h.upgradeTimes(), 3)
	})
}

// If the tokens of a source have expired when they are fetched, the iterator ends.
func TestTokenThatIsFetchedExpired(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		h.issue = func(n int) (*token.Payload, error) {
			return living(map[bool]time.Duration{true: 5 * time.Second, false: -time.Second}[n == 1])(n)
		}
		h.refuseExpired()
		it, s := h.live(h.options())
		l := read(t, it)
		s.close(websocket.StatusPolicyViolation, "Token expired")
		l.expect("!client: token refused: dial: memory: UNAUTHORIZED: Invalid Token")
		l.expectEnd()
		require.Len(t, h.fetchTimes(), 2)
	})
}

// A token expires at every point of its refresh, and each time the iterator continues with
// one more token.
func TestExpiryRaces(t *testing.T) {
	const life, before = time.Hour, 10 * time.Minute
	const subscribedAgain = "e-0"
	cases := map[string]func(t *testing.T, h *harness, s *socket) *socket{
		"it ends on the open socket while another one is fetched": func(t *testing.T, h *harness, s *socket) *socket {
			h.slowFetch(15 * time.Minute)
			time.Sleep(life)
			s.close(websocket.StatusPolicyViolation, "Token expired")
			time.Sleep(4 * time.Minute)
			require.Len(t, h.upgradeTimes(), 1, "it waits for the other token")
			return h.accept()
		},
		"it ends on the open socket while another one is sent to the server": func(_ *testing.T, h *harness, s *socket) *socket {
			s.expectUpdateToken()
			s.close(websocket.StatusPolicyViolation, "Token expired")
			return h.accept()
		},
		"it ends between upgrade and subscription": func(_ *testing.T, h *harness, s *socket) *socket {
			s.drop()
			s = h.accept().expectSubscribe(subscribedAgain)
			s.close(websocket.StatusPolicyViolation, "Token expired")
			return h.accept()
		},
		"it ends during the handshake": func(_ *testing.T, h *harness, s *socket) *socket {
			h.change(func() { h.answer = refuseSecondSlowly })
			s.drop()
			return h.accept()
		},
		"the old one is refused when the new one has arrived": func(_ *testing.T, h *harness, s *socket) *socket {
			time.Sleep(life - before - 3*time.Second)
			h.change(func() { h.answer = refuseSecondSlowly })
			s.drop()
			return h.accept()
		},
	}
	for name, race := range cases {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *harness) {
				h.issue = living(life)
				o := h.options()
				o.RefreshTokenBeforeExpire = before
				o.DialTimeout = time.Hour
				it, s := h.live(o)
				s = race(t, h, s)
				require.Contains(t, s.query.Get("token"), `"att":2`)
				s.expectSubscribe(subscribedAgain).open("complete", "")
				synctest.Wait()
				require.Equal(t, client.StateLive, it.State())
				require.Len(t, h.fetchTimes(), 2)
			})
		})
	}
}

// slowFetch makes each fetch take d.
func (h *harness) slowFetch(d time.Duration) {
	h.change(func() {
		issue := h.issue
		h.issue = func(n int) (*token.Payload, error) {
			time.Sleep(d)
			return issue(n)
		}
	})
}

// refuseSecondSlowly answers the second upgrade with 401, after a while.
func refuseSecondSlowly(n int, _ *http.Request) (int, http.Header, string) {
	if n > 2 {
		return 0, nil, ""
	}
	time.Sleep(5 * time.Second)
	return http.StatusUnauthorized, nil, "Invalid Token"
}

// The client sends one token at a time, and then the newest.
func TestTokensAreToldInTurn(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		h.issue = living(time.Minute)
		o := h.options()
		o.RefreshTokenBeforeExpire = time.Hour
		_, s := h.live(o)
		f, p := s.expectUpdateToken()
		require.Equal(t, "2", string(p.Att))
		time.Sleep(5 * time.Second)
		require.Len(t, h.fetchTimes(), 4)
		require.True(t, s.quiet())
		s.reply(f, `{}`)
		_, p = s.expectUpdateToken()
		require.Equal(t, "4", string(p.Att))
	})
}
