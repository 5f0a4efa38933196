//go:build e2e

package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/rpc"
)

// calm returns a node of a cluster without faults.
func calm(b *testing.B) *node {
	b.Helper()
	c := &cluster{config: config{tailCheck: true}}
	b.Cleanup(func() {
		for _, p := range c.servers {
			p.kill()
		}
		for _, p := range c.routes {
			_ = p.listener.Close()
		}
	})
	require.NoError(b, c.startServers(b.Context(), b.TempDir(), servers))
	n, err := startNode(context.Background(), c.config, c.servers[0])
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, n.close()) })
	return n
}

// BenchmarkPublish publishes to 100 channels, which three servers store.
func BenchmarkPublish(b *testing.B) {
	n := calm(b)
	for _, publishers := range []int{1, 256} {
		b.Run(fmt.Sprintf("%d publishers", publishers), func(b *testing.B) {
			var next atomic.Int64
			var running sync.WaitGroup
			for range publishers {
				running.Go(func() {
					for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
						if err := n.publish(b.Context(), fmt.Sprint(i%100), "an event"); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			running.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}

// BenchmarkReturn measures how long it takes until 5,000 clients of one channel are
// connected again and have received the 100 events that each has missed.
func BenchmarkReturn(b *testing.B) {
	const clients, missed = 5000, 100
	n := calm(b)
	tok, err := newToken(b.Context(), "room")
	require.NoError(b, err)
	dial := func(ctx context.Context, o ...rpc.CallOption) (*client.Iterator[event], error) {
		return client.Dial[event](ctx, client.StaticToken(tok), &client.Options{URL: "ws://" + n.web.Listener.Addr().String()}, o...)
	}
	first, err := dial(b.Context())
	require.NoError(b, err)
	last := first.LastEventID()
	require.NotEmpty(b, last)
	for i := range missed {
		require.NoError(b, n.publish(b.Context(), "room", fmt.Sprint(i)))
	}
	b.ResetTimer()
	for range b.N {
		took := make([]time.Duration, clients)
		var running sync.WaitGroup
		start := time.Now()
		for i := range clients {
			running.Go(func() {
				it, err := dial(b.Context(), rpc.WithLastEventID(last))
				if err != nil {
					b.Error(err)
					return
				}
				defer func() { _ = it.Close() }()
				seen := 0
				for _, err := range it.All() {
					if err != nil {
						b.Error(err)
						return
					}
					if seen++; seen == missed {
						took[i] = time.Since(start)
						return
					}
				}
			})
		}
		running.Wait()
		b.ReportMetric(slices.Max(took).Seconds(), "s/all")
	}
	b.StopTimer()
	require.NoError(b, first.Close())
}
