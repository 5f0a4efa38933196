package node_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

// hall is a server of tokens and sockets that can fail in several ways.
type hall struct {
	*httptest.Server
	t     *testing.T
	mux   *http.ServeMux
	log   *eventlog.Memory // for as long as the hall is there
	life  time.Duration    // of tokens
	rooms atomic.Pointer[hallRooms]

	// mu guards the fields below.
	mu       sync.Mutex
	key      token.Secret
	verifier token.Verifier // nil: key
	refuses  bool
	tokens   []string // that were given out
	queries  []string // of sockets
	conns    map[*hallConn]struct{}
	counts   [2]int
}

type hallRoom struct{ *durableobject.Object[int] }

// hallRooms is the part of a hall that a restart replaces.
type hallRooms struct {
	*durableobject.Namespace[*hallRoom]
	upgrade http.Handler
}

var hallPing = rpc.Define[rpc.Void, string]("ping")

func (*hallRoom) ping(context.Context, *durableobject.Websocket, rpc.Void) (string, error) {
	return "pong", nil
}

func newHall(t *testing.T, life time.Duration) *hall {
	t.Helper()
	h := &hall{t: t, mux: http.NewServeMux(), life: life, key: "a key", conns: map[*hallConn]struct{}{}}
	h.log = eventlog.NewMemory(nil)
	h.open()
	h.mux.HandleFunc("/socket", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" { // a page that was refused checks whether the server is reachable
			h.change(func() { h.queries = append(h.queries, r.URL.RawQuery) })
		}
		h.rooms.Load().upgrade.ServeHTTP(w, r)
	})
	h.mux.HandleFunc("/token", h.serveToken)
	h.Server = httptest.NewUnstartedServer(h.mux)
	h.Listener = &hallListener{h.Listener, h}
	h.Start()
	t.Cleanup(func() {
		h.cut()
		require.NoError(t, h.rooms.Load().Shutdown(context.Background()))
		require.NoError(t, h.log.Close())
		h.Close()
	})
	return h
}

// open opens the rooms.
func (h *hall) open() {
	rooms := durableobject.NewNamespace(func(_ context.Context, o *durableobject.Object[int]) (*hallRoom, error) {
		return &hallRoom{o}, nil
	}, &durableobject.Options{Verifier: h, ResumeRetention: time.Hour, Log: h.log})
	durableobject.Handle(rooms, hallPing, (*hallRoom).ping)
	h.rooms.Store(&hallRooms{rooms, durableobject.NewHandler(rooms, &durableobject.HandlerOptions{Authorize: h.authorize})})
}

// restart closes the rooms and opens new ones with the same log.
func (h *hall) restart() {
	h.t.Helper()
	old := h.rooms.Load()
	h.cut()
	require.NoError(h.t, old.Shutdown(h.t.Context()))
	h.open()
}

// change calls set with mu held.
func (h *hall) change(set func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	set()
}

// Verify implements [token.Verifier].
func (h *hall) Verify(ctx context.Context, tok string) (*token.Payload, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.verifier != nil {
		return h.verifier.Verify(ctx, tok)
	}
	return h.key.Verify(ctx, tok)
}

func (h *hall) authorize(*http.Request, *token.Payload) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.refuses {
		return &rpc.Error{Code: rpc.CodeForbidden, Message: "Not yours"}
	}
	return nil
}

func (h *hall) serveToken(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now().Truncate(time.Second)
	tok, err := h.key.Sign(r.Context(), &token.Payload{
		Channel: "room", RPC: []string{"ping"}, IssuedAt: now, ExpiresAt: now.Add(h.life),
	})
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	h.tokens = append(h.tokens, tok)
	_, _ = fmt.Fprint(w, tok)
}

// asked returns the number of requests for sockets.
func (h *hall) asked() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.queries)
}

func (h *hall) publish(n int) {
	h.t.Helper()
	room, err := h.rooms.Load().Get(h.t.Context(), "room")
	require.NoError(h.t, err)
	require.NoError(h.t, room.PublishEvent(h.t.Context(), n))
}

// awaitSockets waits until there are n sockets.
func (h *hall) awaitSockets(n int) {
	h.t.Helper()
	require.Eventually(h.t, func() bool { return h.rooms.Load().Stats().Websockets == n }, time.Minute, 10*time.Millisecond)
}

// cut ends all connections, without a close frame.
func (h *hall) cut() {
	h.change(func() {
		for c := range h.conns {
			_ = c.Conn.Close()
		}
	})
}

// stall holds back all bytes that are sent on the connections that are open now.
func (h *hall) stall() {
	h.change(func() {
		for c := range h.conns {
			c.stalled = true
		}
	})
}

// readings and writings are the counted operations of the connections.
const (
	readings = iota
	writings
)

// await waits until there were n more operations of one kind.
func (h *hall) await(kind, n int) {
	h.t.Helper()
	first := h.count(kind)
	require.Eventually(h.t, func() bool { return h.count(kind) >= first+n }, time.Minute, 10*time.Millisecond)
}

func (h *hall) count(kind int) (n int) {
	h.change(func() { n = h.counts[kind] })
	return n
}

type hallListener struct {
	net.Listener
	hall *hall
}

// Accept implements [net.Listener].
func (l *hallListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &hallConn{Conn: conn, hall: l.hall}
	l.hall.change(func() { l.hall.conns[c] = struct{}{} })
	return c, nil
}

type hallConn struct {
	net.Conn
	hall    *hall
	stalled bool // guarded by the hall's mu
}

// Read implements [net.Conn].
func (c *hallConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.hall.change(func() { c.hall.counts[readings]++ })
	}
	return n, err
}

// Write implements [net.Conn].
func (c *hallConn) Write(p []byte) (int, error) {
	stalled := false
	c.hall.change(func() {
		c.hall.counts[writings]++
		stalled = c.stalled
	})
	if stalled {
		return len(p), nil
	}
	return c.Conn.Write(p)
}

// Close implements [net.Conn].
func (c *hallConn) Close() error {
	c.hall.change(func() { delete(c.hall.conns, c) })
	return c.Conn.Close()
}
