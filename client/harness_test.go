//go:build !js

package client_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
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

// harness is a server that the test controls. It belongs to a synctest bubble.
type harness struct {
	t      *testing.T
	server *memhttp.Server
	opened chan *socket // the accepted ones, in order

	mu sync.Mutex
	// answer returns the response to the n-th upgrade, from 1. If it is nil, or the status
	// is 0, the upgrade is accepted.
	answer   func(n int, r *http.Request) (status int, header http.Header, body string)
	upgrades []upgrade
	states   []string
	// issue returns the n-th token, from 1.
	issue   func(n int) (*token.Payload, error)
	fetches []time.Duration
	start   time.Time
}

// upgrade is a request to open a WebSocket.
type upgrade struct {
	url  url.URL
	host string
	at   time.Duration // since the start
}

// inBubble runs a test with a harness. No goroutine may be left at its end.
func inBubble(t *testing.T, test func(t *testing.T, h *harness)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := &harness{t: t, opened: make(chan *socket, 100), start: time.Now()}
		h.server = memhttp.NewServer(h)
		t.Cleanup(func() {
			h.server.Close()
			synctest.Wait()
			for len(h.opened) > 0 {
				(<-h.opened).drop()
			}
		})
		test(t, h)
	})
}

func (h *harness) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	h.upgrades = append(h.upgrades, upgrade{*r.URL, r.Host, time.Since(h.start)})
	n, answer := len(h.upgrades), h.answer
	h.mu.Unlock()
	if answer != nil {
		if status, header, body := answer(n, r); status != 0 {
			maps.Copy(w.Header(), header)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
			return
		}
	}
	s := &socket{t: h.t, query: r.URL.Query(), frames: make(chan frame, 1000), ended: make(chan struct{})}
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		OnPingReceived: func(context.Context, []byte) bool { return !s.mute.Load() },
	})
	if err != nil {
		h.t.Errorf("accept: %v", err)
		return
	}
	s.ws = ws
	go s.read()
	h.opened <- s
}

// change sets fields while they may be in use.
func (h *harness) change(set func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	set()
}

// refuse answers every upgrade with a status.
func (h *harness) refuse(status int) {
	h.change(func() {
		h.answer = func(int, *http.Request) (int, http.Header, string) { return status, nil, "refused" }
	})
}

func (h *harness) letIn() { h.change(func() { h.answer = nil }) }

// tried returns the requests so far.
func (h *harness) tried() []upgrade {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.upgrades)
}

// upgradeTimes returns the times of the requests so far.
func (h *harness) upgradeTimes() (times []time.Duration) {
	for _, u := range h.tried() {
		times = append(times, u.at)
	}
	return times
}

func (h *harness) fetchTimes() []time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.fetches)
}

func (h *harness) seen() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.states)
}

// payload returns a payload for tokens, which are valid for a day unless a test changes it.
func payload(change ...func(*token.Payload)) *token.Payload {
	p := &token.Payload{Channel: "room", RPC: []string{"m", "group"}, ExpiresAt: time.Now().Add(24 * time.Hour)}
	for _, c := range change {
		c(p)
	}
	return p
}

// source returns a source of tokens, all different.
func (h *harness) source() client.TokenSource {
	return client.TokenFunc(func(ctx context.Context) (string, error) {
		h.mu.Lock()
		h.fetches = append(h.fetches, time.Since(h.start))
		n, issue := len(h.fetches), h.issue
		h.mu.Unlock()
		p := payload()
		if issue != nil {
			var err error
			if p, err = issue(n); err != nil {
				return "", err
			}
		}
		p.Att = json.RawMessage(fmt.Sprint(n))
		return token.Secret("k").Sign(ctx, p)
	})
}

// options returns options with a pause of a second before each attempt, and no pings.
func (h *harness) options() *client.Options {
	return &client.Options{
		URL:          "ws://memory/room",
		HTTPClient:   h.server.Client(),
		Backoff:      func(attempt int) time.Duration { return time.Duration(attempt) * time.Second },
		PingInterval: -1,
		OnStateChange: func(s client.State, _ error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.states = append(h.states, s.String())
		},
	}
}

// dialing is a running call of Dial.
type dialing struct {
	t    *testing.T
	done chan struct{}
	it   *client.Iterator[string]
	err  error
}

func (h *harness) dial(ctx context.Context, o *client.Options, opts ...rpc.CallOption) *dialing {
	d := &dialing{t: h.t, done: make(chan struct{})}
	go func() {
		defer close(d.done)
		d.it, d.err = client.Dial[string](ctx, h.source(), o, opts...)
	}()
	return d
}

// iterator waits for the Dial to succeed. The iterator is closed at the end.
func (d *dialing) iterator() *client.Iterator[string] {
	d.t.Helper()
	<-d.done
	require.NoError(d.t, d.err)
	d.t.Cleanup(func() { require.NoError(d.t, d.it.Close()) })
	return d.it
}

func (d *dialing) failure() error {
	d.t.Helper()
	<-d.done
	require.Error(d.t, d.err)
	return d.err
}

// live opens an iterator on a server of this project at position "e-0".
func (h *harness) live(o *client.Options) (*client.Iterator[string], *socket) {
	h.t.Helper()
	d := h.dial(h.t.Context(), o)
	s := h.accept()
	s.expectSubscribe("").open("none", "e-0")
	return d.iterator(), s
}

// accept waits for the next accepted socket.
func (h *harness) accept() *socket {
	h.t.Helper()
	select {
	case s := <-h.opened:
		return s
	case <-time.After(time.Hour):
		require.Fail(h.t, "no socket was opened")
		return nil
	}
}
