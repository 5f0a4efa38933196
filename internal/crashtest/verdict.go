package main

import (
	"errors"
	"fmt"
	"strings"
)

// verdict is the result of a run. All faults are 0 if it has passed.
type verdict struct {
	kills, early, torn int
	cut                int64
	publishers, keyed  int
	acked, stored      int
	again, most        int   // acknowledgements after the first of an event, and the most of one event
	delivered          []int // number of events by client
	connections        []int64

	lost     int // acknowledged events that are not in the log
	phantoms int // delivered events that are not in the log
	missed   int // events in the log that a client did not receive
	reused   int // ids of more than one event
	gaps     int // gaps reported to a client
	disorder int // events out of order, repeated or changed
	misnamed int // acknowledgements with another id than that in the log
	examples []error
}

func (s *siege) judge(stored *history) *verdict {
	v := &verdict{kills: s.kills, early: s.early, torn: s.torn, cut: s.cut, publishers: s.publishers, keyed: s.keyed}
	var clients []*history
	for _, w := range s.watchers {
		clients = append(clients, w.got)
		v.connections = append(v.connections, w.connections.Load())
		v.gaps += len(w.gaps)
		v.examples = append(v.examples, w.gaps...)
	}
	v.compare(s.acked, stored, clients)
	return v
}

// compare counts the faults. If all clients have received exactly the events in the log, in
// the order of their ids, they have received them in the same order.
func (v *verdict) compare(acked []entry, stored *history, clients []*history) {
	v.stored = len(stored.entries)
	inLog := map[entry]bool{}
	ids := map[mark]string{}
	byID := map[string]mark{}
	for _, e := range stored.entries {
		inLog[e], ids[e.mark] = true, e.id
		v.identify(byID, e)
	}
	v.check(acked, ids)
	v.addDisorder(stored)
	for number, got := range clients {
		v.delivered = append(v.delivered, len(got.entries))
		v.addDisorder(got)
		arrived := map[entry]bool{}
		for _, e := range got.entries {
			arrived[e] = true
			v.identify(byID, e)
			if !inLog[e] {
				v.phantoms++
				v.examplef("client %d got event %v with id %s, which is not in the log", number, e.mark, e.id)
			}
		}
		for _, e := range stored.entries {
			if !arrived[e] {
				v.missed++
				v.examplef("client %d did not get event %v with id %s", number, e.mark, e.id)
			}
		}
	}
}

// check compares acknowledgements with the ids of the events in the log.
func (v *verdict) check(acked []entry, ids map[mark]string) {
	times := map[mark]int{}
	for _, a := range acked {
		times[a.mark]++
		v.most = max(v.most, times[a.mark])
		id, ok := ids[a.mark]
		switch {
		case !ok && times[a.mark] == 1:
			v.lost++
			v.examplef("event %v was acknowledged and is not in the log", a.mark)
		case ok && id != a.id:
			v.misnamed++
			v.examplef("event %v was acknowledged as %s and is %s in the log", a.mark, a.id, id)
		}
	}
	v.acked, v.again = len(times), len(acked)-len(times)
}

// identify records which event an id belongs to.
func (v *verdict) identify(byID map[string]mark, e entry) {
	other, ok := byID[e.id]
	switch {
	case !ok:
		byID[e.id] = e.mark
	case other != e.mark:
		v.reused++
		v.examplef("id %s is that of %v and %v", e.id, other, e.mark)
	}
}

func (v *verdict) addDisorder(h *history) {
	v.disorder += len(h.disorder)
	v.examples = append(v.examples, h.disorder...)
}

func (v *verdict) examplef(format string, args ...any) {
	v.examples = append(v.examples, fmt.Errorf(format, args...))
}

// maxExamples is how many faults are reported one by one.
const maxExamples = 10

// err returns an error with the faults, or nil if there are none.
func (v *verdict) err() error {
	if len(v.examples) == 0 {
		return nil
	}
	shown := v.examples[:min(len(v.examples), maxExamples)]
	return fmt.Errorf("%d faults: %w", len(v.examples), errors.Join(shown...))
}

// String returns the figures.
func (v *verdict) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d kills, %d of them before the server was ready, %d left an unfinished write (%d bytes)\n",
		v.kills, v.early, v.torn, v.cut)
	fmt.Fprintf(&b, "%d publishers, %d with keys: %d events acknowledged, %d times again, one of them %d times, %d in the log\n",
		v.publishers+v.keyed, v.keyed, v.acked, v.again, v.most, v.stored)
	fmt.Fprintf(&b, "%d clients: %d events delivered, over %d connections\n", len(v.delivered), v.delivered, v.connections)
	fmt.Fprintf(&b, "%d acknowledged events lost, %d delivered events not in the log, %d missed, ", v.lost, v.phantoms, v.missed)
	fmt.Fprintf(&b, "%d ids used twice, %d gaps, %d out of order or repeated, %d wrong ids acknowledged",
		v.reused, v.gaps, v.disorder, v.misnamed)
	return b.String()
}
