package eventlogtest

import (
	"context"
	"iter"
	"sync"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

var replayCases = map[string]func(*log){
	"yields the same records each time": func(l *log) {
		rs := l.addN("a", 5)
		l.complete("a", eventlog.Position{}, rs)
		l.complete("a", eventlog.Position{}, rs)
	},
	"yields a long history in order": func(l *log) {
		rs := l.addMany("a", 3000)
		l.complete("a", eventlog.Position{}, rs)
		for _, i := range []int{0, 1, 63, 64, 255, 256, 1023, 1500, 2998, 2999} {
			l.complete("a", rs[i].Position(), rs[i+1:])
		}
	},
	"yields a long history between other channels": func(l *log) {
		var a, b []*eventlog.Record
		for range 5 {
			a = append(a, l.addMany("a", 100)...)
			b = append(b, l.addMany("b", 150)...)
		}
		l.complete("a", eventlog.Position{}, a)
		l.complete("b", eventlog.Position{}, b)
		l.complete("a", b[299].Position(), a[200:])
	},
	"may stop early and continue there": func(l *log) {
		rs := l.addN("a", 6)
		var got []*eventlog.Record
		var p eventlog.Position
		for range rs {
			for r, err := range l.replay("a", p) {
				if err != nil {
					l.t.Fatal(err)
				}
				got, p = append(got, r.Clone()), r.Position()
				break
			}
		}
		same(l.t, got, rs)
	},
	"that stopped early blocks nothing": func(l *log) {
		rs := l.addN("a", 3)
		for range l.replay("a", eventlog.Position{}) { //nolint:errcheck // a linter's misreading of iterators
			break
		}
		rs = append(rs, l.add("a", text("x")))
		l.complete("a", eventlog.Position{}, rs)
	},
	"that is never read blocks nothing": func(l *log) {
		rs := l.addN("a", 3)
		l.replay("a", eventlog.Position{})
		rs = append(rs, l.add("a", text("x")))
		l.complete("a", eventlog.Position{}, rs)
	},
	"lets its reader append": func(l *log) {
		rs := l.addN("a", 3)
		var got []*eventlog.Record
		var late *eventlog.Record
		for r, err := range l.replay("a", eventlog.Position{}) {
			if err != nil {
				l.t.Fatal(err)
			}
			if late == nil {
				late = l.add("a", text("late"))
			}
			got = append(got, r.Clone())
		}
		if len(got) > len(rs) {
			rs = append(rs, late)
		}
		same(l.t, got, rs)
	},
	"lets its reader use the log": func(l *log) {
		rs := l.addN("a", 3)
		var got []*eventlog.Record
		for r, err := range l.replay("a", eventlog.Position{}) {
			if err != nil {
				l.t.Fatal(err)
			}
			l.complete("a", r.Position(), rs[len(got)+1:])
			l.head("a")
			l.add("b", text("x"))
			l.trim(rs[0].Time)
			got = append(got, r.Clone())
		}
		same(l.t, got, rs)
	},
	"has all records that were stored when After was called": func(l *log) {
		rs := l.addN("a", 3)
		records := l.replay("a", rs[0].Position())
		rs = append(rs, l.addN("a", 3)...)
		got := l.collect(records)
		if len(got) < 2 {
			l.t.Fatalf("got the records %v", seqs(got))
		}
		same(l.t, got, rs[1:1+len(got)])
	},
	"can run during another": func(l *log) {
		rs := l.addN("a", 5)
		first, stopFirst := iter.Pull2(l.replay("a", eventlog.Position{}))
		defer stopFirst()
		second, stopSecond := iter.Pull2(l.replay("a", rs[1].Position()))
		defer stopSecond()
		for i := range rs {
			r, err, ok := first()
			if !ok || err != nil {
				l.t.Fatalf("first replay: %v, %v", ok, err)
			}
			sameRecord(l.t, r, rs[i])
			r, err, ok = second()
			if ok != (i+2 < len(rs)) || err != nil {
				l.t.Fatalf("second replay: %v, %v", ok, err)
			}
			if ok {
				sameRecord(l.t, r, rs[i+2])
			}
		}
	},
	"can run during many others": func(l *log) {
		rs := l.addMany("a", 300)
		parallel(8, func(i int) {
			replay, err := l.After(l.t.Context(), "a", rs[i*10].Position())
			if err != nil || replay.Truncated {
				l.t.Errorf("After: truncated %v, %v", replay.Truncated, err)
				return
			}
			n := i*10 + 1
			for r, err := range replay.Records {
				if err != nil || n == len(rs) || r.Seq != rs[n].Seq {
					l.t.Errorf("replay from record %d: %v at %d", i*10, err, n)
					return
				}
				n++
			}
			if n != len(rs) {
				l.t.Errorf("replay from record %d ended at %d", i*10, n)
			}
		})
	},
	"within another": func(l *log) {
		rs := l.addN("a", 4)
		inner := 0
		for r, err := range l.replay("a", eventlog.Position{}) {
			if err != nil {
				l.t.Fatal(err)
			}
			inner += len(l.collect(l.replay("a", r.Position())))
		}
		if inner != 3+2+1 {
			l.t.Errorf("%d records of %v", inner, seqs(rs))
		}
	},
	"has records whose position leads to the next": func(l *log) {
		l.addN("a", 4)
		l.addN("b", 4)
		rs, _ := l.after("a", eventlog.Position{})
		chained(l.t, 0, rs)
		for i, r := range rs {
			l.complete("a", r.Position(), rs[i+1:])
		}
	},
}

// cancelCases end the context of calls. A call must then do everything or nothing.
var cancelCases = map[string]func(*log){
	"Append with an ended context stores nothing": func(l *log) {
		called := false
		err := l.Append(ended(l.t), "a", text("x"), func(*eventlog.Record) { called = true })
		is(l.t, err, context.Canceled)
		l.complete("a", eventlog.Position{}, nil)
		if called {
			l.t.Error("a record that was not stored was delivered")
		}
	},
	"Append past its deadline stores nothing": func(l *log) {
		ctx, cancel := context.WithTimeout(l.t.Context(), 0)
		defer cancel()
		is(l.t, l.Append(ctx, "a", text("x"), ignore), context.DeadlineExceeded)
		l.complete("a", eventlog.Position{}, nil)
	},
	"a refused append leaves no hole": func(l *log) {
		first := l.add("a", text("x"))
		is(l.t, l.Append(ended(l.t), "a", text("y"), ignore), context.Canceled)
		rs := []*eventlog.Record{first, l.add("a", text("z"))}
		chained(l.t, 0, rs)
		l.complete("a", eventlog.Position{}, rs)
		l.complete("a", first.Position(), rs[1:])
	},
	"After with an ended context": func(l *log) {
		l.addN("a", 2)
		_, err := l.After(ended(l.t), "a", eventlog.Position{})
		is(l.t, err, context.Canceled)
	},
	"Head with an ended context": func(l *log) {
		_, err := l.Head(ended(l.t), "a")
		is(l.t, err, context.Canceled)
	},
	"Trim with an ended context": func(l *log) {
		rs := l.addN("a", 2)
		is(l.t, l.Trim(ended(l.t), rs[1].Time.AddDate(1, 0, 0)), context.Canceled)
		l.complete("a", eventlog.Position{}, rs)
	},
	"a context that ends after Append changes nothing": func(l *log) {
		ctx, cancel := context.WithCancel(l.t.Context())
		r := text("x")
		if err := l.Append(ctx, "a", r, ignore); err != nil {
			l.t.Fatal(err)
		}
		cancel()
		l.complete("a", eventlog.Position{}, append([]*eventlog.Record{r}, l.addN("a", 2)...))
	},
	"a context that ends before a replay is read": func(l *log) {
		l.addN("a", 3)
		ctx, cancel := context.WithCancel(l.t.Context())
		replay, err := l.After(ctx, "a", eventlog.Position{})
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
	"a context that ends during a replay ends it with an error": func(l *log) {
		all := l.addMany("a", 2000)
		ctx, cancel := context.WithCancel(l.t.Context())
		defer cancel()
		replay, err := l.After(ctx, "a", eventlog.Position{})
		if err != nil {
			l.t.Fatal(err)
		}
		var got []*eventlog.Record
		for r, e := range replay.Records {
			cancel()
			if err = e; err == nil {
				got = append(got, r.Clone())
			}
		}
		is(l.t, err, context.Canceled)
		same(l.t, got, all[:len(got)])
	},
	"contexts that end while appends run": func(l *log) {
		const n = 200
		delivered, errs := make([]bool, n), make([]error, n)
		rs := make([]*eventlog.Record, n)
		parallel(n, func(i int) {
			ctx, cancel := context.WithCancel(l.t.Context())
			defer cancel()
			var canceller sync.WaitGroup
			defer canceller.Wait()
			if i%2 == 0 {
				canceller.Go(cancel)
			}
			rs[i] = text("x")
			errs[i] = l.Append(ctx, "a", rs[i], func(*eventlog.Record) { delivered[i] = true })
		})
		// Appends that were being committed are stored when a later one is, and delivered
		// when the log is closed.
		l.add("a", text("last"))
		got, _ := l.after("a", eventlog.Position{})
		chained(l.t, 0, got)
		if err := l.Close(); err != nil {
			l.t.Fatal(err)
		}
		count := 1
		for i := range n {
			if delivered[i] {
				count++
			}
			if errs[i] == nil && !delivered[i] {
				l.t.Errorf("append %d succeeded and was not delivered", i)
			}
			if errs[i] != nil {
				is(l.t, errs[i], context.Canceled)
			}
		}
		if count != len(got) {
			l.t.Errorf("delivered %d records, stored %d", count, len(got))
		}
	},
}

// replay returns the records of channel after p, which must not be truncated.
func (l *log) replay(channel string, p eventlog.Position) iter.Seq2[*eventlog.Record, error] {
	l.t.Helper()
	replay, err := l.After(l.t.Context(), channel, p)
	if err != nil || replay.Truncated {
		l.t.Fatalf("After %v of %q: truncated %v, %v", p, channel, replay.Truncated, err)
	}
	return replay.Records
}

// collect returns all records of a replay, which must not fail.
func (l *log) collect(records iter.Seq2[*eventlog.Record, error]) []*eventlog.Record {
	l.t.Helper()
	rs, err := drain(records)
	if err != nil {
		l.t.Fatalf("replay: %v", err)
	}
	return rs
}

// drain returns the records of a replay and its error, if there is one.
func drain(records iter.Seq2[*eventlog.Record, error]) (rs []*eventlog.Record, err error) {
	for r, e := range records {
		if e != nil {
			err = e
			continue
		}
		rs = append(rs, r.Clone())
	}
	return rs, err
}
