package main

import (
	"errors"
	"fmt"
	"strings"
)

// verdict is the result of a run. All faults are 0 if it has passed.
type verdict struct {
	clients, graceful, killed int
	drops                     int64
	tally                     *tally
	acked                     int

	lost      int // events that an iterator omitted without an expected gap
	repeated  int // events that an iterator yielded again
	reordered int // events that an iterator yielded too late
	foreign   int // events that an iterator yielded although they are for others
	phantoms  int // events that were never published
	gaps      int // gaps that iterators have reported
	undue     int // gaps that are not expected
	excused   int // events that are missing at a gap

	faults []error
}

func (v *verdict) faultf(format string, args ...any) {
	v.faults = append(v.faults, fmt.Errorf(format, args...))
}

// maxExamples is how many faults are reported one by one.
const maxExamples = 20

// err returns an error with the faults, or nil if there are none.
func (v *verdict) err() error {
	if len(v.faults) == 0 {
		return nil
	}
	shown := v.faults[:min(len(v.faults), maxExamples)]
	return fmt.Errorf("%d faults: %w", len(v.faults), errors.Join(shown...))
}

// String returns the figures.
func (v *verdict) String() string {
	var b strings.Builder
	t := v.tally
	fmt.Fprintf(&b, "%d connections ended by the proxy, %d servers shut down, %d killed\n", v.drops, v.graceful, v.killed)
	fmt.Fprintf(&b, "%d events acknowledged; %d clients: %d events yielded, %d connections lost, %d tokens fetched\n",
		v.acked, v.clients, t.yields.Load(), t.losses.Load(), t.tokens.Load())
	fmt.Fprintf(&b, "%d calls answered, %d lost with their connection\n", t.calls.Load(), t.lostCalls.Load())
	fmt.Fprintf(&b, "%d gaps in place of %d events that were not kept; %d gaps that were not due\n", v.gaps, v.excused, v.undue)
	fmt.Fprintf(&b, "%d lost, %d repeated, %d reordered, %d for others, %d not published; %d faults in all",
		v.lost, v.repeated, v.reordered, v.foreign, v.phantoms, len(v.faults))
	return b.String()
}
