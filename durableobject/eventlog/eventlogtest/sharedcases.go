package eventlogtest

import (
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

var sharedAppendCases = map[string]func(*nodes){
	"is replayed by the other handle": func(n *nodes) {
		a, b := n.two()
		b.complete("a", eventlog.Position{}, a.addN("a", 5))
	},
	"shares the counter with the other handle": func(n *nodes) {
		a, b := n.two()
		var last uint64
		for i := range 6 {
			r := []*node{a, b}[i%2].publish("a", "x")[0]
			if r.Seq <= last {
				n.t.Errorf("record %d follows record %d", r.Seq, last)
			}
			last = r.Seq
		}
	},
	"makes one chain with the other handle": func(n *nodes) {
		a, b := n.two()
		var rs []*eventlog.Record
		for i := range 6 {
			rs = append(rs, []*node{a, b}[i%2].add("a", text("x")))
		}
		chained(n.t, rs[0].Prev, rs)
		b.complete("a", eventlog.Position{}, rs)
	},
	"has the epoch of the other handle": func(n *nodes) {
		a, b := n.two()
		if x, y := a.publish("a", "x")[0], b.publish("a", "y")[0]; x.Epoch != y.Epoch || x.Epoch == "" {
			n.t.Errorf("epochs are %q and %q", x.Epoch, y.Epoch)
		}
	},
	"without deliver sets Seq and Epoch": func(n *nodes) {
		a := n.open(1)[0]
		r := a.publish("a", "x")[0]
		rs, _ := a.after("a", eventlog.Position{})
		if len(rs) != 1 || rs[0].Position() != r.Position() {
			n.t.Errorf("appended %v, replayed %v", r.Position(), seqs(rs))
		}
	},
	"keeps contents": func(n *nodes) {
		a, b := n.two()
		var rs []*eventlog.Record
		for _, record := range contents {
			rs = append(rs, a.add("a", record()))
		}
		b.complete("a", eventlog.Position{}, rs)
	},
	"keeps audiences": func(n *nodes) {
		a, b := n.two()
		var rs []*eventlog.Record
		for _, audience := range audiences {
			rs = append(rs, a.add("a", &eventlog.Record{Audience: audience()}))
		}
		b.complete("a", eventlog.Position{}, rs)
	},
	"keeps channels apart": func(n *nodes) {
		a, b := n.two()
		for _, channel := range []string{"", "x.y", "x.*", ">", "комната", "a b", "\x00\xff"} {
			r := a.add(channel, text(channel))
			b.complete(channel, eventlog.Position{}, []*eventlog.Record{r})
		}
	},
	"from three handles at once makes one chain": func(n *nodes) {
		handles := n.open(3)
		parallel(150, func(i int) {
			if err := handles[i%3].Append(n.t.Context(), "a", text(strconv.Itoa(i)), nil); err != nil {
				n.t.Error(err)
			}
		})
		rs, _ := handles[0].after("a", eventlog.Position{})
		if len(rs) != 150 {
			n.t.Fatalf("%d records of 150", len(rs))
		}
		chained(n.t, rs[0].Prev, rs)
		handles[1].complete("a", eventlog.Position{}, rs)
		handles[2].complete("a", eventlog.Position{}, rs)
	},
	"is at or before a later head of the other handle": func(n *nodes) {
		a, b := n.two()
		for range 5 {
			b.reach("a", a.publish("a", "x")[0])
		}
	},
}

var followCases = map[string]func(*nodes){
	"sees records of its own handle": func(n *nodes) {
		a := n.open(1)[0]
		f := a.follow("a")
		f.sees(a.publish("a", "1", "2", "3"))
	},
	"sees records of the other handle": func(n *nodes) {
		a, b := n.two()
		f := b.follow("a")
		f.sees(a.publish("a", "1", "2", "3"))
	},
	"sees records of a handle without a follower, and its own": func(n *nodes) {
		a, b := n.two()
		f := b.follow("a")
		rs := a.publish("a", "1")
		rs = append(rs, b.publish("a", "2")...)
		rs = append(rs, a.publish("a", "3")...)
		f.sees(rs)
	},
	"sees whole records": func(n *nodes) {
		a, b := n.two()
		f := b.follow("a")
		first := a.add("a", &eventlog.Record{
			Data: []byte("data"), Meta: []byte("meta"),
			Audience: eventlog.Audience{
				Tags: []string{"t"}, Targets: []eventlog.Recipient{}, Excludes: []eventlog.Recipient{{Subject: "s", ID: "i"}},
			},
		})
		second := a.add("a", text("x"))
		got := f.upTo(second.Seq)
		same(n.t, got, []*eventlog.Record{first, second})
	},
	"sees the same records as a replay": func(n *nodes) {
		a, b := n.two()
		f := b.follow("a")
		last := a.publish("a", "1", "2", "3")[2]
		got := f.upTo(last.Seq)
		a.complete("a", eventlog.Position{}, got)
	},
	"sees one order everywhere": func(n *nodes) {
		handles := n.open(3)
		var feeds []*recorder
		for _, h := range handles {
			feeds = append(feeds, h.follow("a"))
		}
		parallel(120, func(i int) {
			if err := handles[i%3].Append(n.t.Context(), "a", text("x"), nil); err != nil {
				n.t.Error(err)
			}
		})
		all, _ := handles[0].after("a", eventlog.Position{})
		for i, f := range feeds {
			covers(n, handles[i], f, all)
		}
	},
	"begins at the head": func(n *nodes) {
		a, b := n.two()
		old := a.publish("a", "old")[0]
		f := b.follow("a")
		if f.from.Seq < old.Seq || f.from.Epoch != old.Epoch {
			n.t.Errorf("followed from %v, the newest record is %v", f.from, old.Position())
		}
		f.sees(a.publish("a", "new"))
	},
	"begins where a replay ends": func(n *nodes) {
		a, b := n.two()
		a.publish("a", "1", "2")
		f := b.follow("a")
		later := a.publish("a", "3", "4")
		b.complete("a", f.from, f.upTo(later[1].Seq))
	},
	"begins in an empty log": func(n *nodes) {
		a, b := n.two()
		f := b.follow("a")
		r := a.publish("a", "x")
		f.sees(r)
		if got := f.records()[0]; got.Prev > f.from.Seq {
			n.t.Errorf("the first record has Prev %d, followed from %v", got.Prev, f.from)
		}
	},
	"begins in a channel that is empty": func(n *nodes) {
		a, b := n.two()
		a.publish("other", "x", "y")
		f := b.follow("a")
		f.sees(a.publish("a", "x"))
		if got := f.records()[0]; got.Prev > f.from.Seq {
			n.t.Errorf("the first record has Prev %d, followed from %v", got.Prev, f.from)
		}
	},
	"chains from its begin": func(n *nodes) {
		a, b := n.two()
		a.publish("a", "old")
		f := b.follow("a")
		last := a.publish("a", "1", "2", "3")[2]
		got := f.upTo(last.Seq)
		if got[0].Prev > f.from.Seq {
			n.t.Errorf("the first record has Prev %d, followed from %v", got[0].Prev, f.from)
		}
		chained(n.t, got[0].Prev, got)
	},
	"sees no other channel": func(n *nodes) {
		a, b := n.two()
		f := b.follow("a")
		a.publish("b", "no")
		a.publish("ab", "no")
		a.publish("", "no")
		f.sees(a.publish("a", "yes"))
	},
	"of several channels": func(n *nodes) {
		a, b := n.two()
		x, y := b.follow("x"), b.follow("y")
		var xs, ys []*eventlog.Record
		for range 5 {
			xs = append(xs, a.publish("x", "x")...)
			ys = append(ys, a.publish("y", "y")...)
		}
		x.sees(xs)
		y.sees(ys)
	},
	"of many channels": func(n *nodes) {
		a, b := n.two()
		feeds := make([]*recorder, 100)
		for i := range feeds {
			feeds[i] = b.follow(strconv.Itoa(i))
		}
		for i, f := range feeds {
			f.sees(a.publish(strconv.Itoa(i), "x"))
		}
	},
	"of a followed channel is refused": func(n *nodes) {
		a, b := n.two()
		f := a.follow("a")
		_, err := a.tryFollow("a")
		is(n.t, err, eventlog.ErrFollowed)
		g := b.follow("a")
		rs := a.publish("a", "x")
		f.sees(rs)
		g.sees(rs)
	},
	"sees nothing after stop": func(n *nodes) {
		a, b := n.two()
		f := b.follow("a")
		rs := a.publish("a", "1")
		f.sees(rs)
		f.stop()
		f.stop()
		a.publish("a", "2")
		g := b.follow("a")
		g.sees(a.publish("a", "3"))
		if got := f.records(); len(got) != 1 {
			n.t.Errorf("delivered %v after stop", seqs(got))
		}
	},
	"can be stopped while records arrive": func(n *nodes) {
		a, b := n.two()
		var writer sync.WaitGroup
		writer.Go(func() {
			for range 100 {
				if err := a.Append(n.t.Context(), "a", text("x"), nil); err != nil {
					n.t.Error(err)
				}
			}
		})
		for range 10 {
			f := b.follow("a")
			f.stop()
			before := len(f.records())
			b.head("other")
			if after := len(f.records()); after != before {
				n.t.Error("delivered after stop")
			}
		}
		writer.Wait()
	},
	"can be repeated, and a replay has the records in between": func(n *nodes) {
		a, b := n.two()
		f := b.follow("a")
		first := a.publish("a", "1")
		f.sees(first)
		f.stop()
		missed := a.publish("a", "2", "3")
		f = b.follow("a")
		if f.from.Seq < missed[1].Seq {
			n.t.Errorf("followed from %v, the newest record is %d", f.from, missed[1].Seq)
		}
		last := a.publish("a", "4")
		f.sees(last)
		rs, truncated := b.after("a", first[0].Position())
		if want := append(missed, last...); truncated || !slices.Equal(seqs(rs), seqs(want)) {
			n.t.Errorf("replayed %v, truncated %v, want %v", seqs(rs), truncated, seqs(want))
		}
	},
	"while others append misses nothing": func(n *nodes) {
		a, b := n.two()
		var writer sync.WaitGroup
		writer.Go(func() {
			for range 200 {
				if err := a.Append(n.t.Context(), "a", text("x"), nil); err != nil {
					n.t.Error(err)
				}
			}
		})
		f := b.follow("a")
		writer.Wait()
		a.publish("a", "last")
		rest, truncated := a.after("a", f.from)
		if truncated {
			n.t.Errorf("the replay from %v is truncated", f.from)
		}
		covers(n, b, f, rest)
	},
	"with an ended context is refused": func(n *nodes) {
		a := n.open(1)[0]
		_, _, err := a.shared.Follow(ended(n.t), "a", newRecorder(n.t))
		if err == nil {
			n.t.Error("followed with an ended context")
		}
		a.follow("a").sees(a.publish("a", "x"))
	},
	"of a view": func(n *nodes) {
		a, b := n.two()
		view, ok := eventlog.Prefix(b.shared, "chat/").(eventlog.Shared)
		if !ok {
			n.t.Fatal("the view of a shared log is not shared")
		}
		f := (&node{log: &log{Log: view, t: n.t}, shared: view}).follow("room")
		a.publish("room", "no")
		f.sees(a.publish("chat/room", "yes"))
		if err := view.Close(); err != nil {
			n.t.Error(err)
		}
		a.publish("chat/room", "closed")
		g := b.follow("chat/room")
		g.sees(a.publish("chat/room", "open"))
		if got := f.records(); len(got) != 1 {
			n.t.Errorf("a closed view delivered %v", seqs(got))
		}
	},
	"records are not changed later": func(n *nodes) {
		a, b := n.two()
		f := b.follow("a")
		for i := range 50 {
			a.publish("a", strconv.Itoa(i))
		}
		f.until("all", func() bool { return len(f.got) == 50 })
		for i, r := range f.records() {
			if string(r.Data) != strconv.Itoa(i) {
				n.t.Errorf("record %d has the data %q", i, r.Data)
			}
		}
	},
}

// covers checks that f sees all records from its start on, each once and in order, except
// those that it omits visibly.
func covers(n *nodes, h *node, f *recorder, all []*eventlog.Record) {
	n.t.Helper()
	if len(all) == 0 {
		return
	}
	got := f.upTo(all[len(all)-1].Seq)
	last := f.from.Seq
	for _, r := range got {
		if r.Seq <= last {
			n.t.Errorf("record %d was delivered after record %d", r.Seq, last)
		}
		if r.Prev <= last {
			last = r.Seq
			continue
		}
		rs, truncated := h.after("a", eventlog.Position{Epoch: r.Epoch, Seq: last})
		if truncated || len(rs) == 0 {
			n.t.Errorf("records between %d and %d were omitted, and are not in the log", last, r.Seq)
		}
		last = r.Seq
	}
}

// soon is longer than a log may take to deliver a record that its feed has dropped.
const soon = 10 * time.Second
