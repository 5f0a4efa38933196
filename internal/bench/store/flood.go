//go:build linux

package main

import (
	"context"
	"runtime"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// flood fills a log in memory as fast as possible for the duration long. It returns the
// maximum growth of the heap, as a part of the limit of the log.
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
