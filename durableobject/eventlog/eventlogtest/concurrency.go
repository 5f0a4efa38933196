package eventlogtest

import (
	"errors"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

var concurrencyCases = map[string]func(*log){
	"appends to one channel": func(l *log) {
		rs := l.addMany("a", 400)
		chained(l.t, 0, rs)
		l.complete("a", eventlog.Position{}, rs)
	},
	"appends to many channels": func(l *log) {
		const channels, each = 20, 20
		rs := make([][]*eventlog.Record, channels)
		for c := range rs {
			rs[c] = make([]*eventlog.Record, each)
		}
		parallel(channels*each, func(i int) {
			c := i % channels
			rs[c][i/channels] = text("x")
			if err := l.Append(l.t.Context(), strconv.Itoa(c), rs[c][i/channels], ignore); err != nil {
				l.t.Error(err)
			}
		})
		seen := make(map[uint64]bool)
		for c, mine := range rs {
			mine = sorted(mine)
			chained(l.t, 0, mine)
			l.complete(strconv.Itoa(c), eventlog.Position{}, mine)
			for _, r := range mine {
				if seen[r.Seq] {
					l.t.Errorf("Seq %d was assigned twice", r.Seq)
				}
				seen[r.Seq] = true
			}
		}
	},
	"Time follows Seq": func(l *log) {
		rs := slices.Concat(l.addMany("a", 100), l.addMany("b", 100), l.addMany("a", 100))
		for i, r := range rs[1:] {
			if r.Time.Before(rs[i].Time) {
				l.t.Errorf("record %d of %v follows record %d of %v", r.Seq, r.Time, rs[i].Seq, rs[i].Time)
			}
		}
	},
	"deliveries of a channel keep its order": func(l *log) {
		var got []*eventlog.Record
		parallel(300, func(int) {
			err := l.Append(l.t.Context(), "a", text("x"), func(r *eventlog.Record) { got = append(got, r) })
			if err != nil {
				l.t.Error(err)
			}
		})
		chained(l.t, 0, got)
		l.complete("a", eventlog.Position{}, got)
	},
	"deliveries of a channel do not overlap": func(l *log) {
		var inside atomic.Bool
		parallel(300, func(int) {
			err := l.Append(l.t.Context(), "a", text("x"), func(*eventlog.Record) {
				if !inside.CompareAndSwap(false, true) {
					l.t.Error("two deliveries at once")
				}
				runtime.Gosched()
				inside.Store(false)
			})
			if err != nil {
				l.t.Error(err)
			}
		})
	},
	"each append is delivered once, before it returns": func(l *log) {
		parallel(300, func(i int) {
			calls := 0
			r := text("x")
			err := l.Append(l.t.Context(), strconv.Itoa(i%3), r, func(d *eventlog.Record) {
				if d.Seq != r.Seq {
					l.t.Errorf("record %d was delivered for record %d", d.Seq, r.Seq)
				}
				calls++
			})
			if err != nil || calls != 1 {
				l.t.Errorf("delivered %d times, %v", calls, err)
			}
		})
	},
	"a publisher keeps its own order": func(l *log) {
		parallel(10, func(int) {
			var last uint64
			for i := range 10 {
				r := text("x")
				if err := l.Append(l.t.Context(), strconv.Itoa(i%2), r, ignore); err != nil {
					l.t.Error(err)
				}
				if r.Seq <= last {
					l.t.Errorf("record %d was published after record %d", r.Seq, last)
				}
				last = r.Seq
			}
		})
	},
	"a publisher finds its own record": func(l *log) {
		parallel(40, func(int) {
			r := text("x")
			if err := l.Append(l.t.Context(), "a", r, ignore); err != nil {
				l.t.Error(err)
				return
			}
			p := r.Position()
			p.Seq--
			replay, err := l.After(l.t.Context(), "a", p)
			if err != nil || replay.Truncated {
				l.t.Errorf("After: truncated %v, %v", replay.Truncated, err)
				return
			}
			for got, err := range replay.Records {
				if err != nil || got.Seq != r.Seq {
					l.t.Errorf("replay before record %d: %v", r.Seq, err)
				}
				return
			}
			l.t.Errorf("record %d is missing", r.Seq)
		})
	},
	"a head is at or after what was delivered, and before later records": func(l *log) {
		var newest atomic.Uint64
		l.during(func() { l.addMany("a", 300) }, func() {
			delivered := newest.Load()
			p, err := l.Head(l.t.Context(), "a")
			if err != nil || p.Seq < delivered {
				l.t.Errorf("head is %v, record %d was delivered: %v", p, delivered, err)
			}
			r := text("x")
			err = l.Append(l.t.Context(), "a", r, func(r *eventlog.Record) { newest.Store(r.Seq) })
			if err != nil || r.Seq <= p.Seq {
				l.t.Errorf("record %d was appended after the head %v: %v", r.Seq, p, err)
			}
		})
	},
	"Head waits until the records up to it are delivered": func(l *log) {
		var mu sync.Mutex
		delivered := make(map[uint64]bool)
		var heads []eventlog.Position
		var counts []int
		write := func() {
			parallel(300, func(int) {
				err := l.Append(l.t.Context(), "a", text("x"), func(r *eventlog.Record) {
					mu.Lock()
					defer mu.Unlock()
					delivered[r.Seq] = true
				})
				if err != nil {
					l.t.Error(err)
				}
			})
		}
		l.during(write, func() {
			p, err := l.Head(l.t.Context(), "a")
			if err != nil {
				l.t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			n := 0
			for seq := range delivered {
				if seq <= p.Seq {
					n++
				}
			}
			heads, counts = append(heads, p), append(counts, n)
		})
		rs, _ := l.after("a", eventlog.Position{})
		for i, p := range heads {
			n := 0
			for _, r := range rs {
				if r.Seq <= p.Seq {
					n++
				}
			}
			if n != counts[i] {
				l.t.Errorf("%d records are up to the head %v, %d were delivered", n, p, counts[i])
			}
		}
	},
	"readers during writes see no hole": func(l *log) {
		l.during(func() { l.addMany("a", 500) }, func() {
			replay, err := l.After(l.t.Context(), "a", eventlog.Position{})
			if err != nil || replay.Truncated {
				l.t.Errorf("After: truncated %v, %v", replay.Truncated, err)
				return
			}
			rs, err := drain(replay.Records)
			if err != nil {
				l.t.Error(err)
			}
			chained(l.t, 0, rs)
		})
		rs, _ := l.after("a", eventlog.Position{})
		chained(l.t, 0, rs)
	},
	"readers during a trim see no hole without an error": func(l *log) {
		l.addMany("a", 300)
		begin := l.from(0)
		write := func() {
			for range 10 {
				l.addMany("a", 50)
				l.trim(time.Now())
			}
		}
		l.during(write, func() {
			replay, err := l.After(l.t.Context(), "a", begin)
			if err != nil {
				l.t.Error(err)
				return
			}
			rs, err := drain(replay.Records)
			if err != nil && !errors.Is(err, eventlog.ErrTrimmed) {
				l.t.Error(err)
			}
			if len(rs) > 0 {
				chained(l.t, rs[0].Prev, rs)
			}
			if len(rs) > 0 && rs[0].Prev > 0 && !replay.Truncated {
				l.t.Errorf("a complete replay of all begins with record %d, whose Prev is %d", rs[0].Seq, rs[0].Prev)
			}
		})
	},
	"appends during a trim stay in one chain": func(l *log) {
		var got []*eventlog.Record
		var running sync.WaitGroup
		running.Go(func() {
			parallel(300, func(int) {
				err := l.Append(l.t.Context(), "a", text("x"), func(r *eventlog.Record) { got = append(got, r) })
				if err != nil {
					l.t.Error(err)
				}
			})
		})
		for range 20 {
			l.trim(time.Now())
		}
		running.Wait()
		for i, r := range got[1:] {
			if r.Prev < got[i].Seq || r.Prev >= r.Seq {
				l.t.Errorf("record %d with Prev %d follows record %d", r.Seq, r.Prev, got[i].Seq)
			}
		}
	},
	"channels that come and go keep their order": func(l *log) {
		const channels = 3
		last := make([]uint64, channels)
		parallel(600, func(i int) {
			c := i % channels
			err := l.Append(l.t.Context(), strconv.Itoa(c), text("x"), func(r *eventlog.Record) {
				if r.Prev < last[c] || r.Seq <= last[c] {
					l.t.Errorf("record %d with Prev %d follows record %d", r.Seq, r.Prev, last[c])
				}
				last[c] = r.Seq
				runtime.Gosched()
			})
			if err != nil {
				l.t.Error(err)
			}
			if err := l.Trim(l.t.Context(), time.Now()); err != nil {
				l.t.Error(err)
			}
		})
	},
	"channels that come and go lose no young record": func(l *log) {
		var cut atomic.Int64 // the time of the last trim, in nanoseconds
		// A shared log does not trim here, so each replay reads all of it: fewer of them at
		// a time leave a busy server the time to answer.
		atOnce := 600
		if _, shared := l.Log.(*patient); shared {
			atOnce = 4
		}
		slots := make(chan struct{}, atOnce)
		parallel(600, func(i int) {
			slots <- struct{}{}
			defer func() { <-slots }()
			if i%3 == 0 {
				now := time.Now()
				cut.Store(max(cut.Load(), now.UnixNano()))
				if err := l.Trim(l.t.Context(), now); err != nil {
					l.t.Error(err)
				}
				return
			}
			channel, r := strconv.Itoa(i%2), text("x")
			err := l.Append(l.t.Context(), channel, r, func(*eventlog.Record) { runtime.Gosched() })
			if err != nil {
				l.t.Error(err)
				return
			}
			replay, err := l.After(l.t.Context(), channel, eventlog.Position{})
			if err != nil {
				l.t.Error(err)
				return
			}
			rs, err := drain(replay.Records)
			if slices.Contains(seqs(rs), r.Seq) || errors.Is(err, eventlog.ErrTrimmed) {
				return
			}
			if err != nil || !r.Time.Before(time.Unix(0, cut.Load())) {
				l.t.Errorf("record %d is lost: %v", r.Seq, err)
			}
		})
	},
}

// during calls watch repeatedly on another goroutine, at least once, until write has
// returned.
func (l *log) during(write, watch func()) {
	l.t.Helper()
	var done atomic.Bool
	var watching sync.WaitGroup
	watching.Go(func() {
		for last := false; !last; {
			last = done.Load()
			watch()
		}
	})
	defer watching.Wait()
	defer done.Store(true)
	write()
}
