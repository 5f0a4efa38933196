//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog/filelog"
)

// events is the number of events in a history.
const events = 1_000_000

// writeHistory creates a log with that many events. It returns the times of ten of them: a
// tenth of the events is before the first of these times, and so on.
func writeHistory(ctx context.Context, dir string) (tenths [10]time.Time, err error) {
	const writers = 250
	log, err := filelog.Open(dir, &filelog.Options{Sync: filelog.SyncNever})
	if err != nil {
		return tenths, err
	}
	var mu sync.Mutex
	err = each(writers, events/writers, func() error {
		r := newEvent()
		err := log.Append(ctx, channel, r, nil)
		if err == nil && r.Seq%(events/10) == 0 {
			mu.Lock()
			defer mu.Unlock()
			tenths[r.Seq/(events/10)-1] = r.Time
		}
		return err
	})
	return tenths, errors.Join(err, log.Close())
}

// open returns the time to open a log, as a ratio to the time to read its files.
func open(ctx context.Context, dir string) (float64, error) {
	if _, err := writeHistory(ctx, dir); err != nil {
		return 0, err
	}
	return compare(7,
		func() (time.Duration, error) {
			var log *filelog.Log
			took, err := timed(func() (err error) {
				log, err = filelog.Open(dir, nil)
				return err
			})
			if err != nil {
				return 0, err
			}
			return took, log.Close()
		},
		func() (time.Duration, error) { return timed(func() error { return read(dir) }) },
	)
}

// replay returns the speed of a replay of all events, as a ratio to that of reading the
// files.
func replay(ctx context.Context, dir string) (_ float64, err error) {
	if _, err := writeHistory(ctx, dir); err != nil {
		return 0, err
	}
	log, err := filelog.Open(dir, nil)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	return compare(7,
		func() (time.Duration, error) { return timed(func() error { return read(dir) }) },
		func() (time.Duration, error) { return timed(func() error { return replayAll(ctx, log) }) },
	)
}

func replayAll(ctx context.Context, log eventlog.Log) error {
	replay, err := log.After(ctx, channel, eventlog.Position{})
	if err != nil {
		return err
	}
	n := 0
	for _, err := range replay.Records {
		if err != nil {
			return err
		}
		n++
	}
	if n != events {
		return fmt.Errorf("replayed %d of %d events", n, events)
	}
	return nil
}

// read reads all segments in dir and computes their checksums, in the simplest way.
func read(dir string) error {
	names, err := filepath.Glob(filepath.Join(dir, "*.seg"))
	if err != nil {
		return err
	}
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	buffer := make([]byte, 256<<10)
	for _, name := range names {
		file, err := os.Open(name)
		if err != nil {
			return err
		}
		// The other methods are hidden, so that the data passes through the buffer.
		_, err = io.CopyBuffer(struct{ io.Writer }{sum}, struct{ io.Reader }{file}, buffer)
		if err := errors.Join(err, file.Close()); err != nil {
			return err
		}
	}
	return nil
}
