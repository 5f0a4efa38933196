//go:build linux

// Command store measures the event logs against the simplest program that does the
// same work on the same disk. In internal/bench:
//
//	go run ./store             takes half a minute; the exit status is 1 if a limit is missed
//	go run ./store -flood 1m   then floods a log in memory for that long
//
// A ratio is the median of several rounds in which both sides take turns, so that other
// load on the machine affects both. Times are not printed, since they do not apply to other
// machines. The files are in a temporary directory in -dir, which is removed at the end. It
// should be on a disk: in a file system in memory a sync costs nothing.
//
//	publish, 512 at once    events a second, all commits synced, against DB.Batch of
//	                        bbolt, which commits for many at once too
//	and bbolt tuned to it   the same, but bbolt does not wait for more than 512;
//	                        by default it does, for up to 10 ms
//	publish, one alone      time, against a bare write and sync of as many bytes
//	open                    time, against reading the files and summing them up
//	replay                  speed, against the same
//	publish while trimming  the 99.9th percentile of the time that an event takes while a
//	                        tenth of a history is dropped, against the same without
//	space freed             the part of the disk's use that goes with nine tenths of the
//	                        events
//	memory log flooded      the most that it held, against its bound
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

func main() {
	dir := flag.String("dir", os.TempDir(), "parent of the directory with the files")
	long := flag.Duration("flood", 0, "how long to flood a log in memory; 0 means not at all")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	passed, err := run(ctx, *dir, *long)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	if err != nil || !passed {
		os.Exit(1)
	}
}

// run prints all rows and reports whether all limits were met.
func run(ctx context.Context, parent string, long time.Duration) (passed bool, err error) {
	dir, err := os.MkdirTemp(parent, "store")
	if err != nil {
		return false, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	rows := []row{
		{"publish, 512 at once", atLeast, 4, crowd},
		{"and bbolt tuned to it", atLeast, 1, crowdTuned},
		{"publish, one alone", atMost, 1.3, alone},
		{"open", atMost, 3, open},
		{"replay", atLeast, 0.3, replay},
		{"publish while trimming", atMost, 2, trimming},
		{"space freed", atLeast, 0.85, space},
	}
	if long > 0 {
		rows = append(rows, row{"memory log flooded", atMost, 1, func(ctx context.Context, _ string) (float64, error) {
			return flood(ctx, long)
		}})
	}
	passed = true
	for _, r := range rows {
		own := filepath.Join(dir, "row")
		ratio, err := r.measure(ctx, own)
		if err != nil {
			return false, fmt.Errorf("%s: %w", r.name, err)
		}
		if err := os.RemoveAll(own); err != nil {
			return false, err
		}
		reached := r.reached(ratio)
		passed = passed && reached
		verdict := "ok"
		if !reached {
			verdict = "MISSED"
		}
		fmt.Printf("%-24s %7.2f   %-8s %4v   %s\n", r.name, ratio, r.limit, r.bar, verdict)
	}
	return passed, nil
}

// row is a ratio and its limit. It is measured in a directory that does not exist yet.
type row struct {
	name    string
	limit   limit
	bar     float64
	measure func(ctx context.Context, dir string) (float64, error)
}

type limit string

const (
	atLeast limit = "at least"
	atMost  limit = "at most"
)

func (r row) reached(ratio float64) bool {
	if r.limit == atLeast {
		return ratio >= r.bar
	}
	return ratio <= r.bar
}

// side is one of two functions that do the same work. It returns how long that took.
type side func() (time.Duration, error)

// compare returns the median ratio of the times of one and other.
func compare(rounds int, one, other side) (float64, error) {
	ratios := make([]float64, rounds)
	for i := range ratios {
		a, err := one()
		if err != nil {
			return 0, err
		}
		b, err := other()
		if err != nil {
			return 0, err
		}
		ratios[i] = a.Seconds() / b.Seconds()
	}
	slices.Sort(ratios)
	return ratios[rounds/2], nil
}

// timed returns how long f takes.
func timed(f func() error) (time.Duration, error) {
	began := time.Now()
	err := f()
	return time.Since(began), err
}
