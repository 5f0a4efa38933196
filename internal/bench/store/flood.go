//go:build linux

package main

import (
	"context"
	"runtime"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// flood fills a log in memory for so long, as fast as can be. It returns the most
// that the heap grew by meanwhile, as a part of what the log may hold.
func flood(ctx context.Context, long time.Duration) (float64, error) {
	const bound, batch = 64 << 20, 100_000
	before := heap()
	log := eventlog.NewMemory(&eventlog.MemoryOptions{MaxBytes: bound})
	most := before
	for began := time.Now(); time.Since(began) < long; most = max(most, heap()) {
		err := each(8, batch/8, func() error {
			return log.Append(ctx, channel, newEvent(), func(*eventlog.Record) {})
		})
		if err != nil {
			return 0, err
		}
	}
	return float64(most-before) / bound, log.Close()
}

// heap returns how many bytes of the heap are in use, none of them garbage.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}
