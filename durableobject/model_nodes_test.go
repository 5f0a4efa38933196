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

// front is a namespace of a space: its only one or, where nodes share a log, that of one
// node. A visit is at one front, and the next one of its guest perhaps at another.
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

// skew is by how much events may be replayed that are too old: the clocks of nodes differ.
func (w *world) skew() time.Duration { return either(w.nodes > 1, 10*time.Second, 0) }

// newNode opens a handle on the log that nodes share, whose feed behaves as planned.
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

// calm is how long it takes at most until everything that a feed has left out or delayed
// has come.
const calm = 2500 * time.Millisecond

// waitForFeeds lets what is on its way to nodes arrive, and reports whether there was
// anything.
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

// anyFront is where a guest comes or a publisher publishes.
func (p *place) anyFront(r *rand.Rand) *front { return pick(r, p.fronts...) }

// frontFor is where the visit n is.
func (p *place) frontFor(n int) *front {
	return p.anyFront(rand.New(rand.NewPCG(p.seed, 1<<48+uint64(n))))
}

// loseFeeds ends all feeds of a node. Its sockets are closed, and none of their events is
// lost or repeated when the guests come back.
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

// roamed counts a subscription that resumes at another node than the one before.
func (v *visit) roamed(last string) {
	before := v.guest.at[v.place]
	v.guest.at[v.place] = v.front
	if last == "" || before == nil || v.place.nodes == 1 {
		return
	}
	v.place.sawf("nodes: a resume %s", either(before == v.front, "where the guest was", "at another node"))
}

// waited reports whether a hook waited for an earlier one, perhaps for longer than events
// do. Between nodes that cannot be seen for sure, since time passes while everything settles.
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
