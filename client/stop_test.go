//go:build !js

package client_test

import (
	"context"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/internal/memhttp"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

// situations are states of an iterator in which it may be stopped. Each function is called
// with a live iterator and brings it into that state.
var situations = map[string]func(h *harness, s *socket){
	"live": func(*harness, *socket) {},
	"waiting": func(_ *harness, s *socket) {
		s.drop()
	},
	"waiting while the host is down": func(h *harness, s *socket) {
		h.server.SetDown(true)
		s.drop()
		time.Sleep(100*time.Second + 500*time.Millisecond)
	},
	"in a handshake": func(h *harness, s *socket) {
		h.change(func() { h.answer = hang })
		s.drop()
		time.Sleep(1500 * time.Millisecond)
	},
	"waiting for a subscription": func(h *harness, s *socket) {
		s.drop()
		h.accept()
	},
	"fetching a token": func(h *harness, s *socket) {
		h.change(func() { h.issue = slowly })
		s.close(websocket.StatusPolicyViolation, "Token expired")
		time.Sleep(1500 * time.Millisecond)
	},
	"refreshing": func(h *harness, _ *socket) {
		h.change(func() { h.issue = slowly })
		time.Sleep(23*time.Hour + time.Second)
	},
	"sending a new token to the server": func(_ *harness, s *socket) {
		time.Sleep(23 * time.Hour)
		s.expectUpdateToken()
	},
	"changing sockets": func(h *harness, s *socket) {
		h.change(func() {
			h.answer = hang
			h.issue = func(int) (*token.Payload, error) {
				return payload(func(p *token.Payload) { p.Tags = []string{"other"} }), nil
			}
		})
		time.Sleep(23 * time.Hour)
		<-s.ended
		synctest.Wait()
	},
	"waiting after several attempts to fetch a token": func(h *harness, s *socket) {
		h.change(func() { h.issue = func(int) (*token.Payload, error) { return nil, errors.New("down") } })
		s.close(websocket.StatusPolicyViolation, "Token expired")
		time.Sleep(time.Hour)
	},
	"paused, without a reader": func(_ *harness, s *socket) {
		s.event("e-1", "e-2", "e-3", "e-4", "e-5", "e-6")
		synctest.Wait()
	},
}

func slowly(int) (*token.Payload, error) {
	time.Sleep(2 * time.Second)
	return nil, errors.New("slow")
}

func TestStop(t *testing.T) {
	stops := map[string]struct {
		stop func(it *client.Iterator[string], cancel context.CancelCauseFunc)
		// loopEnds are the items that a waiting loop still receives.
		loopEnds []string
		is       error
	}{
		"by Close": {
			func(it *client.Iterator[string], _ context.CancelCauseFunc) { _ = it.Close() },
			nil, nil,
		},
		"by Close, of several at once": {
			func(it *client.Iterator[string], _ context.CancelCauseFunc) {
				var closing sync.WaitGroup
				for range 10 {
					closing.Go(func() { _ = it.Close() })
				}
				closing.Wait()
			},
			nil, nil,
		},
		"by context": {
			func(_ *client.Iterator[string], cancel context.CancelCauseFunc) { cancel(nil) },
			[]string{"!client: iterator ended: context canceled"}, context.Canceled,
		},
		"by context with a cause": {
			func(_ *client.Iterator[string], cancel context.CancelCauseFunc) { cancel(errors.New("enough")) },
			[]string{"!client: iterator ended: context canceled: enough"}, context.Canceled,
		},
	}
	for where, situation := range situations {
		for how, c := range stops {
			t.Run(where+", "+how, func(t *testing.T) {
				inBubble(t, func(t *testing.T, h *harness) {
					ctx, cancel := context.WithCancelCause(t.Context())
					defer cancel(nil)
					o := h.options()
					o.BufferSize = 4
					o.RefreshTokenBeforeExpire = time.Hour
					var last error
					note := o.OnStateChange
					o.OnStateChange = func(s client.State, err error) { last = err; note(s, err) }
					d := h.dial(ctx, o)
					s := h.accept()
					s.expectSubscribe("").open("none", "e-0")
					it := d.iterator()
					situation(h, s)
					begin := time.Now()
					c.stop(it, cancel)
					l := read(t, it)
					l.expect(c.loopEnds...)
					l.expectEnd()
					read(t, it).expectEnd() // the error was returned once
					require.NoError(t, it.Close())
					require.LessOrEqual(t, time.Since(begin), 2*time.Second)
					require.Equal(t, client.StateClosed, it.State())
					require.Equal(t, "closed", h.seen()[len(h.seen())-1])
					if c.is == nil {
						require.NoError(t, last)
					} else {
						require.ErrorIs(t, last, c.is)
					}
					_, err := it.Call(t.Context(), &rpc.Call{Path: []string{"m"}})
					require.ErrorIs(t, err, client.ErrClosed)
				})
			})
		}
	}
}

func TestStopClosesTheSocketInGoodOrder(t *testing.T) {
	for name, stop := range map[string]func(it *client.Iterator[string], cancel context.CancelFunc){
		"by Close":   func(it *client.Iterator[string], _ context.CancelFunc) { _ = it.Close() },
		"by context": func(_ *client.Iterator[string], cancel context.CancelFunc) { cancel() },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *harness) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				d := h.dial(ctx, h.options())
				s := h.accept()
				s.expectSubscribe("").open("none", "")
				it := d.iterator()
				stop(it, cancel)
				s.closedWith(websocket.StatusNormalClosure)
				require.True(t, s.quiet(), "no abort is sent for the subscription")
				require.Zero(t, time.Since(h.start))
			})
		})
	}
}

func TestStopReleasesALoopThatWaits(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		it, _ := h.live(h.options())
		l := read(t, it)
		require.True(t, l.quiet())
		require.NoError(t, it.Close())
		l.expectEnd()
	})
}

func TestCloseInALoop(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		it, s := h.live(h.options())
		s.event("e-1", "e-2", "e-3")
		synctest.Wait()
		var got []string
		for text, err := range it.All() {
			require.NoError(t, err)
			got = append(got, text)
			require.NoError(t, it.Close())
		}
		require.Equal(t, []string{"e-1"}, got, "unread events are dropped")
	})
}

// Some servers do not answer a close frame, as workerd, and some do not even read it.
func TestCloseDoesNotWaitForTheServer(t *testing.T) {
	for name, goOn := range map[string]func(c net.Conn){
		"no answer": func(c net.Conn) { _, _ = io.Copy(io.Discard, c) },
		"no reader": func(net.Conn) {},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *harness) {
				server := memhttp.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					goOn(acceptRaw(t, w, r))
				}))
				defer server.Close()
				o := h.options()
				o.HTTPClient = server.Client()
				it := h.dial(t.Context(), o).iterator()
				begin := time.Now()
				require.NoError(t, it.Close())
				require.LessOrEqual(t, time.Since(begin), time.Second)
			})
		})
	}
}

// acceptRaw opens a WebSocket and answers one subscription, and nothing else.
func acceptRaw(t *testing.T, w http.ResponseWriter, r *http.Request) net.Conn {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		t.Error(err)
		return nil
	}
	t.Cleanup(func() { _ = conn.Close() })
	accept := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Accept: "+base64.StdEncoding.EncodeToString(accept[:])+"\r\n\r\n")
	_, _ = conn.Read(make([]byte, 1000))
	const answer = `{"i":"1","p":{"h":{"content-type":"text/event-stream"}}}`
	_, _ = conn.Write(append([]byte{0x81, byte(len(answer))}, answer...))
	return conn
}

func TestCloseOfAnEndedIterator(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		it, s := h.live(h.options())
		h.refuse(401)
		s.close(websocket.StatusPolicyViolation, "Token expired")
		time.Sleep(time.Minute)
		require.Equal(t, client.StateClosed, it.State())
		require.NoError(t, it.Close())
		require.NoError(t, it.Close())
	})
}

func TestTheEndComesAfterWhatHasArrived(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		it, s := h.live(h.options())
		s.event("e-1", "e-2")
		synctest.Wait()
		h.refuse(401)
		s.close(websocket.StatusPolicyViolation, "Token expired")
		time.Sleep(time.Minute)
		l := read(t, it)
		l.expect("e-1", "e-2", "!client: token refused: dial: memory: UNAUTHORIZED: refused")
		l.expectEnd()
		_, err := it.Call(t.Context(), &rpc.Call{Path: []string{"m"}})
		require.ErrorIs(t, err, client.ErrClosed)
		require.ErrorIs(t, err, client.ErrRefused)
	})
}
