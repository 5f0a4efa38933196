package eventlogtest

import (
	"math"
	"strings"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

var positionCases = map[string]func(*log){
	"zero means everything": func(l *log) {
		l.complete("a", eventlog.Position{}, l.addN("a", 5))
	},
	"zero in an empty log is complete": func(l *log) {
		l.complete("a", eventlog.Position{}, nil)
	},
	"of a record means those after it": func(l *log) {
		rs := l.addN("a", 6)
		for i, r := range rs {
			l.complete("a", r.Position(), rs[i+1:])
		}
	},
	"of a record, between those of other channels": func(l *log) {
		var rs []*eventlog.Record
		for range 5 {
			l.add("b", text("x"))
			rs = append(rs, l.add("a", text("x")))
			l.add("c", text("x"))
		}
		for i, r := range rs {
			l.complete("a", r.Position(), rs[i+1:])
		}
	},
	"of another channel is a point in time": func(l *log) {
		early := l.add("b", text("x"))
		first := l.addN("a", 2)
		middle := l.add("b", text("x"))
		last := l.addN("a", 2)
		late := l.add("b", text("x"))
		l.complete("a", early.Position(), append(first, last...))
		l.complete("a", middle.Position(), last)
		l.complete("a", late.Position(), nil)
	},
	"of another channel, in one that is empty": func(l *log) {
		r := l.add("b", text("x"))
		l.complete("a", r.Position(), nil)
	},
	"between two records is known": func(l *log) {
		first := l.add("a", text("x"))
		gap := l.add("b", text("x"))
		second := l.add("a", text("x"))
		l.complete("a", l.from(gap.Seq), []*eventlog.Record{second})
		l.complete("a", l.from(first.Seq-1), []*eventlog.Record{first, second})
	},
	"Seq 0 of the epoch means everything": func(l *log) {
		rs := l.addN("a", 3)
		l.complete("a", l.from(0), rs)
	},
	"of the empty log misses nothing": func(l *log) {
		p := l.head("a")
		l.complete("a", p, nil)
		l.complete("a", p, l.addN("a", 3))
	},
	"of the next record is truncated": func(l *log) {
		rs := l.addN("a", 3)
		l.truncated("a", l.from(rs[2].Seq+1), rs)
	},
	"far ahead is truncated": func(l *log) {
		rs := l.addN("a", 3)
		l.truncated("a", l.from(math.MaxUint64), rs)
		l.truncated("a", l.from(math.MaxInt64), rs)
		l.truncated("a", l.from(math.MaxInt64+1), rs)
	},
	"ahead of an empty log is truncated": func(l *log) {
		l.truncated("a", l.from(1), nil)
	},
	"ahead stays truncated in a channel without records": func(l *log) {
		r := l.add("b", text("x"))
		l.truncated("a", l.from(r.Seq+1), nil)
	},
	"of an unknown epoch is truncated": func(l *log) {
		rs := l.addN("a", 3)
		for _, seq := range []uint64{0, 1, rs[2].Seq, math.MaxUint64} {
			l.truncated("a", eventlog.Position{Epoch: eventlog.NewEpoch(), Seq: seq}, rs)
		}
	},
	"of an unknown epoch is truncated in an empty channel": func(l *log) {
		l.truncated("a", eventlog.Position{Epoch: eventlog.NewEpoch()}, nil)
	},
	"of an epoch that differs in one character is truncated": func(l *log) {
		rs := l.addN("a", 2)
		epoch := rs[0].Epoch
		for _, e := range []string{epoch + "0", epoch[1:], strings.ToUpper(epoch), " " + epoch, epoch + "\x00"} {
			l.truncated("a", eventlog.Position{Epoch: e, Seq: 1}, rs)
		}
	},
	"without an epoch is truncated": func(l *log) {
		rs := l.addN("a", 2)
		l.truncated("a", eventlog.Position{Seq: rs[0].Seq}, rs)
	},
	"of a string that is not an id is truncated": func(l *log) {
		rs := l.addN("a", 2)
		for _, id := range []string{"", "1", "abc", "-1", "00", " 0", rs[0].Epoch, rs[0].Epoch + "-", rs[0].Epoch + "-01"} {
			l.truncated("a", eventlog.PositionOf(id), rs)
		}
	},
	"of the string 0 means everything": func(l *log) {
		l.complete("a", eventlog.PositionOf("0"), l.addN("a", 3))
	},
	"of an event id is that of the record": func(l *log) {
		rs := l.addN("a", 3)
		l.complete("a", eventlog.PositionOf(rs[1].Position().String()), rs[2:])
	},
	"of the id of a head is the head": func(l *log) {
		l.complete("a", eventlog.PositionOf(l.head("a").String()), l.addN("a", 2))
		l.complete("a", eventlog.PositionOf(l.head("a").String()), nil)
	},
	"stays valid while the log grows": func(l *log) {
		rs := l.addN("a", 2)
		p := rs[0].Position()
		for range 5 {
			rs = append(rs, l.add("a", text("x")))
			l.complete("a", p, rs[1:])
		}
	},
}

var headCases = map[string]func(*log){
	"of an empty log is Seq 0": func(l *log) {
		if p := l.head("a"); p.Seq != 0 || p.Epoch == "" {
			l.t.Errorf("head is %+v", p)
		}
	},
	"of an empty log has the epoch of the first record": func(l *log) {
		p := l.head("a")
		if r := l.add("a", text("x")); r.Epoch != p.Epoch {
			l.t.Errorf("head had epoch %q, the record has %q", p.Epoch, r.Epoch)
		}
	},
	"of an empty log is an event id": func(l *log) {
		p := l.head("a")
		if got, ok := eventlog.ParsePosition(p.String()); !ok || got != p {
			l.t.Errorf("head %v was parsed as %v, %v", p, got, ok)
		}
	},
	"is the newest record": func(l *log) {
		for range 5 {
			r := l.add("a", text("x"))
			if p := l.head("a"); p != r.Position() {
				l.t.Errorf("head is %v, the newest record %v", p, r.Position())
			}
		}
	},
	"is not ahead of the log": func(l *log) {
		r := l.add("a", text("x"))
		if p := l.head("b"); p.Seq > r.Seq || p.Epoch != r.Epoch {
			l.t.Errorf("head is %v, the newest record %v", p, r.Position())
		}
	},
	"is not before its channel's newest record": func(l *log) {
		r := l.add("a", text("x"))
		newest := l.addN("b", 3)[2]
		l.reach("a", r)
		if p := l.head("a"); p.Seq > newest.Seq {
			l.t.Errorf("head %v is ahead of the log's newest record %v", p, newest.Position())
		}
	},
	"never goes back": func(l *log) {
		var last uint64
		for i := range 10 {
			l.add([]string{"a", "b"}[i%2], text("x"))
			p := l.head("a")
			if p.Seq < last {
				l.t.Errorf("head went from %d to %d", last, p.Seq)
			}
			last = p.Seq
		}
	},
	"is before every later record": func(l *log) {
		for i := range 10 {
			p := l.head("a")
			l.add([]string{"b", "c"}[i%2], text("x"))
			if r := l.add("a", text("x")); r.Seq <= p.Seq {
				l.t.Errorf("record %v was appended after the head %v", r.Position(), p)
			}
		}
	},
	"replays nothing": func(l *log) {
		l.addN("a", 2)
		l.addN("b", 2)
		for _, channel := range []string{"a", "b", "c"} {
			l.complete(channel, l.head(channel), nil)
		}
	},
	"replays later records": func(l *log) {
		l.addN("a", 2)
		l.addN("b", 2)
		p := l.head("a")
		l.add("b", text("x"))
		l.complete("a", p, l.addN("a", 2))
	},
	"replays the first record of an empty channel": func(l *log) {
		l.addN("b", 2)
		p := l.head("a")
		l.complete("a", p, l.addN("a", 2))
	},
}
