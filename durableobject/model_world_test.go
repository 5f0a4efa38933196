package durableobject_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog/eventlogtest"
	"github.com/go-orpc/durable-iterator/rpc"
)

// world is a history: the namespaces, their users, and what the oracle knows about them.
type world struct {
	plan
	seed    uint64
	ctx     context.Context
	spaces  []*space
	shared  eventlog.Log               // Options.Log of the namespaces, if any
	cluster *eventlogtest.SharedMemory // what nodes share, if any
	places  []*place
	guests  []*guest
	visits  []*visit          // that are not over
	round   int               // counts what has settled
	solo    bool              // a step does one thing only
	asking  []*post           // that were published in this step
	given   []string          // positions that clients have got, anywhere
	pairs   map[[2]*post]bool // without a log: what came before what, to somebody
	trace   []func() string
	tally   *tally

	// mu guards what hooks and methods use too.
	mu     sync.Mutex
	all    []*visit // by number
	tick   uint64   // the rank of what is published now, without a log
	posts  map[string]*post
	coming bool // something was published since the feeds of nodes were waited for
	fresh  bool // something was published since it was looked at last
	mood   string
	runs   []*hookRun
	halls  []*hall       // all that there were
	orders map[int]*post // what the method "act" is to publish
	wrong  string        // the first thing that was found wrong by a hook
	ending bool
}

// space is a namespace, with the same channels on each node.
type space struct {
	*world
	name   string
	fronts []*front
	log    eventlog.Log // its view; nil: nothing is kept
	epoch  string
	places []*place
}

// place is a channel of a namespace.
type place struct {
	*space
	channel string
	posts   []*post        // in order
	learnt  uint64         // Seq of the last of them
	noisy   int            // bytes that were published since everything settled; guarded by mu
	settled uint64         // the rank of the newest post by then
	open    map[*front]int // visits that surely are connected; guarded by mu
	held    *hall          // the result of an earlier call of hall
}

// guest is a client that connects repeatedly.
type guest struct {
	visit   *visit // nil: away
	home    *place
	id      string
	tags    []string
	subject string
	last    map[*place]string
	fit     map[*place]fitness
	at      map[*place]*front // where the last subscription was
}

// fitness is the time until which a resume from a position or a later one is complete.
type fitness struct {
	from  uint64
	until time.Time
}

// failure is a fault that the oracle has found.
type failure string

func (w *world) failf(format string, args ...any) {
	panic(failure(fmt.Sprintf(format, args...)))
}

func (w *world) notef(format string, args ...any) {
	at, round := time.Since(epochOfBubble), w.round
	w.trace = append(w.trace, func() string {
		return fmt.Sprintf("%8.3fs r%-3d ", at.Seconds(), round) + fmt.Sprintf(format, args...)
	})
}

// epochOfBubble is the time at which the clock of a synctest bubble begins.
var epochOfBubble = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func newWorld(seed uint64, t *tally) *world {
	r := rand.New(rand.NewPCG(seed, 0))
	w := &world{
		plan: newPlan(r), tally: t, seed: seed, ctx: context.Background(),
		tick: 1, pairs: map[[2]*post]bool{}, posts: map[string]*post{}, orders: map[int]*post{},
	}
	w.notef("seed %d, %+v", seed, w.plan)
	switch w.plan.log {
	case "given":
		w.shared = eventlog.NewMemory(&eventlog.MemoryOptions{Retention: pick(r, 0, w.retention)})
	case "bounded":
		w.shared = eventlog.NewMemory(&eventlog.MemoryOptions{Retention: pick(r, 0, w.retention), MaxChannelBytes: w.maxBytes, MaxBytes: 2 * w.maxBytes})
	case "shared":
		w.shared = eventlog.NewMemory(&eventlog.MemoryOptions{Retention: pick(r, 0, w.retention)})
	}
	if w.plan.log == "nodes" {
		w.cluster = eventlogtest.NewSharedMemory(&eventlog.MemoryOptions{Retention: pick(r, 0, w.retention)})
	}
	for i := range w.plan.spaces {
		w.spaces = append(w.spaces, w.newSpace(i))
	}
	for range 4 {
		w.guests = append(w.guests, &guest{last: map[*place]string{}, fit: map[*place]fitness{}, at: map[*place]*front{}})
	}
	return w
}

func (w *world) newSpace(i int) *space {
	s := &space{world: w, name: fmt.Sprint("s", i)}
	for n := range w.nodes {
		s.fronts = append(s.fronts, s.newFront(n))
	}
	s.log = durableobject.LogOf(s.fronts[0].halls)
	if w.cluster != nil {
		w.shared = w.cluster.Open()
		s.log = w.shared
	}
	for _, channel := range []string{"a", "b"} {
		p := &place{space: s, channel: channel, open: map[*front]int{}}
		s.places, w.places = append(s.places, p), append(w.places, p)
	}
	if s.log != nil {
		head, err := s.log.Head(w.ctx, "a")
		if err != nil {
			w.failf("head: %v", err)
		}
		s.epoch = head.Epoch
	}
	return s
}

func (s *space) newFront(n int) *front {
	w, f := s.world, &front{space: s, n: n}
	o := durableobject.Options{
		Verifier: secret, ResumeRetention: w.retention, Latest: w.latest, MaxLagBytes: w.maxLag,
		IdleTimeout: w.idle, PingInterval: w.ping, HookTimeout: w.hookTime, StallTimeout: 30 * time.Second,
	}
	if w.subject {
		o.Subject = func(p *payload) string { _, subject := readAtt(p); return subject }
	}
	if w.cluster != nil {
		f.handle = w.newNode(n)
		o.Log = f.handle
	} else if w.shared != nil {
		o.Log = w.shared
		if w.plan.log == "shared" || w.plan.spaces > 1 {
			o.Log = eventlog.Prefix(w.shared, s.name+"/")
		}
	}
	f.halls = durableobject.NewNamespace(func(_ context.Context, o *durableobject.Object[message]) (*hall, error) {
		h := &hall{Object: o, front: f, place: s.place(o.Channel())}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.halls = append(w.halls, h)
		return h, nil
	}, &o)
	durableobject.Handle(f.halls, act, (*hall).act)
	f.up = durableobject.NewHandler(f.halls, nil)
	return f
}

func (s *space) place(channel string) *place {
	for _, p := range s.places {
		if p.channel == channel {
			return p
		}
	}
	panic("no channel " + channel)
}

func (p *place) String() string { return p.name + "/" + p.channel }

func (p *place) hall(f *front) *hall {
	h, err := f.halls.Get(p.ctx, p.channel)
	if err != nil {
		p.failf("get %v: %v", p, err)
	}
	return h
}

// handle returns the object of a place, or an earlier one, which works even if it was evicted.
func (p *place) handle(r *rand.Rand) *hall {
	if p.held == nil || r.IntN(3) > 0 {
		p.held = p.hall(p.anyFront(r))
	}
	if p.held.gone.Load() {
		p.sawf("publish: by an object that was evicted")
	}
	return p.held
}

// sawf counts an occurrence, which its arguments describe.
func (w *world) sawf(format string, args ...any) { w.tally.add(fmt.Sprintf(format, args...)) }

// settle waits until nothing more can happen, while all clients but the stalled ones read, and
// checks the result.
func (w *world) settle() {
	for n, more := 0, true; more; n++ {
		if n > 100_000 {
			w.failf("there is no end to what happens")
		}
		synctest.Wait()
		w.learn()
		more = false
		for _, v := range w.visits {
			more = v.pump() || more
		}
		more = more || w.waitForFeeds()
	}
	w.mu.Lock()
	w.round++
	w.tick++
	wrong, runs := w.wrong, w.runs
	w.runs = nil
	w.mu.Unlock()
	if wrong != "" {
		w.failf("%s", wrong)
	}
	for _, run := range runs {
		run.visit.assign(run)
	}
	left := w.visits[:0]
	for _, v := range w.visits {
		v.check()
		if !v.over {
			left = append(left, v)
		}
	}
	w.visits = left
	for _, p := range w.places {
		p.settled = p.newest()
		w.mu.Lock()
		p.noisy = 0
		w.mu.Unlock()
	}
}

// advance lets time pass while the clients read.
func (w *world) advance(d time.Duration) {
	w.notef("%v pass", d)
	for d > 0 {
		slice := min(d, 9*time.Second)
		time.Sleep(slice)
		d -= slice
		w.settle()
	}
}

// end ends the history: every client reconnects and receives the events that it has missed.
func (w *world) end() {
	w.notef("the end")
	for _, v := range w.visits {
		v.stalled = false
	}
	w.mu.Lock()
	w.mood = ""
	w.mu.Unlock()
	w.advance(w.hookTime + 6*time.Second)
	for i, g := range w.guests {
		for _, p := range w.places {
			if last := g.last[p]; last != "" {
				w.leave(g)
				w.settle()
				v := w.enter(g, p, fmt.Sprint("i", i%3), nil, "u0", time.Hour)
				v.subscribe(last, true)
				w.settle()
			}
		}
	}
	for _, g := range w.guests {
		w.leave(g)
	}
	w.advance(6 * time.Second)
	for _, f := range w.fronts() {
		if n := durableobject.Joined(f.halls); n > 0 {
			w.failf("%v knows sockets in %d places, and all are gone", f, n)
		}
	}
	w.checkPosts()
	w.advance(2 * w.idle)
	for _, h := range w.halls {
		if !h.gone.Load() {
			w.failf("the object of %v is not evicted", h.place)
		}
	}
}

// close shuts everything down, even after a failure; otherwise the bubble would hang.
func (w *world) close() error {
	w.mu.Lock()
	w.ending = true
	w.mu.Unlock()
	fronts := w.fronts()
	done := make(chan error, len(fronts))
	for _, f := range fronts {
		go func() { done <- f.halls.Shutdown(w.ctx) }()
	}
	var err error
	start := time.Now()
	for range fronts {
		for waiting := true; waiting; {
			if time.Since(start) > time.Hour {
				return errors.New("it does not end")
			}
			synctest.Wait()
			for _, v := range w.all {
				v.swallow()
			}
			select {
			case e := <-done:
				waiting = false
				if e != nil {
					err = e
				}
			default:
				time.Sleep(100 * time.Millisecond)
			}
		}
	}
	for _, v := range w.all {
		v.wire.cut()
	}
	if w.shared != nil {
		err = errors.Join(err, w.shared.Close())
	}
	for _, f := range fronts {
		if f.handle != nil {
			err = errors.Join(err, f.handle.Close())
		}
	}
	return err
}

// story returns a readable description of the history.
func (w *world) story() string {
	var b strings.Builder
	for _, line := range w.trace {
		fmt.Fprintln(&b, line())
	}
	return b.String()
}

var act = rpc.Define[int, string]("act")
