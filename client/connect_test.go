//go:build !js

package client_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/internal/memhttp"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

func TestFirstConnectionRefused(t *testing.T) {
	cases := map[string]struct {
		status int
		tries  int // before the iterator ends; 0: it tries until ConnectTimeout
		is     error
	}{
		"400": {400, 1, nil},
		"401": {401, 2, client.ErrRefused},
		"403": {403, 1, nil},
		"404": {404, 1, nil},
		"408": {408, 0, context.DeadlineExceeded},
		"425": {425, 0, context.DeadlineExceeded},
		"426": {426, 1, nil},
		"429": {429, 0, context.DeadlineExceeded},
		"302": {302, 0, context.DeadlineExceeded},
		"500": {500, 0, context.DeadlineExceeded},
		"501": {501, 1, nil},
		"503": {503, 0, context.DeadlineExceeded},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *harness) {
				h.refuse(c.status)
				err := h.dial(t.Context(), h.options()).failure()
				sent, ok := errors.AsType[*rpc.Error](err)
				require.True(t, ok, "%v", err)
				require.Equal(t, c.status, sent.Status)
				require.Equal(t, "refused", sent.Message)
				if c.is != nil {
					require.ErrorIs(t, err, c.is)
				}
				if c.tries > 0 {
					require.Len(t, h.upgradeTimes(), c.tries)
					return
				}
				require.Equal(t, client.DefaultConnectTimeout, time.Since(h.start))
			})
		})
	}
}

func TestFirstConnectionRefusedByTheSubscription(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		d := h.dial(t.Context(), h.options())
		s := h.accept()
		s.fail(s.next(), 403, "FORBIDDEN")
		require.Equal(t, rpc.CodeForbidden, rpc.CodeOf(d.failure()))
	})
}

func TestFirstConnectionGetsThrough(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		h.answer = func(n int, _ *http.Request) (int, http.Header, string) {
			return map[int]int{1: 503, 2: 500}[n], nil, ""
		}
		h.live(h.options())
		require.Equal(t, []time.Duration{0, time.Second, 3 * time.Second}, h.upgradeTimes())
		require.Equal(t, []string{"connecting", "waiting", "connecting", "waiting", "connecting", "live"}, h.seen())
	})
}

func TestFirstConnectionEndsWithItsContext(t *testing.T) {
	cases := map[string]func(h *harness){
		"the host is down":         func(h *harness) { h.server.SetDown(true) },
		"upgrades are refused":     func(h *harness) { h.refuse(500) },
		"the handshake hangs":      func(h *harness) { h.answer = hang },
		"no answer to a subscribe": func(*harness) {},
	}
	for name, prepare := range cases {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *harness) {
				prepare(h)
				ctx, cancel := context.WithTimeout(t.Context(), 7500*time.Millisecond)
				defer cancel()
				err := h.dial(ctx, h.options()).failure()
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.Less(t, time.Since(h.start), 9*time.Second)
				require.Equal(t, "closed", h.seen()[len(h.seen())-1])
			})
		})
	}
}

// hang answers a handshake only when the client has disconnected.
func hang(_ int, r *http.Request) (int, http.Header, string) {
	<-r.Context().Done()
	return 500, nil, ""
}

func TestAttemptsHaveADeadline(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		h.answer = func(n int, r *http.Request) (int, http.Header, string) {
			if n == 1 {
				return hang(n, r)
			}
			return 0, nil, ""
		}
		d := h.dial(t.Context(), h.options())
		silent := h.accept() // never answers the subscription
		silent.expectSubscribe("")
		h.accept().expectSubscribe("").open("none", "")
		d.iterator()
		require.Equal(t, []time.Duration{0, 11 * time.Second, 23 * time.Second}, h.upgradeTimes())
	})
}

func TestConnectTimeoutTellsTheLastError(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		h.server.SetDown(true)
		o := h.options()
		o.ConnectTimeout = 5 * time.Second
		err := h.dial(t.Context(), o).failure()
		require.EqualError(t, err, "client: connect: context deadline exceeded after 5s: dial: memory: memhttp: connection refused")
	})
}

func TestNoConnectTimeout(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		h.refuse(500)
		o := h.options()
		o.ConnectTimeout = -1
		d := h.dial(t.Context(), o)
		time.Sleep(time.Hour)
		h.letIn()
		h.accept().expectSubscribe("").open("none", "")
		d.iterator()
	})
}

func TestRetryAfter(t *testing.T) {
	cases := map[string]struct {
		header string
		date   string // by the clock of the server, empty for the right one
		want   time.Duration
	}{
		"seconds":              {"20", "", 21 * time.Second},
		"a date":               {"Sat, 01 Jan 2000 00:00:10 GMT", "", 11 * time.Second},
		"a date in the past":   {"Sat, 01 Jan 1990 00:00:10 GMT", "", time.Second},
		"a date by its clock":  {"Fri, 01 Jan 2010 00:00:10 GMT", "Fri, 01 Jan 2010 00:00:00 GMT", 11 * time.Second},
		"its clock is far off": {"Mon, 01 Jan 1990 00:00:10 GMT", "Mon, 01 Jan 1990 00:00:00 GMT", 11 * time.Second},
		"beyond the limit":     {"99999999999", "", time.Second + 5*time.Minute},
		"nonsense":             {"soon", "", time.Second},
		"negative":             {"-5", "", time.Second},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *harness) {
				h.answer = func(n int, _ *http.Request) (int, http.Header, string) {
					if n == 1 {
						header := http.Header{"Retry-After": {c.header}}
						if c.date != "" {
							header.Set("Date", c.date)
						}
						return 503, header, ""
					}
					return 0, nil, ""
				}
				o := h.options()
				o.ConnectTimeout = -1
				h.live(o)
				require.Equal(t, []time.Duration{0, c.want}, h.upgradeTimes())
			})
		})
	}
}

func TestReconnectingGoesOnForEver(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		o := h.options()
		o.Backoff = func(int) time.Duration { return time.Hour }
		it, s := h.live(o)
		for _, status := range []int{400, 403, 404, 500} {
			h.refuse(status)
			s.drop()
			time.Sleep(100*time.Hour + 30*time.Minute)
			require.Equal(t, client.StateWaiting, it.State())
			h.letIn()
			s = h.accept().expectSubscribe("e-0")
			s.open("complete", "e-0")
			synctest.Wait()
			require.Equal(t, client.StateLive, it.State())
		}
	})
}

func TestBackoffResetsAfterAStableTime(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		_, s := h.live(h.options())
		for _, lasted := range []time.Duration{0, 9 * time.Second, 10 * time.Second, 0} {
			time.Sleep(lasted)
			s.drop()
			s = h.accept().expectSubscribe("e-0")
			s.open("complete", "e-0")
			synctest.Wait()
		}
		// Pauses of 1, 2, 1 and 2 seconds.
		require.Equal(t, []time.Duration{0, 1 * time.Second, 12 * time.Second, 23 * time.Second, 25 * time.Second}, h.upgradeTimes())
	})
}

func TestRetryOfEvents(t *testing.T) {
	cases := map[string]struct {
		retry string
		want  time.Duration
	}{
		"none":     {"0", time.Second},
		"some":     {"2500", 3500 * time.Millisecond},
		"too much": {"9007199254740991", 5*time.Minute + time.Second},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, h *harness) {
				it, s := h.live(h.options())
				s.send(`{"i":%s,"t":3,"p":{"e":"message","d":{"json":"x"},"m":{"id":"e-1","retry":%s}}}`, s.sub, c.retry)
				read(t, it).expect("x")
				s.drop()
				h.accept().expectSubscribe("e-1").open("complete", "")
				require.Equal(t, c.want, h.upgradeTimes()[1])
			})
		})
	}
}

func TestPingsFindDeadConnections(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		o := h.options()
		o.PingInterval = 0
		_, s := h.live(o)
		time.Sleep(10 * time.Minute)
		require.Len(t, h.upgradeTimes(), 1, "a server that answers is not dropped")
		s.deaf()
		h.accept().expectSubscribe("e-0").open("complete", "")
		require.LessOrEqual(t, h.upgradeTimes()[1], 10*time.Minute+62*time.Second)
	})
}

// A pong has to wait for the end of a large message.
func TestPingsDoNotEndASlowTransfer(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		var connections atomic.Int32
		server := memhttp.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if connections.Add(1) > 1 {
				return
			}
			conn := acceptRaw(t, w, r)
			go func() { _, _ = io.Copy(io.Discard, conn) }()
			message := `{"i":"1","t":3,"p":{"e":"message","d":{"json":"` + strings.Repeat("x", 600) + `"}}}`
			_, _ = conn.Write([]byte{0x81, 126, byte(len(message) >> 8), byte(len(message))})
			for _, c := range []byte(message) { // some 11 minutes
				time.Sleep(time.Second)
				_, _ = conn.Write([]byte{c})
			}
		}))
		defer server.Close()
		o := h.options()
		o.PingInterval = 30 * time.Second
		o.HTTPClient = server.Client()
		it := h.dial(t.Context(), o).iterator()
		l := read(t, it)
		l.expect(strings.Repeat("x", 600))
		require.Equal(t, int32(1), connections.Load())
		time.Sleep(2 * time.Minute)
		require.Greater(t, connections.Load(), int32(1), "the connection has ended")
	})
}

func TestAConnectionThatTakesNothingIsGivenUp(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		server := memhttp.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { acceptRaw(t, w, r) }))
		defer server.Close()
		o := h.options()
		o.HTTPClient = server.Client()
		it := h.dial(t.Context(), o).iterator()
		begin := time.Now()
		failures := make(chan error, 10)
		for range cap(failures) { // together more than the network buffers
			go func() {
				_, err := anyM.Call(t.Context(), it, strings.Repeat("x", 1<<20))
				failures <- err
			}()
		}
		synctest.Wait()
		require.Equal(t, client.StateLive, it.State())
		time.Sleep(31*time.Second - time.Since(begin))
		synctest.Wait()
		require.NotEqual(t, client.StateLive, it.State())
		for range cap(failures) {
			err := <-failures
			require.ErrorIs(t, err, rpc.ErrDisconnected)
			require.ErrorContains(t, err, "does not take messages")
		}
	})
}

// An event that cannot be read does not end the connection, see TestUnreadableEvents.
func TestTheEndOfTheSubscriptionEndsTheConnection(t *testing.T) {
	for name, message := range map[string]string{
		"an error":              `{"i":"1","t":3,"p":{"e":"error"}}`,
		"an error, broken":      `{"i":"1","t":3,"p":{"e":"error","d":oops}}`,
		"an error, too large":   `{"i":"1","t":3,"p":{"e":"error","d":"` + strings.Repeat("x", 5000) + `"}}`,
		"done":                  `{"i":"1","t":3,"p":{"e":"done","d":{}}}`,
		"done with broken data": `{"i":"1","t":3,"p":{"e":"done","d":null}}`,
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(_ *testing.T, h *harness) {
				o := h.options()
				o.MaxMessageBytes = 4000
				_, s := h.live(o)
				s.send("%s", message)
				h.accept().expectSubscribe("e-0").open("complete", "")
			})
		})
	}
}

func TestBadOptions(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		cases := map[string]func(o *client.Options){
			"no URL":         func(o *client.Options) { o.URL = "" },
			"a path":         func(o *client.Options) { o.URL = "/room" },
			"another scheme": func(o *client.Options) { o.URL = "ftp://h/room" },
			"nonsense":       func(o *client.Options) { o.URL = "ws://h:port" },
			"two addresses": func(o *client.Options) {
				o.URLFunc = func(context.Context, *token.Payload) (string, error) { return "ws://h", nil }
			},
			"a function's address": func(o *client.Options) {
				o.URL, o.URLFunc = "", func(context.Context, *token.Payload) (string, error) { return "room", nil }
			},
			"two times of refresh": func(o *client.Options) {
				o.RefreshTokenBeforeExpire = time.Hour
				o.RefreshTokenBeforeExpireFunc = func(*token.Payload) time.Duration { return time.Hour }
			},
			"no id":             func(o *client.Options) { o.CreateID = func(*token.Payload) string { return "" } },
			"a negative buffer": func(o *client.Options) { o.BufferSize = -1 },
		}
		for name, change := range cases {
			o := h.options()
			change(o)
			require.ErrorIs(t, h.dial(t.Context(), o).failure(), client.ErrOptions, name)
		}
		_, err := client.Dial[string](t.Context(), nil, h.options())
		require.ErrorIs(t, err, client.ErrOptions)
		_, err = client.Dial[string](t.Context(), h.source(), nil)
		require.ErrorIs(t, err, client.ErrOptions)
		require.Empty(t, h.upgradeTimes())
	})
}

func TestFailingURLFuncIsTriedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, h *harness) {
		o := h.options()
		n := 0
		o.URL, o.URLFunc = "", func(_ context.Context, p *token.Payload) (string, error) {
			if n++; n < 3 {
				return "", errors.New("no discovery")
			}
			return "ws://memory/" + p.Channel, nil
		}
		h.live(o)
		require.Equal(t, "/room", h.tried()[0].url.Path)
	})
}
