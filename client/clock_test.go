//go:build !js

package client_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/token"
)

// answerUpdates accepts every new token until the socket ends.
func (s *socket) answerUpdates() {
	for {
		select {
		case f := <-s.frames:
			s.reply(f, `{}`)
		case <-s.ended:
			return
		}
	}
}

// The clock of the server, which issues the tokens, differs from that of the client.
func TestRefreshWithAWrongClock(t *testing.T) {
	for name, ahead := range map[string]time.Duration{ // how far the client's clock is ahead
		"right":             0,
		"a minute ahead":    time.Minute,
		"ten minutes ahead": 10 * time.Minute,
		"hours ahead":       5 * time.Hour,
		"years ahead":       50 * 365 * 24 * time.Hour,
		"a minute behind":   -time.Minute,
		"hours behind":      -5 * time.Hour,
		"years behind":      -50 * 365 * 24 * time.Hour,
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *harness) {
				h.issue = func(int) (*token.Payload, error) {
					return payload(func(p *token.Payload) {
						p.IssuedAt = time.Now().Add(-ahead)
						p.ExpiresAt = p.IssuedAt.Add(5 * time.Minute)
					}), nil
				}
				o := h.options()
				o.RefreshTokenBeforeExpire = time.Minute
				_, s := h.live(o)
				go s.answerUpdates()
				time.Sleep(21 * time.Minute)
				require.Equal(t, []time.Duration{0, 4 * time.Minute, 8 * time.Minute, 12 * time.Minute, 16 * time.Minute, 20 * time.Minute}, h.fetchTimes())
				require.Len(t, h.tried(), 1)
			})
		})
	}
}

// The clock is set while a token waits to be replaced: only elapsed time counts.
func TestRefreshWithAClockThatIsSet(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		h.issue = func(n int) (*token.Payload, error) {
			ahead := time.Duration(n%3-1) * 7 * time.Hour // back and forth
			return payload(func(p *token.Payload) {
				p.IssuedAt = time.Now().Add(ahead)
				p.ExpiresAt = p.IssuedAt.Add(5 * time.Minute)
			}), nil
		}
		o := h.options()
		o.RefreshTokenBeforeExpire = time.Minute
		_, s := h.live(o)
		go s.answerUpdates()
		time.Sleep(time.Hour + time.Minute)
		require.Len(t, h.fetchTimes(), 1+15)
	})
}

// If the lifetime of a token is not plausible, the clock is used, which may be wrong.
func TestRefreshWithoutALifetime(t *testing.T) {
	for name, c := range map[string]struct {
		issued  func(expires time.Time) time.Time
		expires time.Duration // from now, by the clock of the client
		fetches int           // in an hour, after the first
	}{
		"issued at 0, right clock":      {func(time.Time) time.Time { return time.Unix(0, 0) }, 5 * time.Minute, 15},
		"issued at 0, clock ahead":      {func(time.Time) time.Time { return time.Unix(0, 0) }, -time.Hour, 60},
		"issued at its end":             {func(e time.Time) time.Time { return e }, 5 * time.Minute, 15},
		"issued at its end, and ahead":  {func(e time.Time) time.Time { return e }, -time.Hour, 60},
		"issued after its end":          {func(e time.Time) time.Time { return e.Add(time.Hour) }, -time.Hour, 60},
		"issued long before, and ahead": {func(e time.Time) time.Time { return e.AddDate(-30, 0, 0) }, -time.Minute, 60},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *harness) {
				h.issue = func(int) (*token.Payload, error) {
					return payload(func(p *token.Payload) {
						p.ExpiresAt = time.Now().Add(c.expires)
						p.IssuedAt = c.issued(p.ExpiresAt)
					}), nil
				}
				o := h.options()
				o.RefreshTokenBeforeExpire = time.Minute
				_, s := h.live(o)
				go s.answerUpdates()
				time.Sleep(time.Hour + time.Second)
				require.Len(t, h.fetchTimes(), 1+c.fetches)
			})
		})
	}
}

// A token may expire while the server is away. If it is then refused, the iterator continues,
// whatever the clock of the client is.
func TestTokenExpiresWhileTheServerIsAwayWithAWrongClock(t *testing.T) {
	for name, ahead := range map[string]time.Duration{"ahead": 5 * time.Hour, "behind": -5 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *harness) {
				h.issue = func(int) (*token.Payload, error) {
					return payload(func(p *token.Payload) {
						p.IssuedAt = time.Now().Add(-ahead)
						p.ExpiresAt = p.IssuedAt.Add(5 * time.Second)
					}), nil
				}
				h.answer = func(_ int, r *http.Request) (int, http.Header, string) {
					p, err := token.Parse(r.URL.Query().Get("token"))
					if err != nil || p.Expired(time.Now().Add(-ahead)) {
						return http.StatusUnauthorized, nil, "Invalid Token"
					}
					return 0, nil, ""
				}
				it, s := h.live(h.options())
				time.Sleep(5 * time.Second)
				h.server.SetDown(true)
				s.close(websocket.StatusPolicyViolation, "Token expired")
				time.Sleep(time.Minute)
				require.Equal(t, client.StateWaiting, it.State())
				h.server.SetDown(false)
				h.accept().expectSubscribe("e-0").open("complete", "e-0")
				require.Len(t, h.fetchTimes(), 3, "one for each refusal")
			})
		})
	}
}
