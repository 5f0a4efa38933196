package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// report has the results of a run.
type report struct {
	kills   int
	leaders int // how many of the killed servers led the stream
	faults  [faults]int
	dropped int64 // messages

	acknowledged, failed int
	longest              time.Duration // publication
	keys, keyed          int           // number of keys, and of publications with them
	ids                  int           // acknowledgements of a key with another id than the first

	channels, watchers                   int
	lost, repeated, reordered, gaps, bad int
	back                                 time.Duration   // from the last fault until all watchers had all events
	recoveries                           []time.Duration // from faults until all watchers were live again
	consumers                            int             // of the stream
}

// liveAgain is the time after a fault within which every watcher must have every event.
const liveAgain = 12 * time.Second

// judge compares the events of the watchers of a channel with each other and with the
// acknowledged ones. An event that was not acknowledged may have been received or not.
func (r *report) judge(acknowledged []string, watchers []*watcher) {
	order := map[string]int{} // of the watcher with the most events
	for _, w := range watchers {
		if len(w.seen) > len(order) {
			clear(order)
			for i, event := range w.seen {
				order[event] = i
			}
		}
	}
	for _, w := range watchers {
		r.gaps += w.gaps
		if w.failed != nil {
			r.bad++
		}
		r.judgeOne(acknowledged, w.seen, order)
	}
}

// judgeOne compares the events of one watcher.
func (r *report) judgeOne(acknowledged, events []string, order map[string]int) {
	seen, last := map[string]bool{}, -1
	for _, event := range events {
		if seen[event] {
			r.repeated++
		}
		seen[event] = true
		if at, ok := order[event]; ok {
			if at < last {
				r.reordered++
			}
			last = at
		}
	}
	for _, event := range acknowledged {
		if !seen[event] {
			r.lost++
		}
	}
}

// verdict returns an error if a guarantee was broken.
func (r *report) verdict() error {
	if n := r.lost + r.repeated + r.reordered + r.gaps + r.bad; n > 0 {
		return fmt.Errorf("%d guarantees broken", n)
	}
	if r.consumers > 0 {
		return fmt.Errorf("the stream has %d consumers", r.consumers)
	}
	if r.ids > 0 {
		return fmt.Errorf("%d publications under a key had another id", r.ids)
	}
	if slowest := slices.Max(append(r.recoveries, r.back)); slowest > liveAgain {
		return fmt.Errorf("the watchers had all events only %v after a fault", slowest)
	}
	return nil
}

func (r *report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d kills, %d of the stream's leader", r.kills, r.leaders)
	for f := cut; f < faults; f++ {
		fmt.Fprintf(&b, ", %d %v", r.faults[f], f)
	}
	fmt.Fprintf(&b, "; %d messages dropped\n", r.dropped)
	fmt.Fprintf(&b, "%d events acknowledged, %d failed or uncertain, the longest publication took %v\n",
		r.acknowledged, r.failed, r.longest.Round(time.Millisecond))
	fmt.Fprintf(&b, "%d publications of three nodes under %d keys, %d with another id\n", r.keyed, r.keys, r.ids)
	fmt.Fprintf(&b, "%d watchers of %d channels: %d lost, %d repeated, %d reordered, %d gaps, %d ended; "+
		"the watchers had all events %v after the last fault, and %v after earlier ones; the stream has %d consumers",
		r.watchers, r.channels, r.lost, r.repeated, r.reordered, r.gaps, r.bad,
		r.back.Round(time.Millisecond), spread(r.recoveries), r.consumers)
	return b.String()
}

// spread returns the median and the maximum of some durations.
func spread(all []time.Duration) string {
	if len(all) == 0 {
		return "nothing"
	}
	all = slices.Sorted(slices.Values(all))
	median, longest := all[len(all)/2], all[len(all)-1]
	return fmt.Sprintf("%v, at most %v (%d times)", median.Round(time.Millisecond), longest.Round(time.Millisecond), len(all))
}
