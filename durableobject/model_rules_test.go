package durableobject_test

import (
	"slices"
	"strings"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// check applies the rules after everything has settled. The events that must have arrived, each
// once and in order, depend on where the subscription began.
func (r *reading) check() {
	v, p := r.visit, r.visit.place
	for ; r.looked < len(p.posts); r.looked++ {
		n := p.posts[r.looked]
		if n.includes(v) {
			r.want = append(r.want, n)
		} else if slices.ContainsFunc(n.targets, func(t eventlog.Recipient) bool { return t.ID == v.id && t.Subject != v.to.Subject }) {
			p.sawf("an event for the same id of another subject")
		}
	}
	reading := !v.stalled && !v.gone
	if !r.placed {
		r.placed = r.answered || !v.stalls // else the server may not have read the request yet
		if !r.exact {
			r.high = max(r.low, p.newest())
		}
	}
	if !r.begun {
		r.begun = true
		if r.last != "" && r.last != "0" && p.log != nil {
			r.must = r.must || r.from.Seq > p.head()
			r.may = r.may || p.mayMiss(r.from.Seq)
		}
	}
	if !r.heard && r.last != "" && r.last != "0" && p.log != nil {
		r.may = r.may || p.mayMiss(r.from.Seq) // the server may have read the request only now
	}
	r.heard = r.answered
	if !r.caught {
		r.lost = p.missing(0)
		r.caught = reading
	}
	for _, it := range r.got {
		// A server whose client does not read may read late what ends a subscription, and
		// nothing once it has decided to close the connection.
		if r.ended && it.post != nil && it.post.round > r.endRound && !v.stalls && !v.kicked && v.code == 0 {
			p.failf("v%d: %s goes on after its end with %v", v.n, r.id, it.post)
		}
	}
	alive := reading && !r.ended
	if alive && r.answered && v.active() == r && r.hookBy.IsZero() {
		r.hookBy = time.Now().Add(p.hookTime)
	}
	if r.hook != nil {
		r.checkHook()
	} else if alive && v.active() == r && !r.unclear {
		if r.waited = true; !v.hookBusy() {
			p.failf("v%d: no hook was called for %s", v.n, r.id)
		}
	}
	// The response waits for room like any answer, and answers may wait for a hook.
	if alive && !r.answered && !v.hooking() && !v.hookBusy() {
		p.failf("v%d: no response to %s", v.n, r.id)
	}
	r.checkResume()
	low, high, known := r.bounds()
	if !known {
		return
	}
	r.checkEvents(low, high, alive && v.active() == r)
	r.checkOrder(alive)
}

func (r *reading) checkResume() {
	v, p := r.visit, r.visit.place
	switch {
	case !r.known:
	case r.truncated && !r.may:
		p.failf("v%d: %s after %q is truncated, and nothing is missing", v.n, r.id, r.last)
	case r.truncated && r.fit:
		p.failf("v%d: the position %q has grown too old while its client was connected", v.n, r.last)
	case !r.truncated && r.must:
		p.failf("v%d: nobody knows what came after %q, and %s is complete", v.n, r.last, r.id)
	}
}

// bounds returns two ranks: events up to low must not arrive, and events after high must arrive.
func (r *reading) bounds() (low, high uint64, known bool) {
	switch {
	case r.latest > 0:
		return r.latestBounds()
	case r.last == "" || r.visit.place.log == nil:
		return r.low, r.high, true
	case !r.known:
		return 0, 0, false
	case r.truncated, r.last == "0":
		return r.gone, max(r.lost, r.gone), true
	default:
		return r.from.Seq, r.from.Seq, true
	}
}

func (r *reading) checkEvents(low, high uint64, all bool) {
	v, p := r.visit, r.visit.place
	held := r.held()
	last, newest, before := uint64(0), -1, false
	for i := len(r.got) - 1; i >= 0 && last == 0; i-- {
		if n := r.got[i].post; n != nil {
			last = n.rank
		}
	}
	for _, n := range r.want {
		i, got := r.seen[n]
		switch {
		case got && n.rank <= low:
			p.failf("v%d: %s begins after %d, and got %v", v.n, r.id, low, n)
		case !got && n.rank > high && (n.rank < last || all && (!held || n.rank <= r.low)):
			p.failf("v%d: %s begins after %d and has lost %v, %d in order", v.n, r.id, high, n, n.rank)
		case !got && before && n.rank < last:
			p.failf("v%d: %s has lost %v, %d in order", v.n, r.id, n, n.rank)
		}
		if !got {
			continue
		}
		if i < newest && p.log != nil {
			p.failf("v%d: %s got out of order: %v", v.n, r.id, n)
		}
		newest, before = i, before || p.log != nil
	}
	if p.log == nil {
		r.checkPairs()
	}
}

// checkPairs checks that no two subscriptions have received events in different orders.
func (r *reading) checkPairs() {
	w := r.visit.place.world
	for i, a := range r.got {
		for _, b := range r.got[i+1:] {
			switch {
			case a.post == nil || b.post == nil:
			case a.post.rank > b.post.rank || w.pairs[[2]*post{b.post, a.post}]:
				w.failf("v%d: %s got %v before %v", r.visit.n, r.id, a.post, b.post)
			case a.post.rank == b.post.rank:
				w.pairs[[2]*post{a.post, b.post}] = true
			}
		}
	}
}

func (r *reading) checkHook() {
	v, p, h := r.visit, r.visit.place, r.hook
	if h.resume.LastEventID != r.last {
		p.failf("v%d: %s named %q, the hook got %q", v.n, r.id, r.last, h.resume.LastEventID)
	}
	switch {
	case r.last == "" && (h.resume.Truncated || h.resume.Replayed > r.latest):
		p.failf("v%d: the hook of %s, which is not a resume, got %+v", v.n, r.id, h.resume)
	case r.last != "" && p.log == nil && !h.resume.Truncated:
		p.failf("v%d: nothing is kept, and the hook of %s got %+v", v.n, r.id, h.resume)
	case r.last != "" && p.log != nil:
		r.learnTruncated(h.resume.Truncated)
	}
	r.checkHookPosition()
}

// isTwin reports whether a snapshot is that of a subscription that was made at the same time, so
// that the hook could not know which of the two it was for.
func (r *reading) isTwin(snapshot string) bool {
	for _, run := range r.visit.runs {
		if run.snapshot == snapshot {
			return run.reading == nil || run.reading.round == r.round
		}
	}
	return false
}

// checkOrder checks that the snapshot of the hook is after the missed events and before the live
// ones.
func (r *reading) checkOrder(alive bool) {
	v, p, h := r.visit, r.visit.place, r.hook
	if h == nil || r.low != r.high {
		return
	}
	p.mu.Lock()
	sent := h.sent
	p.mu.Unlock()
	replayed, snapshots := 0, 0
	for _, it := range r.got {
		switch {
		case it.snapshot != "" && it.snapshot == h.snapshot:
			snapshots++
		case it.snapshot != "" && !r.isTwin(it.snapshot):
			p.failf("v%d: %s got %q, want %q", v.n, r.id, it.snapshot, h.snapshot)
		case it.post != nil && it.post.rank <= r.low:
			if replayed++; snapshots > 0 {
				p.failf("v%d: %s was sent %v after the snapshot", v.n, r.id, it.post)
			}
		case r.waited || v.waited(h): // for the hook of an earlier subscription, perhaps longer than events do
		case it.post != nil && snapshots == 0 && sent && !strings.Contains(h.mood, "oversleep"):
			p.failf("v%d: %s was sent %v before the snapshot", v.n, r.id, it.post)
		case it.post != nil && h.running():
			p.failf("v%d: %s was sent %v while its hook was running", v.n, r.id, it.post)
		}
	}
	if alive && sent && snapshots != 1 {
		p.failf("v%d: %s got %d snapshots", v.n, r.id, snapshots)
	}
	if alive && p.log != nil && (r.last != "" || r.latest > 0) && h.resume.Replayed != replayed {
		p.failf("v%d: %s was sent %d that it had missed, the hook got %+v", v.n, r.id, replayed, h.resume)
	}
}
