package eventlogtest

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// log is a log under test. Its methods fail the test instead of returning errors, so they
// must be called on the goroutine of the test.
type log struct {
	eventlog.Log
	t *testing.T

	coarse    bool // see Store.CoarseFloor
	anyFirst  bool // see Store.AnyFirst
	retention time.Duration
	moment    time.Duration // a short time, compared with the retention
}

// useStore returns l, a log of s, for a test.
func useStore(t *testing.T, l eventlog.Log, s Store) *log {
	t.Helper()
	under := use(t, l)
	under.coarse, under.anyFirst = s.CoarseFloor, s.AnyFirst
	under.retention, under.moment = time.Hour, time.Minute
	if s.RealTime > 0 {
		under.retention, under.moment = s.RealTime, s.RealTime/8 // how long a busy machine may take
	}
	return under
}

// use returns l for a test, and closes it when the test ends.
func use(t *testing.T, l eventlog.Log) *log {
	t.Helper()
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return &log{Log: usePatiently(l), t: t}
}

// ignore is the deliver of appends whose delivery is not tested.
func ignore(*eventlog.Record) {}

// text returns a record with the given data.
func text(data string) *eventlog.Record { return &eventlog.Record{Data: []byte(data)} }

// add appends r and returns it.
func (l *log) add(channel string, r *eventlog.Record) *eventlog.Record {
	l.t.Helper()
	if err := l.Append(l.t.Context(), channel, r, ignore); err != nil {
		l.t.Fatalf("Append to %q: %v", channel, err)
	}
	return r
}

// addN appends n records one after another. The data of each is its number.
func (l *log) addN(channel string, n int) []*eventlog.Record {
	l.t.Helper()
	var rs []*eventlog.Record
	for i := range n {
		rs = append(rs, l.add(channel, text(strconv.Itoa(i))))
	}
	return rs
}

// addMany appends n records from many goroutines, so that a store that waits for a disk can
// write them together. It returns them in order of Seq.
func (l *log) addMany(channel string, n int) []*eventlog.Record {
	l.t.Helper()
	rs := make([]*eventlog.Record, n)
	parallel(n, func(i int) {
		rs[i] = text(strconv.Itoa(i))
		if err := l.Append(l.t.Context(), channel, rs[i], ignore); err != nil {
			l.t.Errorf("Append to %q: %v", channel, err)
		}
	})
	if l.t.Failed() {
		l.t.FailNow()
	}
	return sorted(rs)
}

// after returns the records of channel after p.
func (l *log) after(channel string, p eventlog.Position) (rs []*eventlog.Record, truncated bool) {
	l.t.Helper()
	replay, err := l.After(l.t.Context(), channel, p)
	if err != nil {
		l.t.Fatalf("After %v of %q: %v", p, channel, err)
	}
	for r, err := range replay.Records {
		if err != nil {
			l.t.Fatalf("replay after %v of %q: %v", p, channel, err)
		}
		rs = append(rs, r.Clone())
	}
	return rs, replay.Truncated
}

// complete checks that the replay after p is want and complete.
func (l *log) complete(channel string, p eventlog.Position, want []*eventlog.Record) {
	l.t.Helper()
	l.replays(channel, p, want, false)
}

// truncated checks that the replay after p is want and truncated.
func (l *log) truncated(channel string, p eventlog.Position, want []*eventlog.Record) {
	l.t.Helper()
	l.replays(channel, p, want, true)
}

// completeUnlessCoarse checks that the replay after p is want. It may be truncated if the
// log has no floor for each channel.
func (l *log) completeUnlessCoarse(channel string, p eventlog.Position, want []*eventlog.Record) {
	l.t.Helper()
	_, truncated := l.after(channel, p)
	l.replays(channel, p, want, truncated && l.coarse)
}

// retains checks that channel has lost records and that want are left: replays from a
// position before the lost ones are truncated, and the replay from the zero Position, which
// means everything that is retained, is complete.
func (l *log) retains(channel string, want []*eventlog.Record) {
	l.t.Helper()
	l.truncated(channel, l.from(0), want)
	l.complete(channel, eventlog.Position{}, want)
}

func (l *log) replays(channel string, p eventlog.Position, want []*eventlog.Record, truncated bool) {
	l.t.Helper()
	got, cut := l.after(channel, p)
	if cut != truncated {
		l.t.Errorf("replay after %v of %q: Truncated is %v", p, channel, cut)
	}
	l.sameUnlessCoarse(got, want)
	if p.IsZero() {
		l.newest(channel, p, want)
	}
}

// sameUnlessCoarse is same, except that the Prev of the first record is not compared if the
// log has no floor for each channel.
func (l *log) sameUnlessCoarse(got, want []*eventlog.Record) {
	l.t.Helper()
	if l.coarse && len(got) > 0 && len(want) > 0 && got[0].Prev > want[0].Prev && got[0].Prev < want[0].Seq {
		// The record before the first one is not known: its Prev is the log's floor.
		got[0].Prev = want[0].Prev
	}
	same(l.t, got, want)
}

// head returns the head of channel.
func (l *log) head(channel string) eventlog.Position {
	l.t.Helper()
	p, err := l.Head(l.t.Context(), channel)
	if err != nil {
		l.t.Fatalf("Head of %q: %v", channel, err)
	}
	return p
}

// reach checks that the head of channel is at or after r.
func (l *log) reach(channel string, r *eventlog.Record) {
	l.t.Helper()
	if p := l.head(channel); p.Seq < r.Seq {
		l.t.Errorf("head %v of %q is before its record %v", p, channel, r.Position())
	}
}

// from returns the position of seq in the current epoch of the log.
func (l *log) from(seq uint64) eventlog.Position {
	l.t.Helper()
	return eventlog.Position{Epoch: l.head("").Epoch, Seq: seq}
}

// same checks that got and want are equal.
func same(t *testing.T, got, want []*eventlog.Record) {
	t.Helper()
	if g, w := seqs(got), seqs(want); !slices.Equal(g, w) {
		t.Fatalf("got the records %v, want %v", g, w)
	}
	for i, r := range want {
		sameRecord(t, got[i], r)
	}
}

func sameRecord(t *testing.T, got, want *eventlog.Record) {
	t.Helper()
	g, w := normal(got), normal(want)
	if !got.Time.Equal(want.Time) || !reflect.DeepEqual(g, w) {
		t.Errorf("got the record %+v, want %+v", got, want)
	}
}

// normal returns r without the differences that equal records may have: how their time is
// written, whether empty bytes and excludes are nil, and the key, which a replay may omit.
func normal(r *eventlog.Record) eventlog.Record {
	n := *r
	n.Time, n.Key = n.Time.UTC().Round(0), ""
	n.Data = append([]byte{}, r.Data...)
	n.Meta = append([]byte{}, r.Meta...)
	n.Excludes = append([]eventlog.Recipient{}, r.Excludes...)
	return n
}

func seqs(rs []*eventlog.Record) []uint64 {
	var s []uint64
	for _, r := range rs {
		s = append(s, r.Seq)
	}
	return s
}

// sorted sorts rs by Seq and returns it.
func sorted(rs []*eventlog.Record) []*eventlog.Record {
	return slices.SortedFunc(slices.Values(rs), func(a, b *eventlog.Record) int {
		if a.Seq < b.Seq {
			return -1
		}
		return 1
	})
}

// chained checks that the Prev of each record is the Seq of the one before it, and that of
// the first is prev.
func chained(t *testing.T, prev uint64, rs []*eventlog.Record) {
	t.Helper()
	for _, r := range rs {
		if r.Prev != prev || r.Seq <= prev {
			t.Errorf("record %d with Prev %d follows record %d", r.Seq, r.Prev, prev)
		}
		prev = r.Seq
	}
}

// is checks that err wraps target.
func is(t *testing.T, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("got the error %v, want %v", err, target)
	}
}

// ended returns a context that has ended.
func ended(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// parallel calls f with 0 to n-1 concurrently and waits for all calls.
func parallel(n int, f func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { f(i) })
	}
	wg.Wait()
}
