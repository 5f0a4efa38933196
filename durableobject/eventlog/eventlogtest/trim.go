package eventlogtest

import (
	"slices"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// trimCases are for any store: they read the records that are left and check that positions
// are truncated accordingly.
var trimCases = map[string]func(*log){
	"of an empty log": func(l *log) {
		l.trim(time.Now().Add(time.Hour))
		if p := l.head("a"); p.Seq != 0 {
			l.t.Errorf("head is %v", p)
		}
		l.complete("a", eventlog.Position{}, l.addN("a", 2))
	},
	"before the first record drops nothing": func(l *log) {
		rs := l.addN("a", 3)
		l.trim(rs[0].Time)
		l.trim(rs[0].Time.AddDate(-1, 0, 0))
		l.trim(time.Time{})
		l.complete("a", eventlog.Position{}, rs)
	},
	"never drops younger records": func(l *log) {
		l.addN("a", 3)
		young := l.addLater("a")
		l.addN("a", 3)
		l.trim(young.Time)
		rs, _ := l.after("a", eventlog.Position{})
		if !slices.Contains(seqs(rs), young.Seq) {
			l.t.Errorf("record %d is not older than the cut and was dropped; left: %v", young.Seq, seqs(rs))
		}
	},
	"never drops younger records of other channels": func(l *log) {
		l.addN("a", 3)
		young := []*eventlog.Record{l.addLater("b")}
		l.trim(young[0].Time)
		rs, _ := l.after("b", eventlog.Position{})
		same(l.t, rs, young)
	},
	"drops the oldest first": func(l *log) {
		all := l.addN("a", 6)
		cut := l.addLater("a")
		all = append(all, cut)
		l.trim(cut.Time)
		left, _ := l.after("a", eventlog.Position{})
		same(l.t, left, all[len(all)-len(left):])
	},
	"truncates positions before dropped records": func(l *log) {
		all := l.addN("a", 6)
		cut := l.addLater("a")
		all = append(all, cut)
		l.trim(cut.Time)
		l.truthful("a", all)
	},
	"of everything truncates the positions before": func(l *log) {
		all := l.addN("a", 6)
		l.trimAll(all[5])
		l.truthful("a", all)
	},
	"of everything leaves the last id complete": func(l *log) {
		all := l.addN("a", 3)
		l.trimAll(all[2])
		l.complete("a", all[2].Position(), nil)
		l.complete("a", all[2].Position(), l.addN("a", 2))
	},
	"of everything leaves the head": func(l *log) {
		all := l.addN("a", 3)
		p := l.head("a")
		l.trimAll(all[2])
		if got := l.head("a"); got.Seq < p.Seq {
			l.t.Errorf("head went from %v to %v", p, got)
		}
		l.reach("a", all[2])
		l.complete("a", l.head("a"), nil)
	},
	"of everything uses no Seq again": func(l *log) {
		all := l.addN("a", 3)
		l.trimAll(all[2])
		r := l.add("a", text("x"))
		if r.Seq <= all[2].Seq {
			l.t.Errorf("record %d follows record %d", r.Seq, all[2].Seq)
		}
	},
	"of everything keeps Prev": func(l *log) {
		all := l.addN("a", 3)
		l.trimAll(all[2])
		r := l.add("a", text("x"))
		if r.Prev < all[2].Seq || r.Prev >= r.Seq {
			l.t.Errorf("record %d has Prev %d after record %d", r.Seq, r.Prev, all[2].Seq)
		}
		chained(l.t, r.Seq, []*eventlog.Record{l.add("a", text("x"))})
	},
	"of everything keeps positions ahead truncated": func(l *log) {
		all := l.addN("a", 3)
		l.trimAll(all[2])
		if _, cut := l.after("a", l.from(all[2].Seq+1)); !cut {
			l.t.Error("a position ahead of the log is complete")
		}
	},
	"of everything leaves zero complete": func(l *log) {
		all := l.addN("a", 3)
		l.trimAll(all[2])
		for _, channel := range []string{"a", "new"} {
			if _, truncated := l.after(channel, eventlog.PositionOf("0")); truncated {
				l.t.Errorf("what is retained of %q is truncated", channel)
			}
		}
		l.complete("new", eventlog.Position{}, l.addN("new", 2))
	},
	"again and again": func(l *log) {
		var all []*eventlog.Record
		for range 5 {
			all = append(all, l.addN("a", 3)...)
			cut := l.addLater("a")
			all = append(all, cut)
			l.trim(cut.Time)
			l.truthful("a", all)
		}
	},
	"of idle channels": func(l *log) {
		a, b := l.addN("a", 3), l.addN("b", 3)
		cut := l.addLater("c")
		l.trim(cut.Time)
		l.truthful("a", a)
		l.truthful("b", b)
		l.complete("c", b[2].Position(), []*eventlog.Record{cut})
	},
	"of one channel's records leaves the other complete": func(l *log) {
		old := l.addN("a", 3)
		first := l.addLater("b")
		rest := append([]*eventlog.Record{first}, l.addN("b", 2)...)
		l.trim(first.Time)
		l.complete("b", old[2].Position(), rest)
		l.complete("b", first.Position(), rest[1:])
	},
	"of a long history": func(l *log) {
		all := l.addMany("a", 1000)
		cut := l.addLater("a")
		all = append(all, cut)
		all = append(all, l.addMany("a", 500)...)
		l.trim(cut.Time)
		left, _ := l.after("a", eventlog.Position{})
		same(l.t, left, all[len(all)-len(left):])
		if len(left) < 501 {
			l.t.Errorf("%d records are left", len(left))
		}
		l.complete("a", cut.Position(), all[1001:])
	},
}

// exactTrimCases are for stores that drop all records that are old enough.
var exactTrimCases = map[string]func(*log){
	"drops all older records": func(l *log) {
		l.addN("a", 5)
		cut := l.addLater("a")
		l.trim(cut.Time)
		l.retains("a", []*eventlog.Record{cut})
	},
	"drops everything": func(l *log) {
		rs := l.addN("a", 5)
		l.trimAll(rs[4])
		l.retains("a", nil)
		l.truncated("a", rs[3].Position(), nil)
		l.complete("a", rs[4].Position(), nil)
	},
	"drops everything again": func(l *log) {
		for range 3 {
			rs := l.addN("a", 2)
			l.trimAll(rs[1])
			l.truncated("a", rs[0].Position(), nil)
			l.complete("a", rs[1].Position(), nil)
		}
	},
	"drops a long history": func(l *log) {
		rs := l.addMany("a", 5000)
		l.trimAll(rs[4999])
		l.retains("a", nil)
		l.complete("a", rs[4999].Position(), nil)
	},
	"drops older records of idle channels": func(l *log) {
		a := l.addN("a", 2)
		l.addN("b", 2)
		cut := l.addLater("c")
		l.trim(cut.Time)
		l.truncated("a", a[0].Position(), nil)
		l.retains("b", nil)
		l.complete("c", cut.Position(), nil)
	},
	"with a position between two dropped records": func(l *log) {
		l.add("a", text("x"))
		gap := l.add("b", text("x"))
		last := l.add("a", text("x"))
		l.trimAll(last)
		l.truncated("a", gap.Position(), nil)
		l.complete("a", last.Position(), nil)
	},
	"of a channel to which records are appended again": func(l *log) {
		old := l.addN("a", 3)
		l.trimAll(old[2])
		rs := l.addN("a", 3)
		l.retains("a", rs)
		l.truncated("a", old[1].Position(), rs)
		l.complete("a", old[2].Position(), rs)
		l.complete("a", rs[0].Position(), rs[1:])
	},
	"during a replay leaves no hole without an error": func(l *log) {
		all := l.addMany("a", 2000)
		var got []*eventlog.Record
		var err error
		for r, e := range l.replay("a", eventlog.Position{}) {
			if len(got) == 0 {
				l.trimAll(all[len(all)-1])
			}
			if err = e; err == nil {
				got = append(got, r.Clone())
			}
		}
		is(l.t, err, eventlog.ErrTrimmed)
		same(l.t, got, all[:len(got)])
	},
	"of a part, during a replay, leaves no hole without an error": func(l *log) {
		all := l.addMany("a", 2000)
		cut := l.addLater("a")
		var got []*eventlog.Record
		var err error
		for r, e := range l.replay("a", eventlog.Position{}) {
			if len(got) == 0 {
				l.trim(cut.Time)
			}
			if err = e; err == nil {
				got = append(got, r.Clone())
			}
		}
		is(l.t, err, eventlog.ErrTrimmed)
		same(l.t, got, all[:len(got)])
		l.truncated("a", got[len(got)-1].Position(), []*eventlog.Record{cut})
	},
	"of replayed records does not affect the replay": func(l *log) {
		all := l.addMany("a", 1000)
		cut := l.addLater("a")
		rest := append([]*eventlog.Record{cut}, l.addMany("a", 1000)...)
		records := l.replay("a", all[len(all)-1].Position())
		l.trim(cut.Time)
		same(l.t, l.collect(records), rest)
	},
}

// trim trims the log.
func (l *log) trim(before time.Time) {
	l.t.Helper()
	if err := l.Trim(l.t.Context(), before); err != nil {
		l.t.Fatalf("Trim before %v: %v", before, err)
	}
}

// trimAll trims all up to r, the newest record of the log.
func (l *log) trimAll(r *eventlog.Record) {
	l.t.Helper()
	l.trim(r.Time.Add(time.Second))
}

// addLater appends a record with a later Time than all earlier ones. It waits for the clock
// by writing to a separate channel.
func (l *log) addLater(channel string) *eventlog.Record {
	l.t.Helper()
	first := l.add("clock", text("x"))
	for later := false; !later; {
		later = l.add("clock", text("x")).Time.After(first.Time)
	}
	return l.add(channel, text("x"))
}

// truthful checks that replays from the positions of all, which were appended to channel,
// are complete if and only if all records after them are left.
func (l *log) truthful(channel string, all []*eventlog.Record) {
	l.t.Helper()
	left, truncated := l.after(channel, eventlog.Position{})
	dropped := len(all) - len(left)
	if dropped < 0 {
		l.t.Fatalf("%d records of %q are left of %d", len(left), channel, len(all))
	}
	same(l.t, left, all[dropped:])
	if truncated {
		l.t.Error("the replay of what is retained is truncated")
	}
	if dropped > 0 {
		l.truncated(channel, l.from(0), left)
	}
	for i, r := range all {
		switch {
		case i+1 < dropped:
			l.truncated(channel, r.Position(), left)
		case i+1 > dropped:
			l.complete(channel, r.Position(), all[i+1:])
		case len(left) > 0:
			l.completeUnlessCoarse(channel, r.Position(), left)
		}
	}
}
