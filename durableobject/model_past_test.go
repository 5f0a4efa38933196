package durableobject_test

import (
	"errors"
	"math/rand/v2"
	"slices"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// readPast reads the history of a place in pages, for the socket of a visit or for none, from one
// end to the other or after an event. It must have the events that a replay would have, and none
// for other clients.
func (w *world) readPast(r *rand.Rand, v *visit) {
	p := v.place
	h := durableobject.HistoryOptions{Limit: pick(r, 1, 2, 5, 100)}
	if r.IntN(4) > 0 {
		h.For = v.ws
	}
	backwards := r.IntN(2) == 0
	if backwards {
		h.Before = durableobject.HistoryNewest
	}
	w.relearn()
	from := uint64(0) // the event that it begins at
	if len(p.posts) > 0 && r.IntN(3) == 0 {
		n := pick(r, p.posts...)
		from = n.rank
		id := either(p.log == nil, "1", p.idOf(n))
		if backwards {
			h.Before = id
		} else {
			h.After = id
		}
	}
	w.notef("the history of %v for v%d (%v), backwards %v, from %d", p, v.n, h.For != nil, backwards, from)
	known := p.newest()
	got := p.pages(v, h, backwards)
	if p.log == nil {
		return
	}
	w.relearn()
	p.checkPast(v, h, got, either(backwards, rankRange{0, either(from == 0, known, from-1)}, rankRange{from, known}))
}

// rankRange selects the posts after one rank, up to another one.
type rankRange struct{ after, upTo uint64 }

func (r rankRange) has(n *post) bool { return n.rank > r.after && n.rank <= r.upTo }

// pages reads all pages and returns the posts in the order of the log.
func (p *place) pages(v *visit, h durableobject.HistoryOptions, backwards bool) (got []*post) {
	w := p.world
	hall := p.hall(v.front)
	begun := h.After + h.Before
	for pages := 1; ; pages++ {
		page, err := hall.History(w.ctx, h)
		if p.log == nil {
			if !errors.Is(err, durableobject.ErrNotKept) {
				w.failf("the history of %v, which keeps nothing: %v", p, err)
			}
			return nil
		}
		if err != nil || len(page.Events) > h.Limit || pages > 10_000 {
			w.failf("page %d of the history of %v has %d events: %v", pages, p, len(page.Events), err)
		}
		at, isEvent := parsePosition(begun)
		if page.Truncated && (backwards || !isEvent || !p.mayMiss(at.Seq)) {
			w.failf("page %d of the history of %v from %q is truncated", pages, p, begun)
		}
		for _, e := range page.Events {
			p.mu.Lock()
			n := w.posts[keyOf(e.Event.Text)]
			p.mu.Unlock()
			if n == nil || n.place != p || n.text != e.Event.Text {
				w.failf("the history of %v has something that nobody published in it: %v", p, e)
			}
			got = append(got, n)
			w.relearn()
			if e.ID != p.idOf(n) || !e.Time.Equal(n.at) {
				w.failf("the history of %v has %v as %s of %v", p, n, e.ID, e.Time)
			}
		}
		w.sawf("history: a page %s", either(backwards, "backwards", "forwards"))
		begun = page.Next
		if page.Next == "" {
			break
		}
		if backwards {
			h.Before = page.Next
		} else {
			h.After = page.Next
		}
	}
	if backwards {
		slices.Reverse(got)
	}
	return got
}

// relearn is learn for a time at which posts may have been published that were not recorded yet.
func (w *world) relearn() {
	w.mu.Lock()
	w.fresh = true
	w.mu.Unlock()
	w.learn()
}

// idOf returns the event id of a post.
func (p *place) idOf(n *post) string {
	return eventlog.Position{Epoch: p.epoch, Seq: n.rank}.String()
}

// checkPast compares a history with the posts. Those in a range must be in it if they are
// retained.
func (p *place) checkPast(v *visit, h durableobject.HistoryOptions, got []*post, of rankRange) {
	w, lost, last := p.world, p.missing(0), uint64(0)
	for _, n := range got {
		switch {
		case h.For != nil && !n.includes(v):
			w.failf("the history for v%d has what is for somebody else: %v", v.n, n)
		case n.rank <= last:
			w.failf("the history for v%d is out of order, or has it twice: %v", v.n, n)
		case n.rank <= of.after, h.Before != "" && h.Before != durableobject.HistoryNewest && n.rank > of.upTo:
			w.failf("the history for v%d begins elsewhere, and has %v", v.n, n)
		}
		last = n.rank
	}
	for _, n := range p.posts {
		if of.has(n) && n.rank > lost && (h.For == nil || n.includes(v)) && !slices.Contains(got, n) {
			w.failf("the history for v%d lacks %v", v.n, n)
		}
	}
}
