package fanout

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// past is a log in memory with a channel whose pages are read.
type past struct {
	t   *testing.T
	log eventlog.Log
	ids []string
}

func newPast(t *testing.T) *past {
	log := eventlog.NewMemory(nil)
	t.Cleanup(func() { require.NoError(t, log.Close()) })
	return &past{t: t, log: log}
}

func (p *past) add(n int, set ...func(*eventlog.Audience)) {
	p.t.Helper()
	for range n {
		rec := record(fmt.Sprint(len(p.ids)), set...)
		require.NoError(p.t, p.log.Append(p.t.Context(), "channel", rec, func(*eventlog.Record) {}))
		p.ids = append(p.ids, rec.Position().String())
	}
}

func (p *past) read(q Query) Past {
	p.t.Helper()
	page, err := ReadPast(p.t.Context(), p.log, "channel", q)
	require.NoError(p.t, err)
	return page
}

// walk reads all pages from q on, and returns how many there were.
func (p *past) walk(q Query) (texts []string, pages int) {
	p.t.Helper()
	for {
		page := p.read(q)
		require.False(p.t, page.Truncated)
		texts = append(texts, textsOf(p.t, page)...)
		if pages++; page.Next == "" {
			return texts, pages
		}
		if q.Before == "" {
			q.After = page.Next
		} else {
			q.Before = page.Next
		}
	}
}

func textsOf(t *testing.T, page Past) []string {
	t.Helper()
	list := []string{}
	for _, rec := range page.Records {
		var text string
		require.NoError(t, json.Unmarshal(rec.Data, &text))
		list = append(list, text)
	}
	return list
}

func TestPastPages(t *testing.T) {
	t.Parallel()
	p := newPast(t)
	p.add(7)
	forwards, pages := p.walk(Query{Limit: 3})
	require.Equal(t, []string{"0", "1", "2", "3", "4", "5", "6"}, forwards)
	require.Equal(t, 3, pages)
	backwards, pages := p.walk(Query{Before: Newest, Limit: 3})
	require.Equal(t, []string{"6", "5", "4", "3", "2", "1", "0"}, backwards)
	require.Equal(t, 3, pages)
	for limit, want := range map[int]int{7: 1, 8: 1, 6: 2, 1: 7} {
		_, pages := p.walk(Query{Limit: limit})
		require.Equal(t, want, pages, "forwards, limit %d", limit)
		_, pages = p.walk(Query{Before: Newest, Limit: limit})
		require.Equal(t, want, pages, "backwards, limit %d", limit)
	}
}

func TestPastBeginsWhereItIsAsked(t *testing.T) {
	t.Parallel()
	p := newPast(t)
	p.add(5)
	for name, test := range map[string]struct {
		q         Query
		want      []string
		truncated bool
	}{
		"after an event":       {Query{After: p.ids[2]}, []string{"3", "4"}, false},
		"after the last":       {Query{After: p.ids[4]}, []string{}, false},
		"after zero":           {Query{After: "0"}, []string{"0", "1", "2", "3", "4"}, false},
		"after nonsense":       {Query{After: "nonsense"}, []string{"0", "1", "2", "3", "4"}, true},
		"after another epoch":  {Query{After: "other-3"}, []string{"0", "1", "2", "3", "4"}, true},
		"before an event":      {Query{Before: p.ids[2]}, []string{"1", "0"}, false},
		"before the first":     {Query{Before: p.ids[0]}, []string{}, false},
		"before zero":          {Query{Before: "0"}, []string{}, false},
		"before nonsense":      {Query{Before: "nonsense"}, []string{"4", "3", "2", "1", "0"}, true},
		"before another epoch": {Query{Before: "other-3"}, []string{"4", "3", "2", "1", "0"}, true},
	} {
		test.q.Limit = 10
		page := p.read(test.q)
		require.Equal(t, test.want, textsOf(t, page), name)
		require.Equal(t, test.truncated, page.Truncated, name)
		require.Empty(t, page.Next, name)
	}
}

func TestPastIsBounded(t *testing.T) {
	t.Parallel()
	t.Run("bytes", func(t *testing.T) {
		t.Parallel()
		p := newPast(t)
		for _, size := range []int{100 << 10, 400 << 10, 400 << 10, 400 << 10, 3 << 20, 10} {
			rec := &eventlog.Record{Data: make([]byte, size)}
			require.NoError(t, p.log.Append(t.Context(), "channel", rec, func(*eventlog.Record) {}))
		}
		for _, q := range []Query{{Limit: 100}, {Limit: 100, Before: Newest}} {
			total := 0
			for {
				page := p.read(q)
				bytes := 0
				for _, rec := range page.Records {
					bytes += len(rec.Data)
				}
				if len(page.Records) > 1 {
					require.LessOrEqual(t, bytes, MaxPastBytes)
				}
				require.NotEmpty(t, page.Records)
				if total += len(page.Records); page.Next == "" {
					break
				}
				if q.Before == "" {
					q.After = page.Next
				} else {
					q.Before = page.Next
				}
			}
			require.Equal(t, 6, total)
		}
	})
	t.Run("the audience counts", func(t *testing.T) {
		t.Parallel()
		p := newPast(t)
		many := make([]string, 10_000)
		for i := range many {
			many[i] = fmt.Sprint("client ", i)
		}
		p.add(10, targets(many...))
		require.Len(t, p.read(Query{Limit: 10}).Records, 2)
	})
	t.Run("records looked at", func(t *testing.T) {
		t.Parallel()
		p := newPast(t)
		p.add(1)
		p.add(2*MaxPastScan, targets("b"))
		p.add(1)
		log := &countingLog{Log: p.log}
		p.log = log
		includes := func(a *eventlog.Audience) bool { return a.Includes(nil, eventlog.Recipient{ID: "a"}) }
		for _, q := range []Query{{Limit: 5, Includes: includes}, {Limit: 5, Includes: includes, Before: Newest}} {
			log.yielded = 0
			page := p.read(q)
			require.Len(t, page.Records, 1)
			require.Equal(t, MaxPastScan, log.yielded)
			require.NotEmpty(t, page.Next)
			texts, pages := p.walk(q)
			require.Len(t, texts, 2)
			require.Equal(t, 3, pages)
		}
	})
}

// countingLog counts the records that are read from it.
type countingLog struct {
	eventlog.Log
	yielded int
}

func (l *countingLog) After(ctx context.Context, channel string, p eventlog.Position) (eventlog.Replay, error) {
	return l.count(l.Log.After(ctx, channel, p))
}

func (l *countingLog) Newest(ctx context.Context, channel string, p eventlog.Position) (eventlog.Replay, error) {
	return l.count(eventlog.ReadNewest(ctx, l.Log, channel, p))
}

func (l *countingLog) count(replay eventlog.Replay, err error) (eventlog.Replay, error) {
	records := replay.Records
	replay.Records = func(yield func(*eventlog.Record, error) bool) {
		for r, err := range records {
			if l.yielded++; !yield(r, err) {
				return
			}
		}
	}
	return replay, err
}

// For the newest page of a long history, only its records are read, and one more to determine
// whether there are others.
func TestPastReadsLittleOfWhatIsNotReturned(t *testing.T) {
	t.Parallel()
	p := newPast(t)
	const size, count = 1 << 18, 100
	text := strings.Repeat("x", size)
	for range count {
		require.NoError(t, p.log.Append(t.Context(), "channel", record(text), func(*eventlog.Record) {}))
	}
	p.add(1)
	counted := &countedReads{Log: p.log}
	p.log = counted
	none := func(*eventlog.Audience) bool { return false }
	for name, q := range map[string]Query{"forwards": {}, "backwards": {Before: Newest}} {
		q.Limit, q.Includes = 1, none
		counted.bytes = 0
		page := p.read(q)
		require.Empty(t, page.Records, name)
		require.NotEmpty(t, page.Next, name)
		require.LessOrEqual(t, counted.bytes, MaxPastScanBytes+2*size, name)
		texts, pages := p.walk(q)
		require.Empty(t, texts, name)
		require.Equal(t, 4, pages, name)
	}
}

// countedReads counts the bytes that are read from a log.
type countedReads struct {
	eventlog.Log
	bytes int
}

func (l *countedReads) After(ctx context.Context, channel string, p eventlog.Position) (eventlog.Replay, error) {
	replay, err := l.Log.After(ctx, channel, p)
	return l.count(replay), err
}

func (l *countedReads) Newest(ctx context.Context, channel string, p eventlog.Position) (eventlog.Replay, error) {
	replay, err := eventlog.ReadNewest(ctx, l.Log, channel, p)
	return l.count(replay), err
}

func (l *countedReads) count(replay eventlog.Replay) eventlog.Replay {
	records := replay.Records
	replay.Records = func(yield func(*eventlog.Record, error) bool) {
		for rec, err := range records {
			if rec != nil {
				l.bytes += len(rec.Data)
			}
			if !yield(rec, err) {
				return
			}
		}
	}
	return replay
}

func TestPastReadsLittle(t *testing.T) {
	t.Parallel()
	p := newPast(t)
	p.add(20_000)
	log := &countingLog{Log: p.log}
	p.log = log
	page := p.read(Query{Before: Newest, Limit: 50})
	require.Len(t, page.Records, 50)
	require.Equal(t, 51, log.yielded)
	log.yielded = 0
	page = p.read(Query{Before: page.Next, Limit: 50})
	require.Equal(t, "19949", textsOf(t, page)[0])
	require.Equal(t, 51, log.yielded)
}

// Records that are dropped between two pages make the second one truncated.
func TestPastIsTrimmed(t *testing.T) {
	t.Parallel()
	bubble(t, nil, func(f *fixture) {
		var ids []string
		for i := range 6 {
			ids = append(ids, f.publish(fmt.Sprint(i)))
			time.Sleep(time.Second)
		}
		read := func(q Query) Past {
			q.Limit = 2
			page, err := ReadPast(t.Context(), f.log, "channel", q)
			require.NoError(t, err)
			return page
		}
		first := read(Query{})
		newest := read(Query{Before: Newest})
		require.NoError(t, f.log.Trim(t.Context(), time.Now().Add(-2500*time.Millisecond)))
		next := read(Query{After: first.Next})
		require.True(t, next.Truncated)
		require.Equal(t, []string{"4", "5"}, textsOf(t, next))
		require.Empty(t, next.Next)
		require.Empty(t, textsOf(t, read(Query{Before: newest.Next})), "nothing is left before")
		require.False(t, read(Query{After: ids[3]}).Truncated)
		require.False(t, read(Query{}).Truncated, "what is retained")
	})
}

// forgetful is a log whose replays are trimmed after some records, a limited number of times.
type forgetful struct {
	eventlog.Log
	after, times int
}

func (l *forgetful) After(ctx context.Context, channel string, p eventlog.Position) (eventlog.Replay, error) {
	replay, err := l.Log.After(ctx, channel, p)
	records := replay.Records
	replay.Records = func(yield func(*eventlog.Record, error) bool) {
		left := l.after
		for r, err := range records {
			if left == 0 && l.times > 0 {
				l.times--
				yield(nil, eventlog.ErrTrimmed)
				return
			}
			if left--; !yield(r, err) {
				return
			}
		}
	}
	return replay, err
}

func TestPastIsTrimmedMeanwhile(t *testing.T) {
	t.Parallel()
	p := newPast(t)
	p.add(5)
	memory := p.log
	p.log = &forgetful{memory, 2, 1}
	page := p.read(Query{Limit: 10})
	require.Equal(t, []string{"0", "1"}, textsOf(t, page))
	require.Equal(t, p.ids[1], page.Next)
	p.log = &forgetful{memory, 0, 3}
	require.Len(t, p.read(Query{Limit: 10}).Records, 5)
	p.log = &forgetful{memory, 0, 1000}
	_, err := ReadPast(t.Context(), p.log, "channel", Query{Limit: 10})
	require.ErrorIs(t, err, eventlog.ErrTrimmed)
}
