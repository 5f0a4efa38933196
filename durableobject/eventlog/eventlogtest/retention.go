package eventlogtest

import (
	"errors"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// retentionCases sleep, which takes no time in a bubble.
var retentionCases = map[string]func(*log){
	"young events are replayed": func(l *log) {
		begin := time.Now()
		rs := l.addN("a", 3)
		time.Sleep(l.retention - l.moment - time.Since(begin))
		l.complete("a", eventlog.Position{}, rs)
	},
	"old events are not replayed": func(l *log) {
		l.addN("a", 3)
		time.Sleep(l.retention + l.moment)
		l.retains("a", nil)
	},
	"old events are not replayed for an unknown position": func(l *log) {
		l.addN("a", 3)
		time.Sleep(l.retention + l.moment)
		l.truncated("a", eventlog.PositionOf("nonsense"), nil)
	},
	"only young events are replayed": func(l *log) {
		l.addN("a", 3)
		time.Sleep(l.retention - l.moment)
		young := l.addN("a", 3)
		time.Sleep(2 * l.moment)
		l.retains("a", young)
	},
	"a position before an old event is truncated": func(l *log) {
		old := l.addN("a", 3)
		time.Sleep(l.retention - l.moment)
		young := l.addN("a", 3)
		time.Sleep(2 * l.moment)
		l.truncated("a", old[0].Position(), young)
		l.truncated("a", old[1].Position(), young)
	},
	"the position of the last old event is complete": func(l *log) {
		old := l.addN("a", 3)
		time.Sleep(l.retention - l.moment)
		young := l.addN("a", 3)
		time.Sleep(2 * l.moment)
		l.complete("a", old[2].Position(), young)
		l.complete("a", young[0].Position(), young[1:])
	},
	"the last id is complete when all events are old": func(l *log) {
		old := l.addN("a", 3)
		time.Sleep(2 * l.retention)
		l.complete("a", old[2].Position(), nil)
		l.truncated("a", old[1].Position(), nil)
	},
	"the last id is complete when all events are old and trimmed": func(l *log) {
		old := l.addN("a", 3)
		time.Sleep(2 * l.retention)
		l.trim(time.Now().Add(-l.retention))
		l.complete("a", old[2].Position(), nil)
		l.truncated("a", old[1].Position(), nil)
	},
	"the position of the head is complete when all events are old": func(l *log) {
		l.addN("a", 3)
		p := l.head("a")
		time.Sleep(2 * l.retention)
		l.complete("a", p, nil)
		l.complete("a", p, l.addN("a", 2))
	},
	"the head stays when all events are old": func(l *log) {
		old := l.addN("a", 3)
		time.Sleep(2 * l.retention)
		l.reach("a", old[2])
		l.trim(time.Now())
		l.reach("a", old[2])
	},
	"no Seq is used again when all events are old": func(l *log) {
		old := l.addN("a", 3)
		time.Sleep(2 * l.retention)
		l.trim(time.Now())
		r := l.add("a", text("x"))
		if r.Seq <= old[2].Seq || r.Prev < old[2].Seq || r.Prev >= r.Seq {
			l.t.Errorf("record %d with Prev %d follows record %d", r.Seq, r.Prev, old[2].Seq)
		}
	},
	"events expire one by one": func(l *log) {
		var all []*eventlog.Record
		for range 4 {
			all = append(all, l.add("a", text("x")))
			time.Sleep(l.retention / 4)
		}
		for i := range all {
			time.Sleep(l.moment)
			l.complete("a", all[i].Position(), all[i+1:])
			l.retains("a", all[i+1:])
			time.Sleep(l.retention/4 - l.moment)
		}
	},
	"events of idle channels expire too": func(l *log) {
		old := l.addN("a", 2)
		time.Sleep(l.retention - l.moment)
		young := l.addN("b", 2)
		time.Sleep(2 * l.moment)
		l.truncated("a", old[0].Position(), nil)
		l.complete("b", eventlog.Position{}, young)
	},
	"a channel that is read late does not affect others": func(l *log) {
		l.addN("a", 2)
		b := l.addN("b", 2)
		time.Sleep(l.retention + l.moment)
		for range 2 {
			l.truncated("b", b[0].Position(), nil)
			l.retains("a", nil)
		}
	},
	"trimming keeps young events": func(l *log) {
		l.addN("a", 3)
		time.Sleep(l.retention - l.moment)
		young := l.addN("a", 3)
		time.Sleep(2 * l.moment)
		l.trim(time.Now().Add(-l.retention))
		l.retains("a", young)
	},
	"events that expire during a replay leave no hole without an error": func(l *log) {
		all := l.addMany("a", 1000)
		var got []*eventlog.Record
		var err error
		for r, e := range l.replay("a", eventlog.Position{}) {
			if len(got) == 0 {
				time.Sleep(2 * l.retention)
				l.trim(time.Now())
			}
			if err = e; err == nil {
				got = append(got, r.Clone())
			}
		}
		if len(got) < len(all) && !errors.Is(err, eventlog.ErrTrimmed) {
			l.t.Errorf("the replay ended after %d records: %v", len(got), err)
		}
		same(l.t, got, all[:len(got)])
	},
	"events that expire between After and reading are not replayed": func(l *log) {
		l.addN("a", 3)
		records := l.replay("a", eventlog.Position{})
		time.Sleep(2 * l.retention)
		rs, err := drain(records)
		is(l.t, err, eventlog.ErrTrimmed)
		same(l.t, rs, nil)
	},
	"Time is that of the bubble": func(l *log) {
		time.Sleep(l.retention)
		now := time.Now()
		if r := l.add("a", text("x")); r.Time.Sub(now).Abs() > time.Second {
			l.t.Errorf("Time is %v, now is %v", r.Time, now)
		}
	},
}
