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

// refreshes are the points at which a second token is fetched. Each function is called with
// a live iterator, whose token is valid for an hour and replaced 10 minutes before, and
// makes it reach that point.
var refreshes = map[string]func(h *harness, s *socket){
	"live": func(*harness, *socket) { time.Sleep(50 * time.Minute) },
	"live, without a reader": func(_ *harness, s *socket) {
		s.event("e-1", "e-2", "e-3", "e-4", "e-5", "e-6")
		time.Sleep(50 * time.Minute)
	},
	"waiting while the host is down": func(h *harness, s *socket) {
		time.Sleep(30 * time.Minute)
		h.server.SetDown(true)
		s.drop()
		time.Sleep(20 * time.Minute)
	},
	"waiting while upgrades are refused": func(h *harness, s *socket) {
		time.Sleep(30 * time.Minute)
		h.refuse(http.StatusForbidden)
		s.drop()
		time.Sleep(20 * time.Minute)
	},
	"in a handshake": func(h *harness, s *socket) {
		time.Sleep(50*time.Minute - 5*time.Second)
		h.change(func() { h.answer = hang })
		s.drop()
		time.Sleep(5 * time.Second)
	},
	"waiting for a subscription": func(h *harness, s *socket) {
		time.Sleep(50*time.Minute - 5*time.Second)
		s.drop()
		h.accept().expectSubscribe("e-0")
		time.Sleep(5 * time.Second)
	},
	"after 1008": func(_ *harness, s *socket) {
		s.close(websocket.StatusPolicyViolation, "Token expired")
		time.Sleep(time.Second)
	},
	"after 401 for the upgrade": func(h *harness, s *socket) {
		h.change(func() { h.answerOnce(2, http.StatusUnauthorized) })
		s.drop()
		time.Sleep(3 * time.Second)
	},
	"after 401 for the subscription": func(h *harness, s *socket) {
		s.drop()
		s = h.accept()
		s.fail(s.next(), http.StatusUnauthorized, "UNAUTHORIZED")
		time.Sleep(2 * time.Second)
	},
}

// A source that refuses a token ends the iterator at once, whatever its state is.
func TestRefreshIsRefused(t *testing.T) {
	for where, point := range refreshes {
		for _, code := range []rpc.Code{rpc.CodeUnauthorized, rpc.CodeForbidden, rpc.CodeNotFound} {
			t.Run(where+"/"+string(code), func(t *testing.T) {
				inBubble(t, func(t *testing.T, h *harness) {
					it, s := h.refreshing(func() error { return rpc.Errorf(code, "gone") })
					point(h, s)
					synctest.Wait()
					require.Len(t, h.fetchTimes(), 2)
					require.Equal(t, client.StateClosed, it.State())
					var last error
					for _, last = range it.All() {
						continue // arrived events are not lost
					}
					require.ErrorIs(t, last, client.ErrRefused)
					require.Equal(t, code, rpc.CodeOf(last))
					read(t, it).expectEnd()
				})
			})
		}
	}
}

// A source that fails otherwise does not, and is called again until it returns a token.
func TestRefreshFails(t *testing.T) {
	for where, point := range refreshes {
		for name, err := range map[string]error{
			"no answer":   errors.New("no route to host"),
			"unavailable": rpc.Errorf(rpc.CodeServiceUnavailable, "down"),
		} {
			t.Run(where+"/"+name, func(t *testing.T) {
				inBubble(t, func(t *testing.T, h *harness) {
					it, s := h.refreshing(func() error { return err })
					point(h, s)
					time.Sleep(24 * time.Hour)
					require.NotEqual(t, client.StateClosed, it.State())
					require.Greater(t, len(h.fetchTimes()), 10)
					h.change(func() { h.issue = living(48 * time.Hour) })
					h.server.SetDown(false)
					h.letIn()
					go h.serveAll(s)
					time.Sleep(24 * time.Hour)
					require.Equal(t, client.StateLive, it.State())
				})
			})
		}
	}
}

// refreshing opens an iterator whose source does not return a second token.
func (h *harness) refreshing(err func() error) (*client.Iterator[string], *socket) {
	h.issue = func(n int) (*token.Payload, error) {
		if n > 1 {
			return nil, err()
		}
		return living(time.Hour)(n)
	}
	o := h.options()
	o.RefreshTokenBeforeExpire = 10 * time.Minute
	o.BufferSize = 4
	return h.live(o)
}

// serveAll answers the messages on a socket, and then on the next ones.
func (h *harness) serveAll(s *socket) {
	for {
		select {
		case <-s.ended: // its unread messages do not matter
			select {
			case s = <-h.opened:
			case <-h.t.Context().Done():
				return
			}
			continue
		default:
		}
		select {
		case f := <-s.frames:
			if f.Payload.URL == "/subscribe" {
				s.sub = f.ID
				s.open("complete", "")
			} else {
				s.reply(f, `{}`)
			}
		case <-s.ended:
		}
	}
}

// A server that does not accept the new token now, or not from this client, still has the
// old one: the socket stays open, and the client tries again.
func TestTokenIsNotTakenOnTheOpenSocket(t *testing.T) {
	for name, test := range map[string]struct {
		status int
		code   string
		stays  bool
	}{
		"forbidden":          {http.StatusForbidden, "FORBIDDEN", true},
		"cannot be verified": {http.StatusServiceUnavailable, "SERVICE_UNAVAILABLE", true},
		"unauthorized":       {http.StatusUnauthorized, "UNAUTHORIZED", false},
		"broken":             {http.StatusInternalServerError, "INTERNAL_SERVER_ERROR", false},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *harness) {
				h.issue = living(time.Hour)
				o := h.options()
				o.RefreshTokenBeforeExpire = 10 * time.Minute
				it, s := h.live(o)
				f, _ := s.expectUpdateToken()
				s.fail(f, test.status, test.code)
				if !test.stays {
					h.accept()
					return
				}
				for range 3 {
					f, _ = s.expectUpdateToken()
					s.fail(f, test.status, test.code)
				}
				require.Less(t, len(h.fetchTimes()), 10)
				f, p := s.expectUpdateToken()
				s.reply(f, `{}`)
				synctest.Wait()
				require.Len(t, h.upgradeTimes(), 1)
				require.Equal(t, client.StateLive, it.State())
				require.Equal(t, string(p.Att), string(it.Token().Att))
				s.event("e-1")
				read(t, it).expect("e-1")
			})
		})
	}
}
