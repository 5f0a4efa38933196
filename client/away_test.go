//go:build !js

package client_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/internal/dial"
	"github.com/go-orpc/durable-iterator/token"
)

// page sends changes of the program to an iterator.
type page chan dial.Change

// options returns options with pauses of an hour, so that attempts without a pause can be
// distinguished.
func (p page) options(h *harness) *client.Options {
	o := h.options()
	o.SetChanges(p)
	o.Backoff = func(int) time.Duration { return time.Hour }
	return o
}

func (p page) is(c dial.Change) {
	p <- c
	synctest.Wait()
}

// A program that is put away closes its connection before it is suspended, and catches up
// at once.
func TestAway(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, h *harness) {
		p := make(page)
		it, s := h.live(p.options(h))
		s.event("e-1")
		p.is(dial.Away)
		p.is(dial.Away) // a page has both pagehide and freeze
		<-s.ended
		require.Equal(t, client.StateWaiting, it.State())
		time.Sleep(24 * time.Hour)
		p.is(dial.Offline)
		require.Len(t, h.tried(), 1)
		p.is(dial.Back)
		s = h.accept().expectSubscribe("e-1")
		s.open("complete", "e-1")
		s.event("e-2")
		take(t, it, "e-1", "e-2")
		synctest.Wait()
		require.Equal(t, []string{"connecting", "live", "waiting", "connecting", "live"}, h.seen())
	})
}

// An iterator notices Offline at once, and connects at once when the network is back.
func TestOffline(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, h *harness) {
		p := make(page)
		it, s := h.live(p.options(h))
		states := it.State
		p.is(dial.Offline)
		require.Equal(t, client.StateWaiting, states())
		<-s.ended
		begin := time.Now()
		p.is(dial.Back)
		h.accept().expectSubscribe("e-0").open("complete", "e-0")
		synctest.Wait()
		require.Equal(t, client.StateLive, states())
		require.Zero(t, time.Since(begin))
	})
}

// An attempt to connect is cancelled at any point, and repeated without a pause.
func TestAwayWhileConnecting(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		stuck func(h *harness, o *client.Options) // how far the attempt gets
	}{
		"opening a socket": {func(h *harness, _ *client.Options) {
			h.change(func() {
				h.answer = func(n int, r *http.Request) (int, http.Header, string) {
					if n == 1 {
						<-r.Context().Done()
						return 503, nil, ""
					}
					return 0, nil, ""
				}
			})
		}},
		"subscribing":  {func(*harness, *client.Options) {}},
		"in a URLFunc": {func(_ *harness, o *client.Options) { o.URL, o.URLFunc = "", slowURL() }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for name, c := range map[string]dial.Change{"away": dial.Away, "offline": dial.Offline} {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					inBubble(t, func(t *testing.T, h *harness) {
						p := make(page)
						o := p.options(h)
						o.DialTimeout = time.Minute
						test.stuck(h, o)
						d := h.dial(t.Context(), o)
						synctest.Wait()
						p.is(c)
						require.Equal(t, []string{"connecting", "waiting"}, h.seen())
						if c == dial.Away {
							time.Sleep(time.Minute) // longer than ConnectTimeout
						}
						for len(h.opened) > 0 {
							<-(<-h.opened).ended
						}
						begin := time.Now()
						p.is(dial.Back)
						time.Sleep(20 * time.Second) // of 30
						h.accept().expectSubscribe("").open("none", "e-0")
						require.Equal(t, client.StateLive, d.iterator().State())
						require.Equal(t, 20*time.Second, time.Since(begin))
					})
				})
			}
		})
	}
}

// slowURL returns a function whose first call does not return before its context ends.
func slowURL() func(context.Context, *token.Payload) (string, error) {
	first := true
	return func(ctx context.Context, _ *token.Payload) (string, error) {
		if first {
			first = false
			<-ctx.Done()
			return "", ctx.Err()
		}
		return "ws://memory/room", nil
	}
}

// An iterator that was never live fails after ConnectTimeout, counted from when the program
// is back.
func TestAwayAndNeverLive(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, h *harness) {
		h.refuse(503)
		p := make(page)
		d := h.dial(t.Context(), p.options(h))
		synctest.Wait()
		p.is(dial.Away)
		time.Sleep(time.Hour)
		begin := time.Now()
		p.is(dial.Back)
		require.ErrorIs(t, d.failure(), context.DeadlineExceeded)
		require.Equal(t, client.DefaultConnectTimeout, time.Since(begin))
	})
}

// A token that arrives while the program is away is used when it is back.
func TestAwayWhileATokenIsFetched(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, h *harness) {
		p := make(page)
		o := p.options(h)
		o.Backoff = func(int) time.Duration { return time.Second }
		it, s := h.live(o)
		fetched := make(chan struct{})
		h.change(func() {
			h.issue = func(int) (*token.Payload, error) {
				<-fetched
				return payload(), nil
			}
		})
		s.close(websocket.StatusPolicyViolation, "Token expired")
		time.Sleep(2 * time.Second)
		require.Equal(t, client.StateConnecting, it.State())
		p.is(dial.Away)
		close(fetched)
		time.Sleep(time.Hour)
		require.Equal(t, client.StateWaiting, it.State())
		require.Len(t, h.tried(), 1)
		p.is(dial.Back)
		h.accept().expectSubscribe("e-0").open("complete", "e-0")
		synctest.Wait()
		require.Equal(t, client.StateLive, it.State())
		require.Len(t, h.fetchTimes(), 2)
	})
}

// A program that is back checks its connection, and keeps it if it is alive.
func TestBackOnAConnection(t *testing.T) {
	t.Parallel()
	for name, dead := range map[string]bool{"dead": true, "alive": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(t *testing.T, h *harness) {
				p := make(page)
				o := p.options(h)
				o.PingInterval = 0
				it, s := h.live(o)
				if dead {
					s.deaf()
				}
				p.is(dial.Back)
				time.Sleep(5*time.Second + time.Millisecond)
				synctest.Wait()
				require.Equal(t, dead, it.State() != client.StateLive)
			})
		})
	}
}

// After several changes in a row, the last one counts.
func TestChangesInARow(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		changes []dial.Change
		live    bool
	}{
		"away and back":                {[]dial.Change{dial.Away, dial.Back}, true},
		"offline and back":             {[]dial.Change{dial.Offline, dial.Back}, true},
		"offline and away":             {[]dial.Change{dial.Offline, dial.Away}, false},
		"away, back and away":          {[]dial.Change{dial.Away, dial.Back, dial.Away}, false},
		"offline, back and offline":    {[]dial.Change{dial.Offline, dial.Back, dial.Offline}, false},
		"away, back, away and back":    {[]dial.Change{dial.Away, dial.Back, dial.Away, dial.Back}, true},
		"back and back":                {[]dial.Change{dial.Back, dial.Back}, true},
		"away, offline, and then back": {[]dial.Change{dial.Away, dial.Offline, dial.Back}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(t *testing.T, h *harness) {
				p := make(page)
				it, _ := h.live(p.options(h))
				for _, c := range test.changes {
					p <- c
				}
				synctest.Wait()
				var newest *socket // others were closed by a later change
				for len(h.opened) > 0 {
					newest = <-h.opened
				}
				if newest != nil && test.live {
					newest.expectSubscribe("e-0").open("complete", "e-0")
				}
				synctest.Wait()
				require.Equal(t, test.live, it.State() == client.StateLive, h.seen())
				time.Sleep(time.Minute)
				require.Equal(t, test.live, it.State() == client.StateLive, h.seen())
			})
		})
	}
}
