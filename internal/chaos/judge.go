package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// judge compares the items of the iterators with the published events. From the first
// event to the last, each of them must have yielded
//
//   - every event that is for its member, and no other;
//   - each of them once, and in the order of publication;
//   - with the same id as the other iterators;
//   - a gap in place of events that were by then too old for their room to keep, and
//     nowhere else.
func (v *verdict) judge(r *record, watchers []*watcher) {
	v.acked = r.total()
	v.faults = append(v.faults, r.faults...)
	var all [rooms][]fact
	for room := range all {
		all[room] = r.facts(room)
	}
	for _, w := range watchers {
		v.identify(all[w.room], w)
	}
	for _, w := range watchers {
		v.faults = append(v.faults, slices.Concat(w.readBad, w.callBad)...)
		c := &comparison{verdict: v, watcher: w, facts: all[w.room], all: &all, last: -1}
		c.run()
	}
}

// identify records the ids of events.
func (v *verdict) identify(facts []fact, w *watcher) {
	for _, it := range w.items {
		i, known := find(facts, it.place)
		switch {
		case it.gap != nil || !known:
		case facts[i].seq == 0:
			facts[i].seq = it.seq
		case facts[i].seq != it.seq:
			v.faultf("event %v of room %d has the numbers %d and %d", it.place, w.room, facts[i].seq, it.seq)
		}
	}
}

func find(facts []fact, p place) (int, bool) {
	return slices.BinarySearchFunc(facts, p, func(f fact, p place) int { return f.place().compare(p) })
}

// comparison checks what one iterator has yielded.
type comparison struct {
	*verdict
	*watcher
	facts   []fact           // of the room
	all     *[rooms][]fact   // of all rooms
	yielded map[int]struct{} // of facts
	last    int              // the index of the last fact that was yielded; -1 if none was
	open    *gap             // yielded since the last event
}

func (c *comparison) run() {
	c.yielded = make(map[int]struct{}, len(c.items))
	for _, it := range c.items {
		if it.gap == nil {
			c.event(it.place)
			continue
		}
		c.gaps++
		if !c.due(it.gap) {
			c.undue++
			c.accusef("got the gap %v after %q, which is not expected", it.gap, it.gap.LastEventID)
		}
		c.open = it.gap
	}
	c.miss(len(c.facts))
}

func (c *comparison) accusef(format string, args ...any) {
	c.verdict.faultf("client %s: %w", c.id(), fmt.Errorf(format, args...))
}

func (c *comparison) event(p place) {
	i, known := find(c.facts, p)
	_, again := c.yielded[i]
	switch {
	case !known:
		c.phantoms++
		c.accusef("got event %v, which was not published", p)
		return
	case again:
		c.repeated++
		c.accusef("got event %v again", p)
		return
	case i < c.last:
		c.reordered++
		c.accusef("got event %v after %v", p, c.facts[c.last].place())
		return
	case !c.facts[i].isFor(c.member):
		c.foreign++
		c.accusef("got event %v, which is for others", p)
	}
	c.miss(i)
	c.yielded[i] = struct{}{}
	c.last, c.open = i, nil
}

// miss checks the events that were omitted before next. A gap also covers events that
// became too old before the first event after it was received.
func (c *comparison) miss(next int) {
	for _, f := range c.facts[c.last+1 : next] {
		switch {
		case !f.isFor(c.member) || !f.published():
		case c.open != nil && gone(f, c.open.next):
			c.excused++
		default:
			c.lost++
			c.accusef("did not get event %v", f.place())
		}
	}
}

// gone reports whether an event may have expired at a time.
func gone(f fact, at time.Time) bool {
	return !f.told.Add(retentionOf(kindOf(f.Room))).After(at)
}

// due reports whether a gap is expected, which it is if the room may have dropped an event
// after the one that was resumed from, even one that no client has received. A room that
// has dropped all of its events may have been evicted; then the other rooms of its log
// count too.
func (c *comparison) due(g *gap) bool {
	cursor, ok := eventlog.ParsePosition(g.LastEventID)
	if g.Reason != client.GapTruncated || !ok {
		return false
	}
	dropped := func(f fact) bool { return (f.seq == 0 || f.seq > cursor.Seq) && gone(f, g.at) }
	if slices.ContainsFunc(c.facts[c.last+1:], dropped) {
		return true
	}
	kept := func(f fact) bool { return f.told.Before(g.at) && !gone(f, g.at) }
	if slices.ContainsFunc(c.facts, kept) {
		return false
	}
	for room, facts := range c.all {
		if kindOf(room) == kindOf(c.room) && slices.ContainsFunc(facts, dropped) {
			return true
		}
	}
	return false
}
