package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// report is what came of a run.
type report struct {
	kills   int
	leaders int // of the stream, among those killed
	faults  [faults]int
	dropped int64 // messages

	acknowledged, failed int
	longest              time.Duration // publication
	keys, keyed          int           // keys, and publications under them
	ids                  int           // acknowledgements of a key with another id than the first

	channels, watchers                   int
	lost, repeated, reordered, gaps, bad int
	back                                 time.Duration // until all had seen all, after the last fault
	slowest                              time.Duration // sighting: see delay
	consumers                            int           // of the stream
}

// liveAgain is how long after a fault every watcher must have seen every event.
const liveAgain = 12 * time.Second

// span is when something was broken.
type span struct{ from, until time.Time }

// judge compares what the watchers of a channel have seen with each other and with what
// was acknowledged. An event that was not acknowledged may be seen, or not.
func (r *report) judge(acknowledged []sighting, watchers []*watcher, faults []span) {
	order := map[string]int{} // of the watcher that has seen most
	for _, w := range watchers {
		if len(w.seen) > len(order) {
			clear(order)
			for i, s := range w.seen {
				order[s.event] = i
			}
		}
	}
	for _, w := range watchers {
		r.gaps += w.gaps
		if w.failed != nil {
			r.bad++
		}
		r.judgeOne(acknowledged, w.seen, order, faults)
	}
}

// judgeOne compares what one watcher has seen.
func (r *report) judgeOne(acknowledged, sightings []sighting, order map[string]int, faults []span) {
	seen, last := map[string]time.Time{}, -1
	for _, s := range sightings {
		if _, ok := seen[s.event]; ok {
			r.repeated++
		}
		seen[s.event] = s.at
		if at, ok := order[s.event]; ok {
			if at < last {
				r.reordered++
			}
			last = at
		}
	}
	for _, a := range acknowledged {
		at, ok := seen[a.event]
		if !ok {
			r.lost++
			continue
		}
		r.slowest = max(r.slowest, delay(a.at, at, faults))
	}
}

// delay returns how long an event was on its way, from its acknowledgement or the end of
// the fault that there was then. Where the next fault comes before everybody is live
// again, that counts as well.
func delay(acknowledged, seen time.Time, faults []span) time.Duration {
	i, _ := slices.BinarySearchFunc(faults, acknowledged, func(s span, at time.Time) int { return s.until.Compare(at) })
	if i < len(faults) && faults[i].from.Before(acknowledged) {
		acknowledged = faults[i].until
	}
	return seen.Sub(acknowledged)
}

// verdict returns an error if a promise was broken.
func (r *report) verdict() error {
	if n := r.lost + r.repeated + r.reordered + r.gaps + r.bad; n > 0 {
		return fmt.Errorf("%d promises broken", n)
	}
	if r.consumers > 0 {
		return fmt.Errorf("the stream has %d consumers", r.consumers)
	}
	if r.ids > 0 {
		return fmt.Errorf("%d publications under a key had another id", r.ids)
	}
	if r.slowest > liveAgain {
		return fmt.Errorf("a watcher saw an event only %v after the fault", r.slowest)
	}
	if r.back > liveAgain {
		return fmt.Errorf("all had all only %v after the last fault", r.back)
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
		"the slowest saw an event %v after its fault, all had all %v after the last; the stream has %d consumers",
		r.watchers, r.channels, r.lost, r.repeated, r.reordered, r.gaps, r.bad,
		r.slowest.Round(time.Millisecond), r.back.Round(time.Millisecond), r.consumers)
	return b.String()
}
