//go:build e2e

package natslog

import (
	"context"
	"encoding/binary"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
	tokens "github.com/go-orpc/durable-iterator/token"
)

const hubSecret = tokens.Secret("of the hubs")

// hubRoom is an object that records the calls of its hooks.
type hubRoom struct {
	*durableobject.Object[string]
	book *hubBook
}

func (r hubRoom) OnJoined(_ context.Context, m durableobject.Member) { r.book.note("+" + m.ID) }
func (r hubRoom) OnLeft(_ context.Context, m durableobject.Member)   { r.book.note("-" + m.ID) }

// hubBook records the calls of hooks, on all hubs.
type hubBook struct {
	mu    sync.Mutex
	lines []string
}

func (b *hubBook) note(line string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lines = append(b.lines, line)
}

func (b *hubBook) sorted() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Sorted(slices.Values(b.lines))
}

// hub is a namespace with a log that has its own connection.
type hub struct {
	tb    testing.TB
	wire  *wire
	log   *Log
	rooms *durableobject.Namespace[hubRoom]
	web   *httptest.Server
}

func (c *cluster) hub(first int, book *hubBook) *hub {
	c.t.Helper()
	h := &hub{tb: c.t, wire: &wire{}}
	h.log = c.open(first, Options{}, nats.SetCustomDialer(h.wire))
	h.rooms = durableobject.NewNamespace(func(_ context.Context, o *durableobject.Object[string]) (hubRoom, error) {
		return hubRoom{o, book}, nil
	}, &durableobject.Options{Verifier: hubSecret, Log: h.log, ResumeRetention: time.Hour, Presence: &durableobject.PresenceOptions{}})
	h.web = httptest.NewServer(durableobject.NewHandler(h.rooms, nil))
	c.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = h.rooms.Shutdown(ctx) // the hub may be cut off
		h.web.Close()
	})
	return h
}

func (c *cluster) hubs() ([]*hub, *hubBook) {
	c.t.Helper()
	book := &hubBook{}
	return []*hub{c.hub(0, book), c.hub(1, book), c.hub(2, book)}, book
}

// has reports whether the hub has a socket with a token.
func (h *hub) has(tokenID string) bool {
	h.tb.Helper()
	room, err := h.rooms.Get(context.Background(), "room")
	require.NoError(h.tb, err)
	for ws := range room.Websockets() {
		if ws.Token().ID == tokenID {
			return true
		}
	}
	return false
}

// hubSocket is a socket of a hub, without a client.
type hubSocket struct {
	tb   testing.TB
	body io.ReadWriteCloser
}

// dial opens a socket with a token that has the given id.
func (h *hub) dial(client, tokenID string) (*hubSocket, int) {
	h.tb.Helper()
	now := time.Now().Truncate(time.Second)
	tok, err := hubSecret.Sign(context.Background(), &tokens.Payload{
		Channel: "room", Tags: []string{"guest"}, ID: tokenID, IssuedAt: now, ExpiresAt: now.Add(time.Hour),
	})
	require.NoError(h.tb, err)
	query := url.Values{"id": {client}, "token": {tok}}
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, h.web.URL+"/?"+query.Encode(), nil)
	require.NoError(h.tb, err)
	r.Header = http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"},
		"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="},
	}
	res, err := h.web.Client().Transport.RoundTrip(r)
	require.NoError(h.tb, err)
	body, open := res.Body.(io.ReadWriteCloser)
	if !open {
		_ = res.Body.Close()
		return nil, res.StatusCode
	}
	h.tb.Cleanup(func() { _ = body.Close() })
	return &hubSocket{h.tb, body}, res.StatusCode
}

// open opens a socket. It repeats the request until it is accepted.
func (h *hub) open(client, tokenID string) *hubSocket {
	h.tb.Helper()
	var s *hubSocket
	require.Eventually(h.tb, func() bool {
		s, _ = h.dial(client, tokenID)
		return s != nil
	}, time.Minute, 50*time.Millisecond)
	return s
}

// closedWith waits for the close code. Pings may arrive before it.
func (s *hubSocket) closedWith() int {
	s.tb.Helper()
	for {
		header := make([]byte, 2)
		_, err := io.ReadFull(s.body, header)
		require.NoError(s.tb, err)
		data := make([]byte, header[1])
		_, err = io.ReadFull(s.body, data)
		require.NoError(s.tb, err)
		if header[0] == 0x88 {
			return int(binary.BigEndian.Uint16(data))
		}
	}
}

// lists waits until the members of the hub are those with the given ids.
func (h *hub) lists(ids ...string) {
	h.tb.Helper()
	room, err := h.rooms.Get(context.Background(), "room")
	require.NoError(h.tb, err)
	var got []string
	require.Eventually(h.tb, func() bool {
		p, err := room.Presence(context.Background())
		require.NoError(h.tb, err)
		got = nil
		for i := range p.Members {
			got = append(got, p.Members[i].ID)
		}
		slices.Sort(got)
		return slices.Equal(got, ids)
	}, 45*time.Second, 50*time.Millisecond, "%v", &got)
}
