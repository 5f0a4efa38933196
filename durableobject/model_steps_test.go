package durableobject_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// step does one or more random things at the same time, and waits until everything has settled.
func (w *world) step(i int) {
	r := rand.New(rand.NewPCG(w.seed, uint64(i)+1))
	n := 1
	if r.IntN(4) == 0 {
		n = 2 + r.IntN(4)
	}
	w.solo = n == 1
	w.asking = nil
	for range n {
		w.act(r)
	}
	w.settle()
	for _, post := range w.asking {
		post.checkAsked()
	}
}

func (w *world) act(r *rand.Rand) {
	v := w.anyVisit(r)
	if v == nil && r.IntN(4) > 0 {
		w.someoneEnters(r)
		return
	}
	switch k := r.IntN(100); {
	case k < 12:
		w.someoneEnters(r)
	case k < 45 || v == nil:
		w.publish(r, w.anyPlace(r), 1)
	case k < 48:
		w.publish(r, w.anyPlace(r), pick(r, 5, 15, 30, 30, 100))
	case k < 51:
		w.overtake(r, v)
	case k < 65:
		w.onVisit(r, v)
	case k < 80:
		w.subscribe(r, v)
	case k < 84:
		w.leave(v.guest)
	case k < 86 && w.nodes > 1:
		w.loseFeeds(r)
	case k < 89:
		w.readPast(r, v)
	case w.solo:
		w.advance(pick(r, time.Millisecond, time.Second, 9*time.Second, w.idle+time.Second, w.retention/3, w.retention+1, w.retention*3/2))
	}
}

// overtake publishes more than a visit can read.
func (w *world) overtake(r *rand.Rand, v *visit) {
	if !v.stalled {
		v.stall(true)
	}
	w.publish(r, v.place, w.maxLag/100)
}

// onVisit does a random thing with a visit, other than subscribing.
func (w *world) onVisit(r *rand.Rand, v *visit) {
	if v.stalled && r.IntN(3) == 0 {
		v.stall(false)
		return
	}
	switch r.IntN(10) {
	case 0, 1:
		v.act(w.randomPost(r, v.place))
	case 2:
		v.act(w.newPost(v.place))
	case 3:
		v.updateToken(r)
	case 4, 5:
		if !v.stalled {
			v.stall(true)
		}
	case 6, 7:
		if v.stalled {
			v.stall(false)
		}
	case 8:
		if v.stalled {
			w.notef("v%d takes a sip", v.n)
			w.sawf("a sip")
			v.buf, _ = v.wire.take(v.buf, r.IntN(500))
			return
		}
		v.bye()
	case 9:
		if list := v.open(); len(list) > 0 && r.IntN(2) == 0 {
			v.abort(pick(r, list...))
			return
		}
		w.notef("v%d is kicked out", v.n)
		w.sawf("a kick")
		v.kicked = true
		v.ws.Close(4000, "kicked")
	}
}

func (w *world) anyVisit(r *rand.Rand) *visit {
	var list []*visit
	for _, g := range w.guests {
		if g.visit != nil {
			list = append(list, g.visit)
		}
	}
	if len(list) == 0 {
		return nil
	}
	return pick(r, list...)
}

// someoneEnters connects a guest, usually to the place where it was before.
func (w *world) someoneEnters(r *rand.Rand) {
	g := pick(r, w.guests...)
	w.leave(g)
	p := g.home
	if p == nil || r.IntN(6) == 0 {
		p = w.anyPlace(r)
	}
	if g.home = p; g.tags == nil || r.IntN(3) == 0 {
		g.tags = either(r.IntN(5) == 0, nil, append([]string{}, subset(r, "x", "y", "z")...))
		g.id, g.subject = fmt.Sprint("i", r.IntN(3)), fmt.Sprint("u", r.IntN(2))
	}
	v := w.enter(g, p, g.id, g.tags, g.subject, pick(r, time.Hour, time.Hour, time.Hour, 5*time.Second, time.Minute))
	if r.IntN(6) > 0 {
		w.subscribe(r, v)
	}
}

func (w *world) subscribe(r *rand.Rand, v *visit) {
	mood := pick(r, "", "", "", "send", "send", "send", "publish", "publish send", "nap", "nap send", "oversleep send", "fail", "panic")
	w.mu.Lock()
	w.mood = mood
	w.mu.Unlock()
	w.notef("the mood is %q", mood)
	w.sawf("subscribe: the mood is %q", mood)
	last, kind := v.guest.last[v.place], "where it was"
	switch r.IntN(10) {
	case 0, 1:
		last, kind = "", "without an id"
	case 2:
		last, kind = "0", "from the beginning"
	case 3, 4:
		if len(w.given) > 0 {
			last, kind = pick(r, w.given...), "from anybody's position"
		}
	case 5:
		kind = "from a position that is none"
		e := v.place.epoch
		last = pick(r, "abc", "12", "-1", "zzzzzzzzzzzzz-3", e+"-", e+"-0", e+"-1", e+"-01", e+"-999999", e+"-18446744073709551616", e)
	}
	w.sawf("subscribe: %s", either(last == "", "without an id", kind))
	v.subscribe(last, r.IntN(3) > 0)
	if r.IntN(12) == 0 { // and at once again, or not at all
		if r.IntN(2) == 0 {
			w.sawf("subscribe: twice at once")
			v.subscribe(last, r.IntN(3) > 0)
		} else {
			v.abort(v.readings[len(v.readings)-1])
		}
	}
}

// anyPlace returns a place, usually the first one, so that much happens there.
func (w *world) anyPlace(r *rand.Rand) *place {
	return pick(r, w.places[0], w.places[0], pick(r, w.places...))
}

// publish publishes n events, on the driver's goroutine or on another one.
func (w *world) publish(r *rand.Rand, p *place, n int) {
	if n > 1 && w.pad > 1000 {
		n = 5
	}
	h := p.handle(r)
	beside := !w.solo && n == 1 && r.IntN(2) == 0
	w.sawf("publish: %s", either(beside, "beside others", either(n > 1, "a burst", "one")))
	for i := range n {
		post := w.randomPost(r, p)
		w.notef("publish %v", post)
		post.solo = w.solo
		w.asking = append(w.asking, post)
		if beside {
			go func() { _ = post.publish(w.ctx, h) }() // publish looks at the error
			continue
		}
		_ = post.publish(w.ctx, h)
		if w.solo {
			w.mu.Lock()
			w.tick++
			w.mu.Unlock()
		}
		if i%3 == 2 {
			w.learn()
		}
	}
}

// open returns the subscriptions that have not ended.
func (v *visit) open() (list []*reading) {
	for _, r := range v.readings {
		if !r.ended {
			list = append(list, r)
		}
	}
	return list
}

// checkAsked checks that the predicates were called for the connected clients.
func (n *post) checkAsked() {
	w := n.place.world
	if n.asks == 0 || n.refused != nil {
		return
	}
	times := map[*visit]int{}
	for _, v := range n.asked {
		if times[v]++; times[v] > n.asks {
			w.failf("%v: asked %d times about v%d", n, times[v], v.n)
		}
		if v.place != n.place || v.over && v.round < w.round-1 {
			w.failf("%v: asked about v%d, which is not there", n, v.n)
		}
	}
	if !n.solo {
		return
	}
	for _, v := range w.visits {
		tagged := n.withoutRecipients().includes(v)
		if asked := slices.Contains(n.asked, v); v.place == n.place && !v.lags && !v.gone && asked != tagged {
			w.failf("%v: asked about v%d: %v", n, v.n, asked)
		}
	}
}

// withoutRecipients returns the post as if it were limited only by tags.
func (n *post) withoutRecipients() *post { return &post{place: n.place, tags: n.tags} }
