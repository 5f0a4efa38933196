package durableobject_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog/eventlogtest"
)

// front is a namespace of a space: its only one or, if nodes share a log, that of one node. A
// visit is at one front; the next visit of the same guest may be at another one.
type front struct {
	*space
	n      int
	halls  *durableobject.Namespace[*hall]
	up     http.Handler
	handle *eventlogtest.Handle // of the log that nodes share, else nil
}

func (w *world) fronts() (list []*front) {
	for _, s := range w.spaces {
		list = append(list, s.fronts...)
	}
	return list
}

// skew returns how much older than the retention replayed events may be, because the clocks of
// nodes differ.
func (w *world) skew() time.Duration { return either(w.nodes > 1, 10*time.Second, 0) }

// newNode opens a handle of the log that nodes share. Its feed behaves as planned.
func (w *world) newNode(n int) *eventlogtest.Handle {
	h := w.cluster.Open()
	if w.feed == "calm" {
		return h
	}
	var mu sync.Mutex // publishers run at once
	r := rand.New(rand.NewPCG(w.seed, 1<<40+uint64(n)))
	h.Disturb(func(string, *eventlog.Record) eventlogtest.Fate {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case r.IntN(3) > 0:
			return eventlogtest.Fate{}
		case w.feed == "leaky":
			w.sawf("nodes: a record that a feed leaves out")
			return eventlogtest.Fate{Drop: true}
		default:
			w.sawf("nodes: a record that is late")
			return eventlogtest.Fate{Delay: time.Duration(r.IntN(1000)) * time.Millisecond}
		}
	})
	return h
}

// calm is the maximum time until all records that a feed has left out or delayed have arrived.
const calm = 2500 * time.Millisecond

// waitForFeeds waits until all records have arrived at the nodes, and reports whether there were
// any.
func (w *world) waitForFeeds() bool {
	w.mu.Lock()
	coming := w.coming
	w.coming = false
	w.mu.Unlock()
	if coming {
		time.Sleep(calm)
	}
	return coming
}

// anyFront returns a random front.
func (p *place) anyFront(r *rand.Rand) *front { return pick(r, p.fronts...) }

// frontFor returns the front of visit n.
func (p *place) frontFor(n int) *front {
	return p.anyFront(rand.New(rand.NewPCG(p.seed, 1<<48+uint64(n))))
}

// loseFeeds ends all feeds of a node. Its sockets are closed, and none of their events is lost or
// repeated when the guests reconnect.
func (w *world) loseFeeds(r *rand.Rand) {
	f := w.places[0].anyFront(r)
	if f.handle == nil {
		return
	}
	w.notef("node %d loses its feeds", f.n)
	w.sawf("nodes: a loss of feeds")
	for _, v := range w.visits {
		v.lost = v.lost || v.front == f
	}
	f.handle.Lose(errors.New("the model loses it"))
}

// roamed counts a subscription that resumes on another node.
func (v *visit) roamed(last string) {
	before := v.guest.at[v.place]
	v.guest.at[v.place] = v.front
	if last == "" || before == nil || v.place.nodes == 1 {
		return
	}
	v.place.sawf("nodes: a resume %s", either(before == v.front, "where the guest was", "at another node"))
}

// waited reports whether a hook may have waited for an earlier one for longer than events wait.
// With several nodes this is not certain, because time passes while everything settles.
func (v *visit) waited(h *hookRun) bool {
	w := v.place.world
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(v.runs, func(other *hookRun) bool {
		long := w.nodes > 1 || !other.ended || other.done.Sub(other.started) >= w.hookTime
		return other != h && long && (!other.ended || !other.done.Before(h.started))
	})
}

func (f *front) String() string { return fmt.Sprint(f.name, " node ", f.n) }
