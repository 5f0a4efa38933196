//go:build !js

package client_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

// misbehaviour is a function of the application that panics or ends its goroutine once.
type misbehaviour struct {
	prepare func(h *harness, o *client.Options, strange func())
	provoke func(s *socket)
	ends    bool // a panic ends the iterator
	silent  bool // the panic cannot be logged
}

// misbehave returns a live iterator that calls strange once, in the function that c is about; armed is
// false from then on. The log is written until the iterator is closed.
func (c *misbehaviour) misbehave(h *harness, strange func()) (it *client.Iterator[string], armed *atomic.Bool, log *strings.Builder) {
	armed, log = &atomic.Bool{}, &strings.Builder{}
	o := h.options()
	o.Logger = slog.New(slog.NewTextHandler(log, nil))
	c.prepare(h, o, func() {
		if armed.CompareAndSwap(true, false) {
			strange()
		}
	})
	it, s := h.live(o)
	armed.Store(true)
	c.provoke(s)
	return it, armed, log
}

func misbehaviours() map[string]misbehaviour {
	return map[string]misbehaviour{
		"OnStateChange": {
			prepare: func(_ *harness, o *client.Options, strange func()) {
				o.OnStateChange = func(client.State, error) { strange() }
			},
			provoke: (*socket).drop,
		},
		"Backoff": {
			prepare: func(_ *harness, o *client.Options, strange func()) {
				backoff := o.Backoff
				o.Backoff = func(n int) time.Duration { strange(); return backoff(n) }
			},
			provoke: (*socket).drop, ends: true,
		},
		"RefreshTokenBeforeExpireFunc": {
			prepare: func(_ *harness, o *client.Options, strange func()) {
				o.RefreshTokenBeforeExpireFunc = func(*token.Payload) time.Duration { strange(); return 0 }
			},
			provoke: func(s *socket) { s.close(websocket.StatusPolicyViolation, "Token expired") }, ends: true,
		},
		"TokenSource": {
			prepare: func(h *harness, _ *client.Options, strange func()) {
				h.issue = func(int) (*token.Payload, error) { strange(); return payload(), nil }
			},
			provoke: func(s *socket) { s.close(websocket.StatusPolicyViolation, "Token expired") },
		},
		"URLFunc": {
			prepare: func(_ *harness, o *client.Options, strange func()) {
				url := o.URL
				o.URL, o.URLFunc = "", func(context.Context, *token.Payload) (string, error) { strange(); return url, nil }
			},
			provoke: (*socket).drop,
		},
		"HTTPClient": {
			prepare: func(_ *harness, o *client.Options, strange func()) {
				base := o.HTTPClient.Transport
				o.HTTPClient = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
					strange()
					return base.RoundTrip(r)
				})}
			},
			provoke: (*socket).drop,
		},
		"Logger": {
			prepare: func(_ *harness, o *client.Options, strange func()) {
				o.Logger = slog.New(&panickingHandler{o.Logger.Handler(), strange})
			},
			provoke: (*socket).drop, silent: true,
		},
	}
}

// A panic of the application's code on a goroutine of the iterator does not end the
// process: the iterator continues, or ends with it.
func TestPanicsOfTheApplication(t *testing.T) {
	t.Parallel()
	for name, c := range misbehaviours() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(t *testing.T, h *harness) {
				it, armed, log := c.misbehave(h, func() { panic("misbehaving " + name) })
				if c.ends {
					var last error
					for _, err := range it.All() {
						last = err
					}
					p, ok := errors.AsType[*rpc.PanicError](last)
					require.True(t, ok, "%v", last)
					require.Equal(t, "misbehaving "+name, p.Value)
				} else {
					again := h.accept().expectSubscribe("e-0")
					again.open("complete", "e-0")
					again.event("goes on")
					read(t, it).expect("goes on")
				}
				require.NoError(t, it.Close())
				require.False(t, armed.Load())
				if !c.silent {
					require.Regexp(t, `level=ERROR .*misbehaving `+name+`.* stack="goroutine`, log.String())
				}
			})
		})
	}
}

// Code of the application that ends its goroutine, as the functions of a failing test do,
// blocks nothing: the iterator continues, or ends.
func TestApplicationThatEndsItsGoroutine(t *testing.T) {
	t.Parallel()
	for name, c := range misbehaviours() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(t *testing.T, h *harness) {
				it, armed, log := c.misbehave(h, runtime.Goexit)
				if onAttempt := name == "TokenSource" || name == "URLFunc" || name == "HTTPClient"; onAttempt {
					again := h.accept().expectSubscribe("e-0")
					again.open("complete", "e-0")
					again.event("goes on")
					read(t, it).expect("goes on")
				} else {
					var last error
					for _, err := range it.All() {
						last = err
					}
					require.ErrorContains(t, last, "ended its goroutine")
					require.Equal(t, client.StateClosed, it.State())
				}
				require.NoError(t, it.Close())
				require.False(t, armed.Load())
				require.Contains(t, log.String(), "ended its goroutine")
			})
		})
	}
}

// panickingHandler is a slog.Handler that misbehaves.
type panickingHandler struct {
	slog.Handler

	strange func()
}

func (h *panickingHandler) Enabled(context.Context, slog.Level) bool { return true }

func (h *panickingHandler) Handle(ctx context.Context, r slog.Record) error {
	h.strange()
	return h.Handler.Handle(ctx, r)
}
