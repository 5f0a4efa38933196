package eventlogtest

import (
	"context"
	"slices"
	"sync"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// newestCases read a channel from its end, with Newest or, for other logs,
// eventlog.ReadNewest. Other groups also check that reading backwards returns the same
// records as reading forwards.
var newestCases = map[string]func(*log){
	"of an empty log": func(l *log) {
		l.newest("a", eventlog.Position{}, nil)
	},
	"of a channel without records": func(l *log) {
		rs := l.addN("b", 3)
		l.newest("a", eventlog.Position{}, nil)
		l.newest("a", rs[1].Position(), nil)
	},
	"of one record": func(l *log) {
		l.newest("a", eventlog.Position{}, l.addN("a", 1))
	},
	"yields the same records each time": func(l *log) {
		rs := l.addN("a", 5)
		l.newest("a", eventlog.Position{}, rs)
		l.newest("a", eventlog.Position{}, rs)
	},
	"before each position": func(l *log) {
		rs := l.addN("a", 5)
		for i, r := range rs {
			l.newest("a", r.Position(), rs[:i])
		}
	},
	"before the position of another channel": func(l *log) {
		a := l.addN("a", 2)
		b := l.addN("b", 2)
		a = append(a, l.addN("a", 2)...)
		l.newest("a", b[0].Position(), a[:2])
		l.newest("b", a[3].Position(), b)
		l.newest("b", a[1].Position(), nil)
	},
	"before the head omits the newest": func(l *log) {
		rs := l.addN("a", 3)
		if p := l.head("a"); p.Seq == rs[2].Seq {
			l.newest("a", p, rs[:2])
		}
	},
	"before a position that is unknown is truncated": func(l *log) {
		rs := l.addN("a", 3)
		l.newestTruncated("a", eventlog.PositionOf("nonsense"), rs)
		l.newestTruncated("a", eventlog.Position{Epoch: "other", Seq: rs[1].Seq}, rs)
	},
	"before a position ahead of the log is truncated": func(l *log) {
		rs := l.addN("a", 3)
		l.newestTruncated("a", l.from(rs[2].Seq+100), rs)
	},
	"yields a long history in order": func(l *log) {
		rs := l.addMany("a", 3000)
		l.newest("a", eventlog.Position{}, rs)
		for _, i := range []int{0, 1, 63, 64, 255, 256, 1023, 1500, 2999} {
			l.newest("a", rs[i].Position(), rs[:i])
		}
	},
	"yields a long history between other channels": func(l *log) {
		var a, b []*eventlog.Record
		for range 5 {
			a = append(a, l.addMany("a", 100)...)
			b = append(b, l.addMany("b", 150)...)
		}
		l.newest("a", eventlog.Position{}, a)
		l.newest("b", eventlog.Position{}, b)
		l.newest("a", b[299].Position(), a[:200])
	},
	"yields the old records of a quiet channel": func(l *log) {
		a := l.addN("a", 2)
		l.addMany("b", 2000)
		a = append(a, l.addN("a", 1)...)
		b := l.addMany("b", 2000)
		l.newest("a", eventlog.Position{}, a)
		l.newest("a", b[1000].Position(), a)
		l.newest("a", a[2].Position(), a[:2])
	},
	"may stop early and continue there": func(l *log) {
		rs := l.addN("a", 6)
		var got []*eventlog.Record
		var p eventlog.Position
		for range rs {
			for r, err := range l.backwards("a", p) {
				if err != nil {
					l.t.Fatal(err)
				}
				got, p = append(got, r.Clone()), r.Position()
				break
			}
		}
		slices.Reverse(got)
		same(l.t, got, rs)
	},
	"that is never read blocks nothing": func(l *log) {
		rs := l.addN("a", 3)
		l.backwards("a", eventlog.Position{})
		l.newest("a", eventlog.Position{}, append(rs, l.add("a", text("x"))))
	},
	"lets its reader use the log": func(l *log) {
		rs := l.addN("a", 3)
		var got []*eventlog.Record
		for r, err := range l.backwards("a", eventlog.Position{}) {
			if err != nil {
				l.t.Fatal(err)
			}
			l.newest("a", r.Position(), rs[:2-len(got)])
			l.head("a")
			l.add("b", text("x"))
			l.trim(rs[0].Time)
			got = append(got, r.Clone())
		}
		slices.Reverse(got)
		same(l.t, got, rs)
	},
	"lets its reader append": func(l *log) {
		rs := l.addN("a", 3)
		var got []*eventlog.Record
		for r, err := range l.backwards("a", eventlog.Position{}) {
			if err != nil {
				l.t.Fatal(err)
			}
			l.add("a", text("late"))
			got = append(got, r.Clone())
		}
		slices.Reverse(got)
		same(l.t, got, rs)
	},
	"can run during appends": func(l *log) {
		rs := l.addN("a", 50)
		var running sync.WaitGroup
		defer running.Wait()
		running.Go(func() {
			for range 50 {
				if err := l.Append(context.Background(), "a", text("late"), ignore); err != nil {
					l.t.Errorf("Append: %v", err)
				}
			}
		})
		for range 10 {
			got := l.collect(l.backwards("a", eventlog.Position{}))
			slices.Reverse(got)
			same(l.t, got[:min(50, len(got))], rs)
			for i, r := range got[1:] {
				if r.Prev != got[i].Seq {
					l.t.Errorf("record %d with Prev %d follows record %d", r.Seq, r.Prev, got[i].Seq)
				}
			}
		}
	},
	"with an ended context": func(l *log) {
		l.addN("a", 2)
		_, err := eventlog.ReadNewest(ended(l.t), l.Log, "a", eventlog.Position{})
		is(l.t, err, context.Canceled)
	},
	"with a context that ends before it is read": func(l *log) {
		l.addN("a", 3)
		ctx, cancel := context.WithCancel(l.t.Context())
		replay, err := eventlog.ReadNewest(ctx, l.Log, "a", eventlog.Position{})
		if err != nil {
			l.t.Fatal(err)
		}
		cancel()
		rs, err := drain(replay.Records)
		is(l.t, err, context.Canceled)
		if len(rs) > 0 {
			l.t.Errorf("got the records %v", seqs(rs))
		}
	},
	"of a closed log": func(l *log) {
		l.addN("a", 3)
		replay, err := eventlog.ReadNewest(l.t.Context(), l.Log, "a", eventlog.Position{})
		if err != nil {
			l.t.Fatal(err)
		}
		l.shut()
		_, err = drain(replay.Records)
		is(l.t, err, eventlog.ErrClosed)
		_, err = eventlog.ReadNewest(l.t.Context(), l.Log, "a", eventlog.Position{})
		is(l.t, err, eventlog.ErrClosed)
	},
	"ends where earlier records were dropped meanwhile": func(l *log) {
		all := l.addMany("a", 1000)
		cut := l.addLater("a")
		all = append(all, cut)
		var got []*eventlog.Record
		for r, err := range l.backwards("a", eventlog.Position{}) {
			if err != nil {
				l.t.Fatal(err)
			}
			if len(got) == 0 {
				l.trim(cut.Time)
			}
			got = append(got, r.Clone())
		}
		slices.Reverse(got)
		same(l.t, got, all[len(all)-len(got):])
	},
	"before dropped records is empty": func(l *log) {
		rs := l.addN("a", 3)
		cut := l.addLater("a")
		l.trim(cut.Time)
		left, _ := l.after("a", eventlog.Position{})
		l.newest("a", left[0].Position(), nil)
		l.newest("a", eventlog.Position{}, left)
		if len(left) == 1 {
			l.newest("a", rs[1].Position(), nil)
		}
	},
}

// backwards returns the records of channel before p, which must be a position that the log
// knows.
func (l *log) backwards(channel string, p eventlog.Position) func(func(*eventlog.Record, error) bool) {
	l.t.Helper()
	replay, err := eventlog.ReadNewest(l.t.Context(), l.Log, channel, p)
	if err != nil || replay.Truncated {
		l.t.Fatalf("the newest of %q before %v: truncated %v, %v", channel, p, replay.Truncated, err)
	}
	return replay.Records
}

// newest checks that the records of channel before p are want, read from the last to the
// first, and that the log knows p.
func (l *log) newest(channel string, p eventlog.Position, want []*eventlog.Record) {
	l.t.Helper()
	l.readsBackwards(channel, p, want, false)
}

// newestTruncated checks that the log does not know p, and that want are all records of
// channel.
func (l *log) newestTruncated(channel string, p eventlog.Position, want []*eventlog.Record) {
	l.t.Helper()
	l.readsBackwards(channel, p, want, true)
}

func (l *log) readsBackwards(channel string, p eventlog.Position, want []*eventlog.Record, truncated bool) {
	l.t.Helper()
	replay, err := eventlog.ReadNewest(l.t.Context(), l.Log, channel, p)
	if err != nil {
		l.t.Fatalf("the newest of %q before %v: %v", channel, p, err)
	}
	if replay.Truncated != truncated {
		l.t.Errorf("the newest of %q before %v: Truncated is %v", channel, p, replay.Truncated)
	}
	got := l.collect(replay.Records)
	slices.Reverse(got)
	l.sameUnlessCoarse(got, want)
}

// sharedNewestCases read a shared log from its end, with each handle.
var sharedNewestCases = map[string]func(*nodes){
	"reads records of other handles": func(n *nodes) {
		a, b := n.two()
		rs := append(a.addN("a", 3), b.addN("a", 3)...)
		for _, node := range []*node{a, b} {
			node.newest("a", eventlog.Position{}, rs)
			node.newest("a", rs[4].Position(), rs[:4])
		}
	},
	"reads records that a follower has received": func(n *nodes) {
		a, b := n.two()
		f := a.follow("a")
		rs := b.addN("a", 3)
		f.upTo(rs[2].Seq)
		a.newest("a", eventlog.Position{}, rs)
		rs = append(rs, a.addN("a", 2)...)
		a.newest("a", eventlog.Position{}, rs)
		a.newest("a", rs[1].Position(), rs[:1])
	},
	"continues where the memory of a follower ends": func(n *nodes) {
		a, b := n.two()
		rs := b.addN("a", 5)
		f := a.follow("a")
		rs = append(rs, b.addN("a", 5)...)
		f.upTo(rs[9].Seq)
		a.newest("a", eventlog.Position{}, rs)
		for i, r := range rs {
			a.newest("a", r.Position(), rs[:i])
		}
	},
}
