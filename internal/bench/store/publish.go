//go:build linux

package main

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"sync"
	"syscall"
	"time"

	"go.etcd.io/bbolt"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog/filelog"
)

const (
	channel    = "room"
	eventBytes = 200
)

func newEvent() *eventlog.Record { return &eventlog.Record{Data: make([]byte, eventBytes)} }

// each calls f n times in each of several goroutines, until a call fails.
func each(goroutines, n int, f func() error) error {
	errs := make([]error, goroutines)
	var running sync.WaitGroup
	for i := range goroutines {
		running.Go(func() {
			for range n {
				if errs[i] = f(); errs[i] != nil {
					return
				}
			}
		})
	}
	running.Wait()
	return errors.Join(errs...)
}

// publishers is the number of concurrent publishers.
const publishers = 512

// crowd returns how many times more events per second filelog accepts from many publishers
// than bbolt.
func crowd(ctx context.Context, dir string) (float64, error) {
	return againstBolt(ctx, dir, 1000) // with its defaults
}

func crowdTuned(ctx context.Context, dir string) (float64, error) {
	return againstBolt(ctx, dir, publishers)
}

func againstBolt(ctx context.Context, dir string, maxBatch int) (_ float64, err error) {
	const events = 40 // of each publisher in a round
	log, err := filelog.Open(dir, nil)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	db, err := bbolt.Open(dir+"/bbolt", 0o600, nil)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.MaxBatchSize = maxBatch

	ours := func() error { return log.Append(ctx, channel, newEvent(), nil) }
	theirs := func() error {
		event := newEvent()
		return db.Batch(func(tx *bbolt.Tx) error { return putBolt(tx, event) })
	}
	return compare(7,
		func() (time.Duration, error) { return timed(func() error { return each(publishers, events, theirs) }) },
		func() (time.Duration, error) { return timed(func() error { return each(publishers, events, ours) }) },
	)
}

// putBolt stores an event under the next number of its channel.
func putBolt(tx *bbolt.Tx, event *eventlog.Record) error {
	bucket, err := tx.CreateBucketIfNotExists([]byte(channel))
	if err != nil {
		return err
	}
	bucket.FillPercent = 1 // keys only grow
	seq, err := bucket.NextSequence()
	if err != nil {
		return err
	}
	return bucket.Put(binary.BigEndian.AppendUint64(nil, seq), event.Data)
}

// alone returns the time of one publisher, as a ratio to a bare write and sync of the same
// number of bytes.
func alone(ctx context.Context, dir string) (_ float64, err error) {
	const events = 1001
	log, err := filelog.Open(dir, nil)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	file, err := os.Create(dir + "/bare")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()

	empty := log.Stats().Bytes
	if err := log.Append(ctx, channel, newEvent(), nil); err != nil {
		return 0, err
	}
	bytes := make([]byte, log.Stats().Bytes-empty)
	return compare(events,
		func() (time.Duration, error) {
			return timed(func() error { return log.Append(ctx, channel, newEvent(), nil) })
		},
		func() (time.Duration, error) {
			return timed(func() error {
				if _, err := file.Write(bytes); err != nil {
					return err
				}
				return syscall.Fdatasync(int(file.Fd()))
			})
		},
	)
}
