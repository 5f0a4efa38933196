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

// venue is a namespace for benchmarks, whose sockets discard what they are sent.
type venue struct {
	tb      testing.TB
	rooms   *durableobject.Namespace[*durableobject.Object[message]]
	handler http.Handler
	sinks   []*sink
	headers string // of the subscriptions: see subscribeSink
}

func newVenue(tb testing.TB) *venue {
	tb.Helper()
	return newVenueOf(tb, durableobject.Options{ResumeRetention: time.Minute})
}

func newVenueOf(tb testing.TB, o durableobject.Options) *venue {
	tb.Helper()
	o.Verifier, o.PingInterval = secret, -1
	rooms := durableobject.NewNamespace(
		func(_ context.Context, o *durableobject.Object[message]) (*durableobject.Object[message], error) {
			return o, nil
		},
		&o)
	v := &venue{tb: tb, rooms: rooms, handler: durableobject.NewHandler(rooms, nil)}
	tb.Cleanup(func() {
		rooms.Drain()
		for _, s := range v.sinks {
			_ = s.Close()
		}
		require.NoError(tb, rooms.Shutdown(context.Background()))
	})
	return v
}

func (v *venue) room(channel string) *durableobject.Object[message] {
	room, err := v.rooms.Get(v.tb.Context(), channel)
	require.NoError(v.tb, err)
	return room
}

func (v *venue) token(channel string, tags ...string) string {
	tok, err := secret.Sign(v.tb.Context(), &token.Payload{
		Channel: channel, Tags: tags, RPC: []string{"echo"}, IssuedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour)})
	require.NoError(v.tb, err)
	return tok
}

// connect opens sockets whose tokens have these tags, and waits until their subscriptions were
// answered.
func (v *venue) connect(n int, channel string, tags ...string) {
	tok := v.token(channel, tags...)
	first := len(v.sinks)
	for range n {
		v.sinks = append(v.sinks, subscribeSink(v.tb, v.handler, fmt.Sprint("c", len(v.sinks)), tok, "1", v.headers))
	}
	for _, s := range v.sinks[first:] {
		for s.writes.Load() < 1 {
			runtime.Gosched()
		}
	}
}

// finish publishes the last event and waits until these sockets have received it.
func (v *venue) finish(channel string, sinks []*sink, opts ...durableobject.PublishOption) {
	require.NoError(v.tb, v.room(channel).PublishEvent(v.tb.Context(), message{lastWords}, opts...))
	for _, s := range sinks {
		s.wait(v.tb)
	}
}

var bench128 = message{Text: strings.Repeat("x", 128-len(`{"text":""}`))}

// The cost of publishing does not depend on the number of sockets, because the writers deliver
// events in batches meanwhile.
func BenchmarkPublish(b *testing.B) {
	for _, n := range []int{0, 1, 100, 10_000} {
		b.Run(fmt.Sprintf("sockets=%d", n), func(b *testing.B) {
			v := newVenue(b)
			room := v.room("room")
			v.connect(n, "room")
			b.ReportAllocs()
			for b.Loop() {
				require.NoError(b, room.PublishEvent(b.Context(), bench128))
			}
		})
	}
}

// Each op is an event that is delivered to 1,000 sockets. The publisher waits for them from time
// to time, because sockets that fall too far behind are closed.
func BenchmarkFanOut(b *testing.B) {
	const ahead = 10_000
	v := newVenue(b)
	room := v.room("room")
	v.connect(1000, "room")
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		require.NoError(b, room.PublishEvent(b.Context(), bench128))
		if i%ahead == ahead-1 {
			v.finish("room", v.sinks)
		}
	}
	v.finish("room", v.sinks)
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/delivery")
}

// The cost of an event for 10 sockets does not depend on the number of other sockets.
func BenchmarkTagged(b *testing.B) {
	for _, n := range []int{10, 1000, 100_000} {
		b.Run(fmt.Sprintf("sockets=%d", n), func(b *testing.B) {
			v := newVenue(b)
			room := v.room("room")
			v.connect(n-10, "room", "others")
			v.connect(10, "room", "few")
			few := v.sinks[n-10:]
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				require.NoError(b, room.PublishEvent(b.Context(), bench128, durableobject.WithTags("few")))
			}
			v.finish("room", few, durableobject.WithTags("few"))
		})
	}
}

// The cost of publishing does not depend on the number of channels.
func BenchmarkChannels(b *testing.B) {
	for _, n := range []int{1, 1000, 100_000} {
		b.Run(fmt.Sprintf("channels=%d", n), func(b *testing.B) {
			v := newVenue(b)
			rooms := make([]*durableobject.Object[message], n)
			for i := range rooms {
				rooms[i] = v.room(fmt.Sprint("room ", i))
				require.NoError(b, rooms[i].PublishEvent(b.Context(), bench128))
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				require.NoError(b, rooms[i%n].PublishEvent(b.Context(), bench128))
			}
		})
	}
}

// Each op is a socket that connects and is sent the 500 events that it has missed.
func BenchmarkReplay(b *testing.B) {
	v := newVenue(b)
	room := v.room("room")
	for range 499 {
		require.NoError(b, room.PublishEvent(b.Context(), bench128))
	}
	require.NoError(b, room.PublishEvent(b.Context(), message{lastWords}))
	tok := v.token("room")
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		s := connectSink(b, v.handler, fmt.Sprint("c", i), tok, "1", "0")
		s.wait(b)
		_ = s.Close()
	}
}

// The cost of Stats with 10,000 sockets.
func BenchmarkStats(b *testing.B) {
	v := newVenue(b)
	v.connect(10_000, "room")
	for b.Loop() {
		require.Equal(b, 10_000, v.rooms.Stats().Websockets)
	}
}
