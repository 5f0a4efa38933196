//go:build !js

package client_test

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

// logTo returns a logger of warnings that writes to log.
func logTo(log *bytes.Buffer) *slog.Logger {
	return slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

func TestFirstConnectionLogsEachReasonOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		h.answer = func(n int, r *http.Request) (int, http.Header, string) {
			return map[int]int{1: 500, 2: 500, 3: 500, 4: 503, 5: 503}[n], nil, "no " + r.URL.Query().Get("token")
		}
		var log bytes.Buffer
		o := h.options()
		o.Logger = logTo(&log)
		_, s := h.live(o)
		require.Equal(t, 2, strings.Count(log.String(), "not connected yet"), log.String())
		require.Equal(t, 1, strings.Count(log.String(), "INTERNAL_SERVER_ERROR"), log.String())
		require.Equal(t, 1, strings.Count(log.String(), "SERVICE_UNAVAILABLE"), log.String())
		requireNoPiece(t, s.query.Get("token"), log.String())

		logged := log.Len()
		s.drop()
		h.accept().expectSubscribe("e-0").open("complete", "")
		require.Equal(t, logged, log.Len(), "later losses are state changes")
	})
}

func TestFirstTokenLogsEachReasonOnce(t *testing.T) {
	t.Run("Dial", func(t *testing.T) {
		inBubble(t, func(t *testing.T, h *harness) {
			var log bytes.Buffer
			h.issue = func(n int) (*token.Payload, error) {
				if n < 20 {
					return nil, errors.New("read tcp 127.0.0.1:4000" + string(rune('0'+n%10)) + "->127.0.0.1:80: connection reset")
				}
				return payload(), nil
			}
			o := h.options()
			o.Logger = logTo(&log)
			tries := 0
			retry := rpc.Retry{Max: rpc.Unlimited, OnRetry: func(int, error) func(bool) {
				tries++
				return nil
			}}
			d := h.dial(t.Context(), o, retry)
			h.accept().expectSubscribe("").open("none", "e-0")
			d.iterator()
			require.Equal(t, 1, strings.Count(log.String(), "no token yet"), log.String())
			require.Equal(t, 19, tries)
		})
	})
	t.Run("Subscribe", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			b := newBackend(t, durableobject.Options{})
			b.server.SetDown(true)
			time.AfterFunc(time.Minute, func() { b.server.SetDown(false) })
			it := b.subscribe(listenInput{}, b.link(func(p *client.LinkPlugin) { p.Logger = logTo(&log) }), rpc.WithRetry(rpc.Unlimited))
			require.Equal(t, 1, strings.Count(log.String(), "no token yet"), log.String())
			require.NoError(t, it.Close())
		})
	})
	t.Run("Subscribe without a plugin", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := newBackend(t, durableobject.Options{})
			b.server.SetDown(true)
			link := rpc.NewLink(b.server.URL()+"/rpc", &rpc.LinkOptions{HTTPClient: b.server.Client()})
			_, err := client.Subscribe(t.Context(), link, onNumber, listenInput{}, rpc.WithRetry(2))
			require.Error(t, err)
		})
	})
}

func TestSlowLoopsAreLoggedOnceInAWhile(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		var log bytes.Buffer
		it, s := waiting(h, func(o *client.Options) { o.Logger = logTo(&log) })
		logged := func() int { return strings.Count(log.String(), "events are read too slowly") }
		again := func() { // reads the buffer and fills it
			s.expectAbort()
			take(t, it, "e-1", "e-2", "e-3", "e-4")
			s.expectSubscribe("e-4").open("complete", "")
			s.event("e-1", "e-2", "e-3", "e-4", "e-5")
			synctest.Wait()
		}
		again()
		again()
		again()
		s.expectAbort()
		require.Equal(t, 1, logged(), log.String())
		take(t, it, "e-1", "e-2", "e-3", "e-4")
		s.expectSubscribe("e-4").open("complete", "")
		time.Sleep(10 * time.Second)
		s.event("e-1", "e-2", "e-3", "e-4", "e-5")
		s.expectAbort()
		synctest.Wait()
		require.Equal(t, 2, logged(), log.String())
	})
}

func TestShortLifetimesAreLogged(t *testing.T) {
	for name, c := range map[string]struct {
		life, before, delay time.Duration
		logged              int
	}{
		"long enough":                       {time.Hour, time.Minute, 0, 0},
		"never refreshed":                   {time.Second, 0, 0, 0},
		"shorter than the time before":      {time.Hour, 2 * time.Hour, 0, 1},
		"as long as the time before":        {time.Hour, time.Hour, 0, 1},
		"shorter than the delay":            {time.Second, 100 * time.Millisecond, 0, 1},
		"shorter than a delay of its owner": {time.Minute, time.Second, time.Hour, 1},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *harness) {
				h.issue = living(c.life)
				var log bytes.Buffer
				o := h.options()
				o.RefreshTokenBeforeExpire, o.RefreshTokenDelay, o.Logger = c.before, c.delay, logTo(&log)
				_, s := h.live(o)
				go s.answerUpdates()
				time.Sleep(10 * time.Second)
				require.Equal(t, c.logged, strings.Count(log.String(), "the lifetime of the token is too short"), log.String())
				if c.logged > 0 {
					require.Contains(t, log.String(), "lifetime="+c.life.String())
					require.Contains(t, log.String(), "refresh_token_before_expire="+c.before.String())
				}
			})
		})
	}
}
