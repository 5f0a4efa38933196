package eventlogtest

import (
	"strconv"
	"sync"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

var sharedResumeCases = map[string]func(*nodes){
	"from an id of the other handle is complete": func(n *nodes) {
		a, b := n.two()
		rs := a.addN("a", 4)
		for i, r := range rs {
			b.complete("a", r.Position(), rs[i+1:])
		}
	},
	"from the newest id of the other handle is complete at once": func(n *nodes) {
		a, b := n.two()
		b.follow("a")
		for range 20 {
			b.complete("a", a.publish("a", "x")[0].Position(), nil)
		}
	},
	"from an id that the other handle has followed is complete": func(n *nodes) {
		a, b := n.two()
		f := b.follow("a")
		for range 20 {
			p := a.publish("a", "x")[0]
			got := f.upTo(p.Seq)
			a.complete("a", got[len(got)-1].Position(), nil)
		}
	},
	"beyond the log's head is truncated at each handle": func(n *nodes) {
		a, b := n.two()
		rs := a.addN("a", 2)
		p := rs[1].Position()
		p.Seq++
		for _, h := range []*node{a, b} {
			h.follow("a")
			h.truncated("a", p, rs)
		}
	},
	"of another epoch is truncated at each handle": func(n *nodes) {
		a, b := n.two()
		rs := a.addN("a", 2)
		for _, h := range []*node{a, b} {
			h.truncated("a", eventlog.Position{Epoch: eventlog.NewEpoch(), Seq: rs[0].Seq}, rs)
		}
	},
	"from a head of the other handle is complete": func(n *nodes) {
		a, b := n.two()
		a.follow("a")
		a.addN("a", 2)
		p := a.head("a")
		b.complete("a", p, nil)
		b.complete("a", p, b.addN("a", 2))
	},
	"from a head misses nothing that is followed later": func(n *nodes) {
		a, b := n.two()
		f := a.follow("a")
		for range 20 {
			b.publish("a", "x")
			p := a.head("a")
			seen := len(f.records())
			rest, truncated := b.after("a", p)
			if truncated {
				n.t.Fatalf("the replay from the head %v is truncated", p)
			}
			all, _ := b.after("a", eventlog.Position{})
			if covered := len(all) - len(rest); covered > seen {
				n.t.Errorf("%[2]d records are up to the head %[1]v, and %[3]d were delivered before", p, covered, seen)
			}
		}
	},
	"a head is at or after the delivered records": func(n *nodes) {
		a, b := n.two()
		f := a.follow("a")
		for range 10 {
			f.upTo(b.publish("a", "x")[0].Seq)
			got := f.records()
			a.reach("a", got[len(got)-1])
		}
	},
	"a new handle has all retained records": func(n *nodes) {
		a := n.open(1)[0]
		rs := a.addN("a", 3)
		c := n.open(1)[0]
		c.complete("a", eventlog.Position{}, rs)
		c.complete("a", rs[0].Position(), rs[1:])
		c.reach("a", rs[2])
	},
	"a new handle follows from the head": func(n *nodes) {
		a := n.open(1)[0]
		a.addN("a", 3)
		c := n.open(1)[0]
		f := c.follow("a")
		f.sees(a.publish("a", "new"))
	},
	"a reader that lags sees no hole": func(n *nodes) {
		a, b := n.two()
		a.addMany("a", 300)
		replay, err := b.After(n.t.Context(), "a", eventlog.Position{})
		if err != nil {
			n.t.Fatal(err)
		}
		var got []*eventlog.Record
		for r, err := range replay.Records {
			if err != nil {
				n.t.Fatal(err)
			}
			got = append(got, r.Clone())
			if len(got)%100 == 0 {
				a.publish("a", "more")
			}
		}
		if len(got) < 300 {
			n.t.Errorf("%d records of 300", len(got))
		}
		chained(n.t, got[0].Prev, got)
	},
	"Trim drops nothing": func(n *nodes) {
		a, b := n.two()
		rs := a.addN("a", 3)
		a.trim(time.Now().Add(time.Hour))
		b.complete("a", eventlog.Position{}, rs)
	},
}

var sharedCloseCases = map[string]func(*nodes){
	"leaves the other handle open": func(n *nodes) {
		a, b := n.two()
		rs := a.addN("a", 2)
		a.shut()
		b.complete("a", eventlog.Position{}, rs)
		chained(n.t, rs[1].Seq, []*eventlog.Record{b.add("a", text("x"))})
	},
	"ends feeds": func(n *nodes) {
		a, b := n.two()
		f := b.follow("a")
		f.sees(a.publish("a", "x"))
		b.shut()
		a.publish("a", "y")
		f.stop()
		if got := f.records(); len(got) != 1 {
			n.t.Errorf("a closed handle delivered %v", seqs(got))
		}
	},
	"while records arrive ends feeds": func(n *nodes) {
		a, b := n.two()
		f := b.follow("a")
		var writer sync.WaitGroup
		writer.Go(func() {
			for range 100 {
				if err := a.Append(n.t.Context(), "a", text("x"), nil); err != nil {
					n.t.Error(err)
				}
			}
		})
		b.shut()
		before := len(f.records())
		writer.Wait()
		if after := len(f.records()); after != before {
			n.t.Errorf("%d records were delivered by a closed handle", after-before)
		}
	},
	"then Follow": func(n *nodes) {
		a := n.open(1)[0]
		a.shut()
		_, err := a.tryFollow("a")
		is(n.t, err, eventlog.ErrClosed)
	},
}

var dropCases = map[string]func(*nodes){
	"a dropped record shows in the next Prev": func(n *nodes) {
		a, b := n.two()
		f := b.follow("a")
		first := a.publish("a", "1")[0]
		f.upTo(first.Seq)
		n.Drop(b.shared, true)
		lost := a.publish("a", "2")[0]
		n.Drop(b.shared, false)
		last := a.publish("a", "3")[0]
		got := f.upTo(last.Seq)
		if len(got) == 2 && got[1].Prev < lost.Seq {
			n.t.Errorf("record %d has Prev %d, and record %d was dropped", got[1].Seq, got[1].Prev, lost.Seq)
		}
		covers(n, b, f, append([]*eventlog.Record{first, lost}, last))
	},
	"the last record is delivered later": func(n *nodes) {
		a, b := n.two()
		f := b.follow("a")
		f.upTo(a.publish("a", "1")[0].Seq)
		n.Drop(b.shared, true)
		lost := a.publish("a", "2", "3", "4")
		n.Drop(b.shared, false)
		start := time.Now()
		f.upTo(lost[2].Seq)
		if late := time.Since(start); late > soon {
			n.t.Errorf("it took %v", late)
		}
		covers(n, b, f, lost)
	},
	"the first record is delivered later": func(n *nodes) {
		a, b := n.two()
		f := b.follow("a")
		n.Drop(b.shared, true)
		lost := a.publish("a", "1")
		n.Drop(b.shared, false)
		f.upTo(lost[0].Seq)
		covers(n, b, f, lost)
	},
	"a dropped record is in the log": func(n *nodes) {
		a, b := n.two()
		b.follow("a")
		n.Drop(b.shared, true)
		rs := a.addN("a", 5)
		b.complete("a", eventlog.Position{}, rs)
		b.complete("a", rs[2].Position(), rs[3:])
		n.Drop(b.shared, false)
	},
	"a head is before a dropped record": func(n *nodes) {
		a, b := n.two()
		f := b.follow("a")
		f.upTo(a.publish("a", "1")[0].Seq)
		n.Drop(b.shared, true)
		for range 5 {
			a.publish("a", "x")
			p := b.head("a")
			seen := f.records()
			if newest := seen[len(seen)-1].Seq; p.Seq > newest {
				rs, _ := a.after("a", eventlog.Position{Epoch: p.Epoch, Seq: newest})
				for _, r := range rs {
					if r.Seq <= p.Seq {
						n.t.Errorf("the head %v is not before record %d, which was dropped", p, r.Seq)
					}
				}
			}
		}
		n.Drop(b.shared, false)
	},
	"of one handle does not affect another": func(n *nodes) {
		a, b := n.two()
		f, g := a.follow("a"), b.follow("a")
		n.Drop(b.shared, true)
		rs := a.publish("a", "1", "2")
		f.sees(rs)
		n.Drop(b.shared, false)
		g.upTo(rs[1].Seq)
	},
	"at random misses nothing in the end": func(n *nodes) {
		a, b := n.two()
		f := b.follow("a")
		for i := range 40 {
			n.Drop(b.shared, i%3 == 1)
			a.publish("a", strconv.Itoa(i))
		}
		n.Drop(b.shared, false)
		all, _ := a.after("a", eventlog.Position{})
		covers(n, b, f, all)
	},
}

var replaceCases = map[string]func(*nodes){
	"ends feeds": func(n *nodes) {
		a, b := n.two()
		f, g := a.follow("a"), b.follow("a")
		rs := a.publish("a", "x")
		f.sees(rs)
		g.sees(rs)
		n.Replace()
		_, _ = f.gone(), g.gone()
	},
	"ends feeds of quiet channels": func(n *nodes) {
		a := n.open(1)[0]
		a.publish("other", "x")
		f := a.follow("a")
		n.Replace()
		_ = f.gone()
	},
	"truncates old positions": func(n *nodes) {
		a, b := n.two()
		old := a.addN("a", 3)
		p := a.head("a")
		n.Replace()
		for _, h := range []*node{a, b} {
			h.truncated("a", old[0].Position(), nil)
			h.truncated("a", old[2].Position(), nil)
			h.truncated("a", p, nil)
		}
		rs := b.addN("a", 5)
		a.truncated("a", old[0].Position(), rs)
		a.truncated("a", old[2].Position(), rs)
	},
	"uses no id again": func(n *nodes) {
		a := n.open(1)[0]
		ids := map[eventlog.Position]bool{}
		for range 3 {
			for _, r := range a.publish("a", "x", "y", "z") {
				if ids[r.Position()] {
					n.t.Errorf("%v was used twice", r.Position())
				}
				ids[r.Position()] = true
			}
			n.Replace()
		}
	},
	"permits following channels again": func(n *nodes) {
		a, b := n.two()
		f := b.follow("a")
		old := a.publish("a", "old")
		f.sees(old)
		n.Replace()
		_ = f.gone()
		f.stop()
		g := b.follow("a")
		if g.from.Epoch == old[0].Epoch {
			n.t.Error("the epoch is the same")
		}
		g.sees(a.publish("a", "new"))
	},
	"does not affect a stopped feed": func(n *nodes) {
		a := n.open(1)[0]
		f := a.follow("a")
		a.publish("a", "x")
		f.stop()
		n.Replace()
		g := a.follow("a")
		g.sees(a.publish("a", "y"))
		f.mu.Lock()
		defer f.mu.Unlock()
		if len(f.lost) > 0 {
			n.t.Error("Lost was called after stop")
		}
	},
}

var cutCases = map[string]func(*nodes){
	"makes calls unavailable": func(n *nodes) {
		a, b := n.two()
		a.addN("a", 2)
		n.Cut(b.shared, true)
		_, err := b.shared.After(n.t.Context(), "a", eventlog.Position{})
		is(n.t, err, eventlog.ErrUnavailable)
		_, err = b.shared.Head(n.t.Context(), "a")
		is(n.t, err, eventlog.ErrUnavailable)
		_, _, err = b.shared.Follow(n.t.Context(), "a", newRecorder(n.t))
		is(n.t, err, eventlog.ErrUnavailable)
		n.Cut(b.shared, false)
		b.addN("a", 2)
	},
	"misses nothing after it is connected again": func(n *nodes) {
		a, b := n.two()
		f := b.follow("a")
		f.upTo(a.publish("a", "1")[0].Seq)
		n.Cut(b.shared, true)
		lost := a.publish("a", "2", "3")
		n.Cut(b.shared, false)
		f.upTo(lost[1].Seq)
		covers(n, b, f, lost)
	},
	"of one handle does not affect another": func(n *nodes) {
		a, b := n.two()
		f := a.follow("a")
		n.Cut(b.shared, true)
		f.sees(a.publish("a", "1", "2"))
		n.Cut(b.shared, false)
	},
}
