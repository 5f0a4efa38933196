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

// refuseExpired answers upgrades as a server does that checks the token.
func (h *harness) refuseExpired() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answer = func(_ int, r *http.Request) (int, http.Header, string) {
		p, err := token.Parse(r.URL.Query().Get("token"))
		if err != nil || p.Expired(time.Now()) {
			return http.StatusUnauthorized, nil, "Invalid Token"
		}
		return 0, nil, ""
	}
}

// A token that was fetched since the one before was refused, and is refused too, ends
// the iterator. One that had its time, and could not be used in it, does not.
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

// A source whose tokens have expired when they are fetched gives no better ones.
func TestTokenThatIsFetchedExpired(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		h.issue = func(n int) (*token.Payload, error) {
			return living(map[bool]time.Duration{true: 5 * time.Second, false: -time.Second}[n == 1])(n)
		}
		h.refuseExpired()
		it, s := h.live(h.options())
		l := read(t, it)
		s.close(websocket.StatusPolicyViolation, "Token expired")
		l.expect("!client: token refused: client: dial: UNAUTHORIZED: Invalid Token")
		l.expectEnd()
		require.Len(t, h.fetchTimes(), 2)
	})
}
