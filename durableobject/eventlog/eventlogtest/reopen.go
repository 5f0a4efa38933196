package eventlogtest

import (
	"strings"
	"testing"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// disk is a directory that is used by one log at a time.
type disk struct {
	t    *testing.T
	dir  string
	open func(t *testing.T, dir string) eventlog.Log
}

// log opens the log. It must be closed before the next one is opened.
func (d *disk) log() *log {
	d.t.Helper()
	return use(d.t, d.open(d.t, d.dir))
}

// reopen closes l and opens it again.
func (d *disk) reopen(l *log) *log {
	d.t.Helper()
	l.shut()
	return d.log()
}

// reopenCases close a log cleanly and open it again.
var reopenCases = map[string]func(*disk){
	"an empty log stays empty": func(d *disk) {
		l := d.reopen(d.log())
		l.complete("a", eventlog.Position{}, nil)
		if p := l.head("a"); p.Seq != 0 {
			d.t.Errorf("head is %v", p)
		}
		chained(d.t, 0, l.addN("a", 2))
	},
	"records stay": func(d *disk) {
		l := d.log()
		rs := l.addN("a", 5)
		d.reopen(l).complete("a", eventlog.Position{}, rs)
	},
	"records stay in each channel": func(d *disk) {
		l := d.log()
		a, b, c := l.addN("a", 2), l.addN("b", 3), l.addN("c", 1)
		a = append(a, l.addN("a", 2)...)
		l = d.reopen(l)
		l.complete("a", eventlog.Position{}, a)
		l.complete("b", eventlog.Position{}, b)
		l.complete("c", eventlog.Position{}, c)
		l.complete("d", eventlog.Position{}, nil)
	},
	"channel names stay": func(d *disk) {
		names := []string{"", "\x00", "\xff", "../x", "комната", "a\nb", strings.Repeat("n", 4096)}
		l := d.log()
		rs := make(map[string]*eventlog.Record)
		for _, name := range names {
			rs[name] = l.add(name, text("x"))
		}
		l = d.reopen(l)
		for _, name := range names {
			l.complete(name, eventlog.Position{}, []*eventlog.Record{rs[name]})
		}
	},
	"contents stay": func(d *disk) {
		l := d.log()
		var rs []*eventlog.Record
		for _, record := range contents {
			rs = append(rs, l.add("a", record()))
		}
		d.reopen(l).complete("a", eventlog.Position{}, rs)
	},
	"audiences stay": func(d *disk) {
		l := d.log()
		var rs []*eventlog.Record
		for _, audience := range audiences {
			rs = append(rs, l.add("a", &eventlog.Record{Audience: audience()}))
		}
		d.reopen(l).complete("a", eventlog.Position{}, rs)
	},
	"Seq and Prev continue": func(d *disk) {
		l := d.log()
		rs := l.addN("a", 3)
		l = d.reopen(l)
		rs = append(rs, l.addN("a", 3)...)
		chained(d.t, 0, rs)
		l.complete("a", eventlog.Position{}, rs)
	},
	"Prev continues in each channel": func(d *disk) {
		l := d.log()
		a, b := l.addN("a", 2), l.addN("b", 2)
		l = d.reopen(l)
		chained(d.t, 0, append(a, l.addN("a", 1)...))
		chained(d.t, 0, append(b, l.addN("b", 1)...))
		chained(d.t, 0, l.addN("c", 1))
	},
	"Time does not go back": func(d *disk) {
		l := d.log()
		before := l.add("a", text("x"))
		l = d.reopen(l)
		if r := l.add("a", text("x")); r.Time.Before(before.Time) {
			d.t.Errorf("Time went from %v to %v", before.Time, r.Time)
		}
	},
	"positions stay complete": func(d *disk) {
		l := d.log()
		rs := l.addN("a", 4)
		l = d.reopen(l)
		rs = append(rs, l.addN("a", 2)...)
		for i, r := range rs {
			l.complete("a", r.Position(), rs[i+1:])
		}
	},
	"positions between records stay complete": func(d *disk) {
		l := d.log()
		l.addN("a", 2)
		gap := l.add("b", text("x"))
		rs := l.addN("a", 2)
		l = d.reopen(l)
		l.complete("a", gap.Position(), rs)
	},
	"the head stays": func(d *disk) {
		l := d.log()
		l.addN("a", 2)
		l.addN("b", 2)
		p := l.head("a")
		l = d.reopen(l)
		if got := l.head("a"); got.Seq < p.Seq {
			d.t.Errorf("head went from %v to %v", p, got)
		}
		l.complete("a", p, nil)
		l.complete("a", p, l.addN("a", 2))
	},
	"the head of an empty log stays complete": func(d *disk) {
		l := d.log()
		p := l.head("a")
		l = d.reopen(l)
		l.complete("a", p, l.addN("a", 2))
	},
	"positions ahead stay truncated": func(d *disk) {
		l := d.log()
		rs := l.addN("a", 2)
		l = d.reopen(l)
		p := rs[1].Position()
		p.Seq++
		l.truncated("a", p, rs)
		l.truncated("a", eventlog.Position{Epoch: eventlog.NewEpoch(), Seq: 1}, rs)
	},
	"a log that is reopened often has one history": func(d *disk) {
		var rs []*eventlog.Record
		l := d.log()
		for range 8 {
			rs = append(rs, l.addN("a", 2)...)
			l = d.reopen(l)
		}
		chained(d.t, 0, rs)
		l.complete("a", eventlog.Position{}, rs)
		for i, r := range rs {
			l.complete("a", r.Position(), rs[i+1:])
		}
	},
	"reopening often without a record changes nothing": func(d *disk) {
		l := d.log()
		rs := l.addN("a", 2)
		for range 5 {
			l = d.reopen(l)
		}
		l.complete("a", eventlog.Position{}, rs)
		chained(d.t, 0, append(rs, l.addN("a", 2)...))
	},
	"a long history stays": func(d *disk) {
		l := d.log()
		rs := l.addMany("a", 2000)
		l = d.reopen(l)
		l.complete("a", eventlog.Position{}, rs)
		l.complete("a", rs[1000].Position(), rs[1001:])
	},
	"many channels stay": func(d *disk) {
		l := d.log()
		rs := make([]*eventlog.Record, 300)
		parallel(len(rs), func(i int) {
			rs[i] = text("x")
			if err := l.Append(d.t.Context(), string(rune('a'+i)), rs[i], ignore); err != nil {
				d.t.Error(err)
			}
		})
		l = d.reopen(l)
		for i, r := range rs {
			l.complete(string(rune('a'+i)), eventlog.Position{}, []*eventlog.Record{r})
		}
	},
	"records acknowledged during Close stay": func(d *disk) {
		const n = 200
		l := d.log()
		errs := make([]error, n)
		delivered := make([]bool, n)
		parallel(n, func(i int) {
			if i == n/2 {
				l.shut()
				return
			}
			errs[i] = l.Append(d.t.Context(), "a", text("x"), func(*eventlog.Record) { delivered[i] = true })
		})
		count := 0
		for i, err := range errs {
			if i != n/2 && err == nil {
				count++
			} else if i != n/2 {
				is(d.t, err, eventlog.ErrClosed)
			}
		}
		rs, _ := d.log().after("a", eventlog.Position{})
		chained(d.t, 0, rs)
		if len(rs) != count {
			d.t.Errorf("%d records were acknowledged, %d are stored", count, len(rs))
		}
	},
	"refused records are not stored": func(d *disk) {
		l := d.log()
		rs := l.addN("a", 1)
		if err := l.Append(ended(d.t), "a", text("x"), ignore); err == nil {
			d.t.Error("stored with an ended context")
		}
		rs = append(rs, l.addN("a", 1)...)
		d.reopen(l).complete("a", eventlog.Position{}, rs)
	},
	"trimmed records stay trimmed": func(d *disk) {
		l := d.log()
		all := l.addN("a", 5)
		cut := l.addLater("a")
		all = append(all, cut)
		l.trim(cut.Time)
		l.truthful("a", all)
		left, _ := l.after("a", eventlog.Position{})
		l = d.reopen(l)
		again, _ := l.after("a", eventlog.Position{})
		same(d.t, again, left)
		l.truthful("a", all)
	},
	"a log that was trimmed continues": func(d *disk) {
		l := d.log()
		all := l.addN("a", 3)
		l.trimAll(all[2])
		l = d.reopen(l)
		l.reach("a", all[2])
		r := l.add("a", text("x"))
		if r.Seq <= all[2].Seq || r.Prev < all[2].Seq {
			d.t.Errorf("record %d with Prev %d follows record %d", r.Seq, r.Prev, all[2].Seq)
		}
		l.complete("a", all[2].Position(), []*eventlog.Record{r})
	},
	"a reopened log can be trimmed": func(d *disk) {
		l := d.log()
		all := l.addN("a", 5)
		l = d.reopen(l)
		cut := l.addLater("a")
		all = append(all, cut)
		l.trim(time.Now())
		l.truthful("a", all)
	},
	"replays of the closed log have ended": func(d *disk) {
		l := d.log()
		l.addN("a", 3)
		records := l.replay("a", eventlog.Position{})
		d.reopen(l)
		_, err := drain(records)
		is(d.t, err, eventlog.ErrClosed)
	},
}
