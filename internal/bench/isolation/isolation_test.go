// Package isolation_test measures how a socket or a channel that misbehaves affects the
// others: the latency of events to 1,000 sockets with and without it, in turns. Everything
// is in one process, and the sockets use the loopback device.
//
//	go test -bench . -benchtime 5x ./isolation
package isolation_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http/httptest"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/internal/bench/subscriber"
	"github.com/go-orpc/durable-iterator/token"
)

const (
	secret  = token.Secret("bench")
	sockets = 1000
	events  = 50 // of a turn
	pace    = 20 * time.Millisecond
	lag     = 1 << 20 // bytes that a socket may lag behind
)

type event struct {
	N   int64  `json:"n"`
	At  int64  `json:"at"` // Unix nanoseconds, taken just before publishing
	Pad string `json:"pad"`
}

// room is an object whose hook blocks on the channel "slow".
type room struct{ *durableobject.Object[event] }

func (r *room) OnSubscribed(ctx context.Context, _ *durableobject.Websocket, _ durableobject.Resume) error {
	if r.Channel() == "slow" {
		<-ctx.Done()
	}
	return nil
}

// hall is a server with the measured sockets, on the channel "fast".
type hall struct {
	rooms   *durableobject.Namespace[*room]
	address string
	n       int64 // of the last event

	// mu guards late, the latencies of the turn.
	mu   sync.Mutex
	late []time.Duration
	got  sync.WaitGroup
}

func open(tb testing.TB) *hall {
	tb.Helper()
	h := &hall{rooms: durableobject.NewNamespace(func(_ context.Context, o *durableobject.Object[event]) (*room, error) {
		return &room{o}, nil
	}, &durableobject.Options{Verifier: secret, ResumeRetention: time.Hour, MaxLagBytes: lag})}
	server := httptest.NewServer(durableobject.NewHandler(h.rooms, nil))
	tb.Cleanup(server.Close)
	h.address = server.Listener.Addr().String()
	for i := range sockets {
		s := h.subscribe(tb, "fast", fmt.Sprint(i))
		go h.watch(s)
	}
	return h
}

func (h *hall) subscribe(tb testing.TB, channel, id string) *subscriber.Subscriber {
	tb.Helper()
	text, err := secret.Sign(context.Background(), &token.Payload{Channel: channel, ExpiresAt: time.Now().Add(time.Hour)})
	require.NoError(tb, err)
	s, err := subscriber.Dial(context.Background(), subscriber.Options{Address: h.address, Path: "/", ID: id, Token: text})
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = s.Close() })
	return s
}

// next returns the number and the time of the next event.
func next(s *subscriber.Subscriber) (n int64, at time.Time, err error) {
	frame, err := s.Next()
	if err != nil {
		return 0, at, err
	}
	if n, err = member(frame, `"n":`); err != nil {
		return 0, at, err
	}
	nanos, err := member(frame, `"at":`)
	return n, time.Unix(0, nanos), err
}

func member(frame []byte, name string) (int64, error) {
	_, rest, _ := bytes.Cut(frame, []byte(name))
	digits := bytes.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	return strconv.ParseInt(string(rest[:max(digits, 0)]), 10, 64)
}

// watch records the latency of events until the socket ends.
func (h *hall) watch(s *subscriber.Subscriber) {
	for {
		_, at, err := next(s)
		if err != nil {
			return
		}
		late := time.Since(at)
		h.mu.Lock()
		h.late = append(h.late, late)
		h.mu.Unlock()
		h.got.Done()
	}
}

func (h *hall) room(tb testing.TB, channel string) *room {
	tb.Helper()
	r, err := h.rooms.Get(context.Background(), channel)
	require.NoError(tb, err)
	return r
}

func (h *hall) publish(tb testing.TB, channel, pad string, opts ...durableobject.PublishOption) {
	tb.Helper()
	h.n++
	require.NoError(tb, h.room(tb, channel).PublishEvent(context.Background(), event{h.n, time.Now().UnixNano(), pad}, opts...))
}

// turn publishes events at a steady pace and returns the 99th percentile of their latency.
func (h *hall) turn(tb testing.TB) time.Duration {
	tb.Helper()
	runtime.GC() // collects the garbage of earlier turns
	h.late = h.late[:0]
	h.got.Add(sockets * events)
	pad := strings.Repeat("x", 100)
	ticker := time.NewTicker(pace)
	defer ticker.Stop()
	for range events {
		<-ticker.C
		h.publish(tb, "fast", pad)
	}
	h.got.Wait()
	slices.Sort(h.late)
	return h.late[len(h.late)*99/100]
}

// compare takes turns without and with a fault, and reports the medians and their ratio.
// spoil starts the fault and returns the function that ends it.
func compare(b *testing.B, spoil func(h *hall) (cease func())) {
	b.Helper()
	h := open(b)
	h.turn(b) // warms up
	var without, with []time.Duration
	for b.Loop() {
		without = append(without, h.turn(b))
		cease := spoil(h)
		with = append(with, h.turn(b))
		cease()
	}
	alone, spoilt := median(without), median(with)
	b.ReportMetric(alone.Seconds()*1000, "p99-ms-without")
	b.ReportMetric(spoilt.Seconds()*1000, "p99-ms-with")
	b.ReportMetric(float64(spoilt)/float64(alone), "with/without")
}

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

// One socket of the channel reads nothing, although many more bytes than its lag are for
// it. When it reads again it receives all of them.
func BenchmarkStalledSocket(b *testing.B) {
	const flood = 24 // MiB, more than the kernel takes
	pad := strings.Repeat("x", 1<<20)
	compare(b, func(h *hall) func() {
		stalled := h.subscribe(b, "fast", "stalled")
		first := h.n + 1
		for range flood {
			h.publish(b, "fast", pad, durableobject.WithTargetIDs("stalled"))
		}
		return func() {
			for n := first; n <= h.n; n++ {
				got, _, err := next(stalled)
				require.NoError(b, err)
				require.Equal(b, n, got, "events are lost or out of order")
			}
			require.NoError(b, stalled.Close())
		}
	})
}

// The hooks of another channel block, and a filter there is slow.
func BenchmarkSlowChannel(b *testing.B) {
	compare(b, func(h *hall) func() {
		var hanging []*subscriber.Subscriber
		for i := range 20 {
			hanging = append(hanging, h.subscribe(b, "slow", fmt.Sprint(i)))
		}
		ctx, cancel := context.WithCancel(context.Background())
		slow := h.room(b, "slow")
		var publisher sync.WaitGroup
		publisher.Go(func() {
			for ctx.Err() == nil {
				err := slow.PublishEvent(context.Background(), event{}, durableobject.WithTargetsFunc(func(*durableobject.Websocket) bool {
					<-time.After(10 * time.Millisecond)
					return true
				}))
				if err != nil {
					b.Error(err)
				}
			}
		})
		return func() {
			cancel()
			publisher.Wait()
			for _, s := range hanging {
				_ = s.Close()
			}
		}
	})
}
