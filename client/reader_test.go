//go:build !js

package client_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/token"
)

// eventIDs returns the ids e-1 to e-n.
func eventIDs(n int) (ids []string) {
	for i := range n {
		ids = append(ids, fmt.Sprintf("e-%d", i+1))
	}
	return ids
}

// waiting returns an iterator whose buffer is full with e-1 to e-4, and whose reader waits for
// a loop with e-5.
func waiting(h *harness, change ...func(*client.Options)) (*client.Iterator[string], *socket) {
	h.t.Helper()
	o := h.options()
	o.BufferSize = 4
	for _, c := range change {
		c(o)
	}
	it, s := h.live(o)
	s.event("e-1", "e-2", "e-3", "e-4", "e-5")
	require.True(h.t, s.quiet(), "the subscription goes on")
	return it, s
}

func TestSlowLoopGetsEachEventOverOneSubscription(t *testing.T) {
	for name, c := range map[string]struct {
		buffer, events, burst int // events between two pauses of 10 ms
		padding               int // bytes of an event
		ping                  time.Duration
	}{
		"small buffer":                 {buffer: 16, events: 2000, burst: 100},
		"single event":                 {buffer: 1, events: 500, burst: 20},
		"default buffer":               {events: 4000, burst: 100},
		"pings":                        {buffer: 16, events: 400, burst: 1, padding: 1 << 10, ping: 200 * time.Millisecond},
		"events larger than the bytes": {buffer: 16, events: 100, burst: 1, padding: 100 << 10},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *harness) {
				o := h.options()
				o.BufferSize, o.BufferBytes, o.PingInterval = c.buffer, 64<<10, c.ping
				if c.buffer == 0 {
					o.BufferBytes = 0
				}
				if c.ping == 0 {
					o.PingInterval = -1
				}
				it, s := h.live(o)
				padding := strings.Repeat("x", c.padding)
				go func() {
					for _, id := range eventIDs(c.events) {
						s.send(`{"i":%s,"t":3,"p":{"e":"message","d":{"json":"%s%s"},"m":{"id":%q}}}`, s.sub, id, padding, id)
					}
				}()
				defer time.AfterFunc(time.Minute, func() { _ = it.Close() }).Stop()
				n := 0
				for text, err := range it.All() {
					require.NoError(t, err)
					n++
					require.Equal(t, fmt.Sprintf("e-%d%s", n, padding), text)
					if n == c.events {
						break
					}
					if n%c.burst == 0 {
						time.Sleep(10 * time.Millisecond)
					}
				}
				require.Equal(t, c.events, n)
				require.True(t, s.quiet(), "nothing was dropped, so nothing is asked for again")
				require.Len(t, h.upgradeTimes(), 1)
			})
		})
	}
}

// The reader does not wait long for a loop that reads less than 64 KiB per second.
func TestVerySlowLoopIsNotWaitedForLong(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		o := h.options()
		o.BufferSize = 4
		it, s := h.live(o)
		begin := time.Now()
		sent, loop := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(sent)
			s.event(eventIDs(300)...)
		}()
		go func() {
			defer close(loop)
			for _, err := range it.All() {
				if err != nil {
					t.Error(err)
				}
				time.Sleep(10 * time.Millisecond) // for 70 bytes
			}
		}()
		s.expectAbort()
		require.InDelta(t, 2, time.Since(begin).Seconds(), 0.5)
		<-sent
		require.NoError(t, it.Close())
		<-loop
	})
}

func TestLoopThatHasStopped(t *testing.T) {
	for name, c := range map[string]struct{ ping, wait time.Duration }{
		"no pings":    {-1, 2 * time.Second},
		"pings":       {30 * time.Second, 2 * time.Second},
		"short pings": {time.Second, 500 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *harness) {
				it, s := waiting(h, func(o *client.Options) { o.PingInterval = c.ping })
				begin := time.Now()
				s.expectAbort()
				require.Equal(t, c.wait, time.Since(begin))

				time.Sleep(time.Hour)
				begin = time.Now()
				answered := callInBackground(t, it, "m")
				s.reply(s.next(), `{"json":"done"}`)
				require.Equal(t, "done", <-answered)
				require.Zero(t, time.Since(begin))

				take(t, it, "e-1", "e-2")
				s.expectSubscribe("e-4").open("complete", "")
				s.event("e-5")
				take(t, it, "e-3", "e-4", "e-5")
				require.Len(t, h.upgradeTimes(), 1)
			})
		})
	}
}

// The answer to a call is behind the events that the reader does not read while it waits.
func TestCallsAreNotHeldUpByAWaitingReader(t *testing.T) {
	t.Run("a call that begins", func(t *testing.T) {
		inBubble(t, func(t *testing.T, h *harness) {
			it, s := waiting(h)
			time.Sleep(time.Second)
			answered := callInBackground(t, it, "m")
			f := s.next()
			require.Equal(t, "/call", f.Payload.URL, f.text)
			s.event("e-6", "e-7")
			s.reply(f, `{"json":"done"}`)
			require.Equal(t, "done", <-answered)
			require.Equal(t, time.Second, time.Since(h.start))
		})
	})
	t.Run("a call in flight", func(t *testing.T) {
		inBubble(t, func(t *testing.T, h *harness) {
			o := h.options()
			o.BufferSize = 4
			it, s := h.live(o)
			answered := callInBackground(t, it, "m")
			f := s.next()
			s.event(eventIDs(10)...)
			s.reply(f, `{"json":"done"}`)
			require.Equal(t, "done", <-answered)
			require.Zero(t, time.Since(h.start))
		})
	})
	t.Run("calls in the body of a loop", func(t *testing.T) {
		inBubble(t, func(t *testing.T, h *harness) {
			it, s := waiting(h)
			var calls int
			go func() {
				for {
					select {
					case f := <-s.frames:
						switch {
						case f.Payload.URL == "/subscribe":
							s.sub = f.ID
							s.open("complete", "")
							if f.Payload.Header["last-event-id"] == "e-4" {
								s.event("e-5")
							}
						case f.Payload.URL == "/call":
							calls++
							s.reply(f, `{"json":"done"}`)
						}
					case <-s.ended:
						return
					}
				}
			}()
			for text, err := range it.All() {
				require.NoError(t, err)
				require.Equal(t, "done", <-callInBackground(t, it, "m"))
				if text == "e-5" {
					break
				}
			}
			require.Equal(t, 5, calls)
			require.Zero(t, time.Since(h.start))
		})
	})
}

func TestRefreshWhileTheReaderWaits(t *testing.T) {
	for name, tags := range map[string][]string{"on the socket": nil, "on another socket": {"other"}} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *harness) {
				h.issue = func(n int) (*token.Payload, error) {
					return payload(func(p *token.Payload) {
						p.IssuedAt = time.Now()
						p.ExpiresAt = p.IssuedAt.Add(10 * time.Second)
						if n > 1 {
							p.Tags = tags
						}
					}), nil
				}
				it, s := waiting(h, func(o *client.Options) { o.RefreshTokenBeforeExpire = 9 * time.Second })
				if tags == nil {
					f, _ := s.expectUpdateToken()
					s.reply(f, `{}`)
					s.expectAbort()
				} else {
					s.closedWith(websocket.StatusNormalClosure)
					s = h.accept()
				}
				synctest.Wait()
				require.Equal(t, time.Second, time.Since(h.start))
				take(t, it, "e-1", "e-2")
				s.expectSubscribe("e-4")
			})
		})
	}
}

func TestStopWhileTheReaderWaits(t *testing.T) {
	t.Run("Close", func(t *testing.T) {
		inBubble(t, func(t *testing.T, h *harness) {
			it, s := waiting(h)
			require.NoError(t, it.Close())
			s.closedWith(websocket.StatusNormalClosure)
			require.Zero(t, time.Since(h.start))
		})
	})
	t.Run("Close in the body of a loop", func(t *testing.T) {
		inBubble(t, func(t *testing.T, h *harness) {
			it, s := waiting(h)
			for _, err := range it.All() {
				require.NoError(t, err)
				require.NoError(t, it.Close())
			}
			s.closedWith(websocket.StatusNormalClosure)
			require.Zero(t, time.Since(h.start))
		})
	})
	t.Run("the context", func(t *testing.T) {
		inBubble(t, func(t *testing.T, h *harness) {
			ctx, cancel := context.WithCancel(t.Context())
			o := h.options()
			o.BufferSize = 4
			d := h.dial(ctx, o)
			s := h.accept()
			s.expectSubscribe("").open("none", "e-0")
			it := d.iterator()
			s.event("e-1", "e-2", "e-3", "e-4", "e-5")
			synctest.Wait()
			cancel()
			s.closedWith(websocket.StatusNormalClosure)
			synctest.Wait()
			require.Equal(t, client.StateClosed, it.State())
			require.Zero(t, time.Since(h.start))
		})
	})
}

// The reader does not see the end of the connection while it waits. A message that has arrived
// before it is not lost.
func TestConnectionLostWhileTheReaderWaits(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		it, s := waiting(h)
		s.drop()
		take(t, it, eventIDs(5)...)
		h.accept().expectSubscribe("e-5").open("complete", "")
	})
}

// A server of oRPC replays events in an order of its own, so all that is unread is asked for
// again after a drop. While the reader waits nothing is.
func TestPlainServerAndASlowLoop(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		o := h.options()
		o.BufferSize = 4
		d := h.dial(t.Context(), o)
		s := h.accept()
		s.expectSubscribe("").openPlain()
		it := d.iterator()
		s.event("1", "2", "3", "4", "5")
		require.True(t, s.quiet())
		take(t, it, "1", "2", "3", "4", "5")
		require.True(t, s.quiet())
	})
}
