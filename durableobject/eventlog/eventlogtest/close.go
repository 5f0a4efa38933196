package eventlogtest

import (
	"errors"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

var closeCases = map[string]func(*log){
	"again does nothing": func(l *log) {
		l.addN("a", 2)
		l.shut()
		l.shut()
	},
	"of an empty log": func(l *log) {
		l.shut()
	},
	"from many goroutines": func(l *log) {
		l.addN("a", 2)
		parallel(8, func(int) {
			if err := l.Close(); err != nil {
				l.t.Errorf("Close: %v", err)
			}
		})
	},
	"then Append": func(l *log) {
		l.addN("a", 1)
		l.shut()
		called := false
		is(l.t, l.Append(l.t.Context(), "a", text("x"), func(*eventlog.Record) { called = true }), eventlog.ErrClosed)
		if called {
			l.t.Error("delivered by a closed log")
		}
	},
	"then After": func(l *log) {
		rs := l.addN("a", 1)
		l.shut()
		_, err := l.After(l.t.Context(), "a", eventlog.Position{})
		is(l.t, err, eventlog.ErrClosed)
		_, err = l.After(l.t.Context(), "a", rs[0].Position())
		is(l.t, err, eventlog.ErrClosed)
	},
	"then Head": func(l *log) {
		l.addN("a", 1)
		l.shut()
		_, err := l.Head(l.t.Context(), "a")
		is(l.t, err, eventlog.ErrClosed)
		_, err = l.Head(l.t.Context(), "b")
		is(l.t, err, eventlog.ErrClosed)
	},
	"then Trim": func(l *log) {
		l.addN("a", 1)
		l.shut()
		is(l.t, l.Trim(l.t.Context(), time.Now()), eventlog.ErrClosed)
	},
	"before a replay is read": func(l *log) {
		l.addN("a", 3)
		records := l.replay("a", eventlog.Position{})
		l.shut()
		_, err := drain(records)
		is(l.t, err, eventlog.ErrClosed)
	},
	"during a replay ends it with an error": func(l *log) {
		all := l.addMany("a", 2000)
		var got []*eventlog.Record
		var err error
		for r, e := range l.replay("a", eventlog.Position{}) {
			l.shut()
			if err = e; err == nil {
				got = append(got, r.Clone())
			}
		}
		is(l.t, err, eventlog.ErrClosed)
		same(l.t, got, all[:len(got)])
	},
	"while appends wait": func(l *log) {
		const n = 200
		var closed atomic.Bool
		delivered, errs := make([]bool, n), make([]error, n)
		l.add("a", text("x"))
		parallel(n, func(i int) {
			if i == n/2 {
				l.shut()
				closed.Store(true)
				return
			}
			errs[i] = l.Append(l.t.Context(), []string{"a", "b"}[i%2], text("x"), func(*eventlog.Record) {
				delivered[i] = true
				for range 10 {
					runtime.Gosched()
				}
				if closed.Load() {
					l.t.Error("delivered after Close returned")
				}
			})
		})
		for i, err := range errs {
			if err != nil && !errors.Is(err, eventlog.ErrClosed) {
				l.t.Errorf("append %d: %v", i, err)
			}
			if delivered[i] != (err == nil) && i != n/2 {
				l.t.Errorf("append %d: delivered %v, error %v", i, delivered[i], err)
			}
		}
	},
	"while others read": func(l *log) {
		l.addMany("a", 500)
		parallel(6, func(i int) {
			if i == 0 {
				l.shut()
				return
			}
			replay, err := l.After(l.t.Context(), "a", eventlog.Position{})
			if err != nil {
				is(l.t, err, eventlog.ErrClosed)
				return
			}
			rs, err := drain(replay.Records)
			if err != nil {
				is(l.t, err, eventlog.ErrClosed)
			} else if len(rs) != 500 {
				l.t.Errorf("a replay ended after %d records without an error", len(rs))
			}
		})
	},
}

// shut closes the log. It may be called on any goroutine.
func (l *log) shut() {
	l.t.Helper()
	if err := l.Close(); err != nil {
		l.t.Errorf("Close: %v", err)
	}
}
