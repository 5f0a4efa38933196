package durableobject_test

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/token"
)

// venue is a namespace under a benchmark: its sockets swallow what they are sent.
type venue struct {
	b       *testing.B
	rooms   *durableobject.Namespace[*durableobject.Object[message]]
	handler http.Handler
	sinks   []*sink
}

func newVenue(b *testing.B) *venue {
	b.Helper()
	rooms := durableobject.NewNamespace(
		func(_ context.Context, o *durableobject.Object[message]) (*durableobject.Object[message], error) {
			return o, nil
		},
		&durableobject.Options{Verifier: secret, ResumeRetention: time.Minute, PingInterval: -1})
	h := &venue{b: b, rooms: rooms, handler: durableobject.UpgradeHandler(rooms, nil)}
	b.Cleanup(func() {
		rooms.Drain()
		for _, s := range h.sinks {
			_ = s.Close()
		}
		require.NoError(b, rooms.Shutdown(context.Background()))
	})
	return h
}

func (h *venue) room(channel string) *durableobject.Object[message] {
	room, err := h.rooms.Get(h.b.Context(), channel)
	require.NoError(h.b, err)
	return room
}

// connect opens sockets on the channel, whose tokens have these tags, and waits until they
// have their answer.
func (h *venue) connect(n int, channel string, tags ...string) {
	tok, err := secret.Sign(h.b.Context(), &token.Payload{
		Channel: channel, Tags: tags, IssuedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour)})
	require.NoError(h.b, err)
	first := len(h.sinks)
	for range n {
		h.sinks = append(h.sinks, connectSink(h.b, h.handler, fmt.Sprint("c", len(h.sinks)), tok, "1", ""))
	}
	for _, s := range h.sinks[first:] {
		for s.writes.Load() < 1 {
			runtime.Gosched()
		}
	}
}

// settle waits until every socket of those has got so many bytes more.
func settle(sinks []*sink, from []int64, bytes int64) {
	for i, s := range sinks {
		for s.bytes.Load()-from[i] < bytes {
			runtime.Gosched()
		}
	}
}

func received(sinks []*sink) []int64 {
	list := make([]int64, len(sinks))
	for i, s := range sinks {
		list[i] = s.bytes.Load()
	}
	return list
}

var bench128 = message{Text: strings.Repeat("x", 128-len(`{"text":""}`))}

// What one PublishEvent costs, the delivery by the writers included. ns/op and
// allocs/op of a publish must not grow with the sockets; deliveries are made in
// batches.
func BenchmarkPublish(b *testing.B) {
	for _, n := range []int{0, 1, 100, 10_000} {
		b.Run(fmt.Sprintf("sockets=%d", n), func(b *testing.B) {
			h := newVenue(b)
			room := h.room("room")
			h.connect(n, "room")
			b.ReportAllocs()
			for b.Loop() {
				if err := room.PublishEvent(b.Context(), bench128); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
