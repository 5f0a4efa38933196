//go:build linux

package main

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog/filelog"
)

// space returns the part of the disk space that is freed with nine tenths of the events.
func space(ctx context.Context, dir string) (float64, error) {
	tenths, err := writeHistory(ctx, dir)
	if err != nil {
		return 0, err
	}
	before, err := diskUse(dir)
	if err != nil {
		return 0, err
	}
	log, err := filelog.Open(dir, nil)
	if err != nil {
		return 0, err
	}
	if err := errors.Join(log.Trim(ctx, tenths[8]), log.Close()); err != nil {
		return 0, err
	}
	after, err := diskUse(dir)
	return 1 - float64(after)/float64(before), err
}

func diskUse(dir string) (bytes int64, err error) {
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	for _, name := range names {
		var info syscall.Stat_t
		err = errors.Join(err, syscall.Stat(name, &info))
		bytes += info.Blocks * 512
	}
	return bytes, err
}

// trimming returns how much longer the slowest thousandth of the events takes while a tenth
// of a history is being dropped.
func trimming(ctx context.Context, dir string) (_ float64, err error) {
	tenths, err := writeHistory(ctx, dir)
	if err != nil {
		return 0, err
	}
	log, err := filelog.Open(dir, nil)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	left := tenths[:]
	return compare(len(tenths)-1,
		func() (time.Duration, error) {
			var dropping sync.WaitGroup
			var dropped error
			dropping.Go(func() { dropped = log.Trim(ctx, left[0]) })
			slow, err := slowest(ctx, log)
			dropping.Wait()
			left = left[1:]
			return slow, errors.Join(err, dropped)
		},
		func() (time.Duration, error) { return slowest(ctx, log) },
	)
}

// slowest publishes events and returns the 99.9th percentile of their times.
func slowest(ctx context.Context, log *filelog.Log) (time.Duration, error) {
	const publishers, events = 32, 320
	took := make([]time.Duration, publishers*events)
	var next atomic.Int64
	err := each(publishers, events, func() (err error) {
		i := next.Add(1) - 1
		took[i], err = timed(func() error { return log.Append(ctx, channel, newEvent(), nil) })
		return err
	})
	slices.Sort(took)
	return took[len(took)*999/1000], err
}
