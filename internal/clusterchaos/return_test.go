//go:build e2e

package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/rpc"
)

// BenchmarkReturn measures how long 5,000 clients of one channel take until all are
// connected again and have the 100 events that each has missed.
func BenchmarkReturn(b *testing.B) {
	const clients, missed = 5000, 100
	c := &cluster{config: config{tailCheck: true}}
	defer func() {
		for _, p := range c.servers {
			p.kill()
		}
		for _, p := range c.routes {
			_ = p.listener.Close()
		}
	}()
	require.NoError(b, c.startServers(b.Context(), b.TempDir(), servers))
	n, err := startNode(b.Context(), c.config, c.servers[0])
	require.NoError(b, err)
	defer func() { require.NoError(b, n.close()) }()
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
