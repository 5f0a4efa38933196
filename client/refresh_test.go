//go:build !js

package client_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

// expectUpdateToken waits for a new token and returns its payload.
func (s *socket) expectUpdateToken() (frame, *token.Payload) {
	s.t.Helper()
	f := s.next()
	require.Equal(s.t, "/updateToken", f.Payload.URL, f.text)
	var tok string
	readMember(s.t, f.Payload.Body, "token", &tok)
	p, err := token.Parse(tok)
	require.NoError(s.t, err)
	return f, p
}

func living(life time.Duration, change ...func(*token.Payload)) func(int) (*token.Payload, error) {
	return func(int) (*token.Payload, error) {
		return payload(append([]func(*token.Payload){func(p *token.Payload) { p.ExpiresAt = time.Now().Add(life) }}, change...)...), nil
	}
}

func TestRefreshOnTheOpenSocket(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		h.issue = living(time.Hour)
		o := h.options()
		o.RefreshTokenBeforeExpire = 10 * time.Minute
		it, s := h.live(o)
		for n := 2; n < 5; n++ {
			f, p := s.expectUpdateToken()
			require.Equal(t, string(p.Att), string(it.Token().Att))
			s.reply(f, `{}`)
			require.Len(t, h.fetchTimes(), n)
			require.Equal(t, time.Duration(n-1)*50*time.Minute, time.Since(h.start))
		}
		require.Len(t, h.upgradeTimes(), 1)
		s.drop()
		require.Equal(t, s.query.Get("id"), h.accept().query.Get("id"))
	})
}

func TestRefreshOverAYear(t *testing.T) {
	const year = 365 * 24 * time.Hour
	cases := map[string]struct {
		life, before, delay time.Duration
		fetches             int // within a year, after the first
	}{
		"never":                        {time.Hour, 0, 0, 0},
		"a negative value means never": {time.Hour, -time.Hour, 0, 0},
		"daily":                        {24 * time.Hour, time.Hour, 0, 380},
		"monthly, past 2^31 ms":        {30 * 24 * time.Hour, time.Minute, 0, 12},
		"a token for two years":        {2 * year, time.Minute, 0, 0},
		"a token for 200 years":        {200 * year, time.Minute, 0, 0},
		"no sooner than the delay":     {time.Hour, 2 * time.Hour, 24 * time.Hour, 365},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *harness) {
				h.issue = living(c.life)
				o := h.options()
				o.RefreshTokenBeforeExpire, o.RefreshTokenDelay = c.before, c.delay
				_, s := h.live(o)
				go func() {
					for {
						select {
						case f := <-s.frames:
							s.reply(f, `{}`)
						case <-s.ended:
							return
						}
					}
				}()
				time.Sleep(year - time.Minute)
				require.Len(t, h.fetchTimes(), c.fetches+1)
				require.Len(t, h.upgradeTimes(), 1)
			})
		})
	}
}

func TestRefreshByAFunction(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		h.issue = living(time.Hour)
		o := h.options()
		o.RefreshTokenBeforeExpireFunc = func(p *token.Payload) time.Duration {
			return map[string]time.Duration{"1": 10 * time.Minute, "2": 20 * time.Minute}[string(p.Att)] // the third continues to its end
		}
		_, s := h.live(o)
		for range 2 {
			f, _ := s.expectUpdateToken()
			s.reply(f, `{}`)
		}
		time.Sleep(24 * time.Hour)
		require.Equal(t, []time.Duration{0, 50 * time.Minute, 90 * time.Minute}, h.fetchTimes())
	})
}

func TestFirstRefreshMayComeAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		h.issue = living(time.Minute)
		o := h.options()
		o.RefreshTokenBeforeExpire = time.Hour
		_, s := h.live(o)
		for range 3 {
			f, _ := s.expectUpdateToken()
			s.reply(f, `{}`)
		}
		require.Equal(t, []time.Duration{0, 0, 2 * time.Second, 4 * time.Second}, h.fetchTimes())
	})
}

func TestFailedRefreshIsTriedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		h.issue = func(n int) (*token.Payload, error) {
			switch n {
			case 2, 3:
				return nil, errors.New("down")
			case 4:
				return &token.Payload{Channel: "room"}, nil // cannot be signed: it has no end
			}
			return living(time.Hour)(n)
		}
		o := h.options()
		o.RefreshTokenBeforeExpire = 10 * time.Minute
		o.RefreshTokenDelay = time.Minute
		_, s := h.live(o)
		_, p := s.expectUpdateToken()
		require.Equal(t, "5", string(p.Att))
		require.Equal(t, []time.Duration{0, 50 * time.Minute, 51 * time.Minute, 52 * time.Minute, 53 * time.Minute}, h.fetchTimes())
	})
}

func TestRefusedRefreshEndsTheIterator(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		h.issue = func(n int) (*token.Payload, error) {
			if n > 1 {
				return nil, rpc.Errorf(rpc.CodeForbidden, "banned")
			}
			return living(time.Hour)(n)
		}
		o := h.options()
		o.RefreshTokenBeforeExpire = 10 * time.Minute
		it, s := h.live(o)
		l := read(t, it)
		l.expect("!client: token refused: refresh: FORBIDDEN: banned")
		l.expectEnd()
		s.closedWith(websocket.StatusNormalClosure)
	})
}

func TestRefreshThatNeedsAnotherSocket(t *testing.T) {
	cases := map[string]struct {
		before, after func(*token.Payload)
		same          bool
	}{
		"another channel":        {func(*token.Payload) {}, func(p *token.Payload) { p.Channel = "other" }, false},
		"other tags":             {func(p *token.Payload) { p.Tags = []string{"a"} }, func(p *token.Payload) { p.Tags = []string{"b"} }, false},
		"tags in another order":  {func(p *token.Payload) { p.Tags = []string{"a", "b"} }, func(p *token.Payload) { p.Tags = []string{"b", "a"} }, false},
		"no tags and empty tags": {func(*token.Payload) {}, func(p *token.Payload) { p.Tags = []string{} }, false},
		"empty tags and no tags": {func(p *token.Payload) { p.Tags = []string{} }, func(*token.Payload) {}, false},
		"the same tags":          {func(p *token.Payload) { p.Tags = []string{"a"} }, func(p *token.Payload) { p.Tags = []string{"a"} }, true},
		"other methods":          {func(*token.Payload) {}, func(p *token.Payload) { p.RPC = nil }, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *harness) {
				h.issue = func(n int) (*token.Payload, error) {
					if n == 1 {
						return living(time.Hour, c.before)(n)
					}
					return living(time.Hour, c.after)(n)
				}
				o := h.options()
				o.RefreshTokenBeforeExpire = 10 * time.Minute
				it, s := h.live(o)
				l := read(t, it)
				s.event("e-1")
				l.expect("e-1")
				if c.same {
					s.expectUpdateToken()
					return
				}
				s.closedWith(websocket.StatusNormalClosure)
				next := h.accept().expectSubscribe("e-1")
				next.open("complete", "")
				require.Equal(t, s.query.Get("id"), next.query.Get("id"))
				require.NotEqual(t, s.query.Get("token"), next.query.Get("token"))
				require.Equal(t, 50*time.Minute, time.Since(h.start), "without any pause")
				next.event("e-2")
				l.expect("e-2")
				synctest.Wait()
				require.Equal(t, []string{"connecting", "live", "connecting", "live"}, h.seen())
			})
		})
	}
}

// An event that arrived before a refresh to another channel is of the channel before, also if
// it is only found to be unreadable when a loop takes it out.
func TestGapAfterARefreshNamesItsChannel(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		h.issue = func(n int) (*token.Payload, error) {
			return living(time.Hour, func(p *token.Payload) {
				if n > 1 {
					p.Channel = "other"
				}
			})(n)
		}
		o := h.options()
		o.RefreshTokenBeforeExpire = 10 * time.Minute
		it, s := h.live(o)
		s.event("e-1")
		s.unreadable(unreadable["a value of another type"].event)
		s.closedWith(websocket.StatusNormalClosure)
		h.accept().expectSubscribe("e-2").open("complete", "")
		require.Equal(t, "other", it.Token().Channel)
		for _, err := range it.Events() {
			if gap, ok := errors.AsType[*client.GapError](err); ok {
				require.Equal(t, "room", gap.Channel)
				break
			}
		}
	})
}

func TestRefreshThatTheSocketDoesNotTake(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		h.issue = living(time.Hour)
		o := h.options()
		o.RefreshTokenBeforeExpire = 10 * time.Minute
		_, s := h.live(o)
		f, p := s.expectUpdateToken()
		s.fail(f, 401, "UNAUTHORIZED")
		s.closedWith(websocket.StatusNormalClosure)
		s = h.accept().expectSubscribe("e-0")
		require.Contains(t, s.query.Get("token"), `"att":`+string(p.Att))
		s.open("complete", "")
	})
}

func TestRefreshWithoutConnection(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		h.issue = living(time.Hour)
		o := h.options()
		o.RefreshTokenBeforeExpire = 10 * time.Minute
		o.Backoff = func(int) time.Duration { return 7 * time.Minute }
		it, s := h.live(o)
		h.server.SetDown(true)
		s.drop()
		time.Sleep(51 * time.Minute)
		require.Equal(t, "2", string(it.Token().Att))
		require.Equal(t, client.StateWaiting, it.State(), "nothing else has happened")
		h.server.SetDown(false)
		s = h.accept().expectSubscribe("e-0")
		require.Contains(t, s.query.Get("token"), `"att":2`)
		s.open("complete", "")
		synctest.Wait()
		require.True(t, s.quiet(), "the server knows the token")
	})
}

// The token that a connection is opened with may be old when it is open.
func TestRefreshWhileConnecting(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		h.issue = living(time.Hour)
		o := h.options()
		o.RefreshTokenBeforeExpire = time.Hour - 5*time.Second
		d := h.dial(t.Context(), o)
		s := h.accept()
		s.expectSubscribe("")
		time.Sleep(6 * time.Second)
		require.Len(t, h.fetchTimes(), 2)
		require.True(t, s.quiet())
		s.open("none", "")
		_, p := s.expectUpdateToken()
		require.Equal(t, "2", string(p.Att))
		d.iterator()
	})
}

func TestRefreshedMethods(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		h.issue = func(n int) (*token.Payload, error) {
			return living(time.Hour, func(p *token.Payload) { p.RPC = [][]string{{"m"}, {"other"}}[min(n, 2)-1] })(n)
		}
		o := h.options()
		o.RefreshTokenBeforeExpire = 10 * time.Minute
		it, s := h.live(o)
		_, err := it.Call(t.Context(), &rpc.Call{Path: []string{"other"}})
		require.Equal(t, rpc.CodeForbidden, rpc.CodeOf(err))
		f, _ := s.expectUpdateToken()
		s.reply(f, `{}`)
		_, err = methodM.Call(t.Context(), it, "in")
		require.Equal(t, rpc.CodeForbidden, rpc.CodeOf(err))
		answered := callInBackground(t, it, "other")
		s.reply(s.next(), `{"json":"out"}`)
		require.Equal(t, "out", <-answered)
	})
}

func TestStopDuringARefresh(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		release := make(chan struct{})
		h.issue = func(n int) (*token.Payload, error) {
			if n > 1 {
				<-release
			}
			return living(time.Hour, func(p *token.Payload) { p.Tags = []string{string(rune('a' + n))} })(n)
		}
		o := h.options()
		o.RefreshTokenBeforeExpire = 10 * time.Minute
		it, s := h.live(o)
		time.Sleep(50 * time.Minute)
		synctest.Wait()
		l := read(t, it)
		closed := make(chan struct{})
		go func() { _ = it.Close(); close(closed) }()
		l.expectEnd()
		s.closedWith(websocket.StatusNormalClosure)
		close(release) // a source that does not heed its context
		<-closed
		time.Sleep(time.Hour)
		require.Len(t, h.upgradeTimes(), 1, "a stopped iterator does not reconnect")
	})
}
