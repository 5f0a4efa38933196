package main

import (
	"fmt"
	"strings"
	"time"
)

// report is what came of a run.
type report struct {
	kills   int
	faults  [faults]int
	dropped int64 // messages

	acknowledged, failed int
	longest              time.Duration // publication

	channels, watchers                   int
	lost, repeated, reordered, gaps, bad int
	back                                 time.Duration // until all had seen all, after the last fault
	consumers                            int           // of the stream
}

// liveAgain is how long after the last fault every watcher must have seen every event.
const liveAgain = 12 * time.Second

// judge compares what the watchers of a channel have seen with each other and with what
// was acknowledged. An event that was not acknowledged may be seen, or not.
func (r *report) judge(acknowledged []string, watchers []*watcher) {
	order := map[string]int{} // of the watcher that has seen most
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

// judgeOne compares what one watcher has seen.
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

// verdict returns an error if a promise was broken.
func (r *report) verdict() error {
	if n := r.lost + r.repeated + r.reordered + r.gaps + r.bad; n > 0 {
		return fmt.Errorf("%d promises broken", n)
	}
	if r.consumers > 0 {
		return fmt.Errorf("the stream has %d consumers", r.consumers)
	}
	if r.back > liveAgain {
		return fmt.Errorf("all had all only %v after the last fault", r.back)
	}
	return nil
}

func (r *report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d kills", r.kills)
	for f := cut; f < faults; f++ {
		fmt.Fprintf(&b, ", %d %v", r.faults[f], f)
	}
	fmt.Fprintf(&b, "; %d messages dropped\n", r.dropped)
	fmt.Fprintf(&b, "%d events acknowledged, %d failed or uncertain, the longest publication took %v\n",
		r.acknowledged, r.failed, r.longest.Round(time.Millisecond))
	fmt.Fprintf(&b, "%d watchers of %d channels: %d lost, %d repeated, %d reordered, %d gaps, %d ended; "+
		"all had all %v after the last fault; the stream has %d consumers",
		r.watchers, r.channels, r.lost, r.repeated, r.reordered, r.gaps, r.bad, r.back.Round(time.Millisecond), r.consumers)
	return b.String()
}
