package natslog

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

const benchBytes = 256

// BenchmarkAppend publishes to 100 channels.
func BenchmarkAppend(b *testing.B) {
	s := startServer(b, b.TempDir())
	for _, publishers := range []int{1, 256} {
		b.Run(fmt.Sprintf("%d publishers", publishers), func(b *testing.B) {
			l := openLog(b, connect(b, s), Options{Stream: freshName()})
			concurrently(b, publishers, func(i int) error {
				return l.Append(context.Background(), strconv.Itoa(i%100), &eventlog.Record{Data: make([]byte, benchBytes)}, nil)
			})
			require.NoError(b, l.Close())
		})
	}
	b.Run("1 publisher bare", func(b *testing.B) {
		nc := connect(b, s)
		l := openLog(b, nc, Options{Stream: freshName()})
		js, err := jetstream.New(nc)
		require.NoError(b, err)
		concurrently(b, 1, func(i int) error {
			_, err := js.Publish(context.Background(), l.stored(strconv.Itoa(i%100)), make([]byte, benchBytes))
			return err
		})
		require.NoError(b, l.Close())
	})
}

// concurrently calls f b.N times from n goroutines and reports the median time of a call.
func concurrently(b *testing.B, n int, f func(i int) error) {
	b.Helper()
	times := make([]time.Duration, b.N)
	var next atomic.Int64
	var running sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for range n {
		running.Go(func() {
			for i := int(next.Add(1)); i <= b.N; i = int(next.Add(1)) {
				start := time.Now()
				if err := f(i); err != nil {
					b.Error(err)
					return
				}
				times[i-1] = time.Since(start)
			}
		})
	}
	running.Wait()
	b.StopTimer()
	reportTimes(b, times)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

func reportTimes(b *testing.B, times []time.Duration) {
	b.Helper()
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(times[len(times)*99/100].Microseconds()), "p99-µs")
}

// BenchmarkLive measures the time until another node receives an event. With bare it is
// that of JetStream alone, with a subscription to the republished messages.
func BenchmarkLive(b *testing.B) {
	s := startServer(b, b.TempDir())
	b.Run("log", func(b *testing.B) {
		name := freshName()
		here, there := openLog(b, connect(b, s), Options{Stream: name}), openLog(b, connect(b, s), Options{Stream: name})
		f := newFollower()
		_, stop, err := there.Follow(b.Context(), "room", f)
		require.NoError(b, err)
		defer stop()
		concurrently(b, 1, func(i int) error {
			if err := here.Append(b.Context(), "room", &eventlog.Record{Data: make([]byte, benchBytes)}, nil); err != nil {
				return err
			}
			for f.count() < i {
				<-f.changed
			}
			return nil
		})
		require.NoError(b, here.Close())
		require.NoError(b, there.Close())
	})
	b.Run("bare", func(b *testing.B) {
		l := openLog(b, connect(b, s), Options{Stream: freshName()})
		js, err := jetstream.New(connect(b, s))
		require.NoError(b, err)
		nc := connect(b, s)
		there, err := nc.SubscribeSync(l.republished(token("room")))
		require.NoError(b, err)
		require.NoError(b, nc.Flush())
		concurrently(b, 1, func(int) error {
			if _, err := js.Publish(b.Context(), l.stored(token("room")), make([]byte, benchBytes)); err != nil {
				return err
			}
			_, err := there.NextMsg(10 * time.Second)
			return err
		})
		require.NoError(b, l.Close())
	})
}

// BenchmarkResume replays the last 100 events of a channel.
func BenchmarkResume(b *testing.B) {
	s := startServer(b, b.TempDir())
	for name, cached := range map[string]bool{"from memory": true, "from the stream": false} {
		b.Run(name, func(b *testing.B) {
			l := openLog(b, connect(b, s), Options{Stream: freshName()})
			f := newFollower()
			if cached {
				_, stop, err := l.Follow(b.Context(), "room", f)
				require.NoError(b, err)
				defer stop()
			}
			var from eventlog.Position
			for i := range 101 {
				r := &eventlog.Record{Data: make([]byte, benchBytes)}
				require.NoError(b, l.Append(b.Context(), "room", r, nil))
				if i == 0 {
					from = r.Position()
				}
			}
			for cached && l.feedOf("room").behind(from.Seq+100) {
				<-f.changed
			}
			concurrently(b, 1, func(int) error {
				replay, err := l.After(b.Context(), "room", from)
				if err != nil || replay.Truncated {
					return fmt.Errorf("truncated %v: %w", replay.Truncated, err)
				}
				n := 0
				for _, err := range replay.Records {
					if err != nil {
						return err
					}
					n++
				}
				require.Equal(b, 100, n)
				return nil
			})
			require.NoError(b, l.Close())
		})
	}
}

// BenchmarkNewest reads the newest fifty records of a channel with a million records,
// between records of another channel: repeatedly, and after a pause in which the server has
// dropped the messages from its memory.
func BenchmarkNewest(b *testing.B) {
	const records = 2_000_000
	s := startServer(b, b.TempDir())
	l := openLog(b, connect(b, s), Options{Stream: freshName()})
	var next atomic.Int64
	var publishers sync.WaitGroup
	for range 512 {
		publishers.Go(func() {
			for i := next.Add(1); i <= records; i = next.Add(1) {
				if err := l.Append(b.Context(), strconv.Itoa(int(i%2)), &eventlog.Record{Data: make([]byte, benchBytes)}, nil); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	publishers.Wait()
	read := func(b *testing.B) {
		b.Helper()
		data, _ := lastOf(b, l, "0", 50, eventlog.Position{})
		require.Len(b, data, 50)
	}
	b.Run("50", func(b *testing.B) {
		concurrently(b, 1, func(int) error {
			read(b)
			return nil
		})
	})
	b.Run("50 after a silence", func(b *testing.B) {
		times := make([]time.Duration, b.N)
		for i := range times {
			<-time.After(12 * time.Second)
			start := time.Now()
			read(b)
			times[i] = time.Since(start)
		}
		reportTimes(b, times)
	})
	require.NoError(b, l.Close())
}
