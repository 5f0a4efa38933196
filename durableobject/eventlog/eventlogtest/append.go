package eventlogtest

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

var appendCases = map[string]func(*log){
	"the first Seq is 1": func(l *log) {
		if r := l.add("a", text("x")); r.Seq != 1 && !l.anyFirst || r.Seq == 0 {
			l.t.Errorf("Seq is %d", r.Seq)
		}
	},
	"each record follows the one before": func(l *log) {
		chained(l.t, 0, l.addN("a", 10))
	},
	"all records have the epoch of the log": func(l *log) {
		epoch := l.head("a").Epoch
		for _, r := range l.addN("a", 3) {
			if epoch == "" || r.Epoch != epoch {
				l.t.Errorf("got the epoch %q in a log with the epoch %q", r.Epoch, epoch)
			}
		}
	},
	"positions are event ids": func(l *log) {
		r := l.add("a", text("x"))
		id := r.Position().String()
		if p, ok := eventlog.ParsePosition(id); !ok || p != r.Position() {
			l.t.Errorf("position %v was parsed as %v, %v", id, p, ok)
		}
	},
	"Time is the time of the append": func(l *log) {
		before := time.Now()
		r := l.add("a", text("x"))
		if age := r.Time.Sub(before).Abs(); age > time.Minute {
			l.t.Errorf("Time is off by %v", age)
		}
	},
	"Time never goes back": func(l *log) {
		prev := l.add("a", text("x"))
		for range 20 {
			r := l.add("b", text("x"))
			if r.Time.Before(prev.Time) {
				l.t.Errorf("record %d of %v follows record %d of %v", r.Seq, r.Time, prev.Seq, prev.Time)
			}
			prev = r
		}
	},
	"delivers once, before it returns": func(l *log) {
		calls := 0
		err := l.Append(l.t.Context(), "a", text("x"), func(*eventlog.Record) { calls++ })
		if err != nil || calls != 1 {
			l.t.Errorf("delivered %d times, %v", calls, err)
		}
	},
	"delivers the record that is stored": func(l *log) {
		var got *eventlog.Record
		err := l.Append(l.t.Context(), "a", text("x"), func(r *eventlog.Record) { got = r })
		if err != nil {
			l.t.Fatal(err)
		}
		l.complete("a", eventlog.Position{}, []*eventlog.Record{got})
	},
	"delivers with Seq, Prev, Epoch and Time": func(l *log) {
		first := l.add("a", text("x"))
		var got eventlog.Record
		second := text("y")
		err := l.Append(l.t.Context(), "a", second, func(r *eventlog.Record) { got = *r })
		if err != nil {
			l.t.Fatal(err)
		}
		chained(l.t, first.Seq, []*eventlog.Record{&got})
		sameRecord(l.t, &got, second)
	},
	"delivers in order": func(l *log) {
		var got []*eventlog.Record
		for range 5 {
			err := l.Append(l.t.Context(), "a", text("x"), func(r *eventlog.Record) { got = append(got, r) })
			if err != nil {
				l.t.Fatal(err)
			}
		}
		chained(l.t, 0, got)
	},
	"can be read when it is delivered": func(l *log) {
		delivered := make(chan *eventlog.Record, 1)
		done := make(chan struct{})
		go func() {
			defer close(done)
			r := <-delivered
			replay, err := l.After(l.t.Context(), "a", eventlog.Position{})
			if err != nil {
				l.t.Error(err)
				return
			}
			for got, err := range replay.Records {
				if err == nil && got.Seq == r.Seq {
					return
				}
			}
			l.t.Error("a delivered record cannot be read")
		}()
		err := l.Append(l.t.Context(), "a", text("x"), func(r *eventlog.Record) { delivered <- r })
		if err != nil {
			l.t.Error(err)
			close(delivered)
		}
		<-done
	},
	"can be read after Append has returned": func(l *log) {
		for range 5 {
			r := l.add("a", text("x"))
			rs, _ := l.after("a", eventlog.Position{})
			if len(rs) == 0 || rs[len(rs)-1].Seq != r.Seq {
				l.t.Errorf("record %d is not the last of %v", r.Seq, seqs(rs))
			}
		}
	},
	"does not change the caller's bytes": func(l *log) {
		buf := []byte("0123456789")
		r := &eventlog.Record{Data: buf[2:4], Meta: buf[5:7]}
		l.add("a", r)
		l.addN("a", 3)
		l.after("a", eventlog.Position{})
		if string(buf) != "0123456789" {
			l.t.Errorf("the buffer is %q", buf)
		}
	},
	"keeps the records unchanged": func(l *log) {
		r := l.add("a", &eventlog.Record{Data: []byte("data"), Audience: eventlog.Audience{Tags: []string{"t"}}})
		want := *r
		want.Data, want.Tags = bytes.Clone(r.Data), slices.Clone(r.Tags)
		l.addN("a", 20)
		l.addN("b", 20)
		rs, _ := l.after("a", eventlog.Position{})
		sameRecord(l.t, rs[0], &want)
		sameRecord(l.t, r, &want)
	},
	"keeps many records": func(l *log) {
		rs := l.addMany("a", 2000)
		chained(l.t, 0, rs)
		l.complete("a", eventlog.Position{}, rs)
	},
}

var channelCases = map[string]func(*log){
	"shares the counter of the log": func(l *log) {
		var all []*eventlog.Record
		for _, name := range []string{"a", "b", "a", "c", "b"} {
			all = append(all, l.add(name, text(name)))
		}
		if s := seqs(all); !slices.IsSorted(s) || len(slices.Compact(s)) != len(all) {
			l.t.Errorf("Seqs are %v", seqs(all))
		}
	},
	"has its own chain": func(l *log) {
		var a, b []*eventlog.Record
		for range 5 {
			a = append(a, l.add("a", text("x")))
			b = append(b, l.add("b", text("x")))
		}
		chained(l.t, 0, a)
		chained(l.t, 0, b)
	},
	"replays its own records only": func(l *log) {
		var a, b []*eventlog.Record
		for range 5 {
			a = append(a, l.add("a", text("of a")))
			b = append(b, l.add("b", text("of b")), l.add("b", text("of b")))
		}
		l.complete("a", eventlog.Position{}, a)
		l.complete("b", eventlog.Position{}, b)
	},
	"is empty until it is written to": func(l *log) {
		l.addN("a", 3)
		l.complete("b", eventlog.Position{}, nil)
	},
	"may be one of many": func(l *log) {
		rs := make([]*eventlog.Record, 300)
		parallel(len(rs), func(i int) {
			rs[i] = text("x")
			if err := l.Append(l.t.Context(), string(rune('a'+i)), rs[i], ignore); err != nil {
				l.t.Error(err)
			}
		})
		for i, r := range rs {
			l.complete(string(rune('a'+i)), eventlog.Position{}, []*eventlog.Record{r})
		}
	},
	"may have an empty name":                        named("", "a"),
	"may have a long name":                          named(strings.Repeat("n", 4096), strings.Repeat("n", 4095)),
	"may have any unicode name":                     named("комната 🛋️", "комната 🛋"),
	"may have a name of NUL bytes":                  named("\x00", "\x00\x00"),
	"may have a name that is invalid UTF-8":         named("\xff", "\xfe"),
	"may have a name like a path":                   named("../../x", "../x"),
	"may have a name with line ends":                named("a\nb", "a\r\nb"),
	"differs from another by case":                  named("Room", "room"),
	"differs from one with the same prefix":         named("room", "room1"),
	"differs from another by Unicode normalization": named("é", "e\u0301"),
	"differs from another by white space":           named("a", "a "),
}

// named returns a case with two channel names that a log must not confuse.
func named(name, other string) func(*log) {
	return func(l *log) {
		mine := []*eventlog.Record{l.add(name, text("1"))}
		theirs := []*eventlog.Record{l.add(other, text("2"))}
		mine = append(mine, l.add(name, text("3")))
		chained(l.t, 0, mine)
		chained(l.t, 0, theirs)
		l.complete(name, eventlog.Position{}, mine)
		l.complete(other, eventlog.Position{}, theirs)
		l.complete(name, mine[0].Position(), mine[1:])
		l.reach(name, mine[1])
	}
}

// logsCases are called with two logs that were opened one after another.
var logsCases = map[string]func(a, b *log){
	"have different epochs": func(a, b *log) {
		if a.head("x").Epoch == b.head("x").Epoch {
			a.t.Error("two logs share an epoch")
		}
	},
	"share no records": func(a, b *log) {
		rs := a.addN("x", 3)
		b.complete("x", eventlog.Position{}, nil)
		a.complete("x", eventlog.Position{}, rs)
	},
	"count apart": func(a, b *log) {
		a.addN("x", 3)
		chained(b.t, 0, b.addN("x", 2))
	},
	"do not know each other's positions": func(a, b *log) {
		theirs := a.addN("x", 2)
		mine := b.addN("x", 3)
		b.truncated("x", theirs[0].Position(), mine)
		b.truncated("x", theirs[1].Position(), mine)
		b.truncated("x", a.head("x"), mine)
	},
	"close apart": func(a, b *log) {
		if err := a.Close(); err != nil {
			a.t.Fatal(err)
		}
		b.complete("x", eventlog.Position{}, b.addN("x", 1))
	},
}
