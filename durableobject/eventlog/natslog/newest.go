package natslog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

var _ eventlog.Newest = (*Log)(nil)

// Newest implements [eventlog.Newest]. The newest records of a followed channel are read from
// memory. Earlier ones are read from the stream, part by part from its end, since JetStream
// reads a subject only forwards. Unlike those of other logs, the records may be kept.
func (l *Log) Newest(ctx context.Context, channel string, p eventlog.Position) (eventlog.Replay, error) {
	replay, err := l.newest(ctx, channel, p)
	if err != nil {
		if ctx.Err() == nil && errors.Is(err, context.Canceled) { // canceled by Close
			err = eventlog.ErrClosed
		}
		return eventlog.Replay{}, fmt.Errorf("natslog: newest: %w", err)
	}
	return replay, nil
}

func (l *Log) newest(ctx context.Context, channel string, p eventlog.Position) (eventlog.Replay, error) {
	if err := l.ready(ctx); err != nil {
		return eventlog.Replay{}, err
	}
	f := l.feedOf(channel)
	r := &backwardReplay{log: l, ctx: ctx, subject: l.stored(token(channel))}
	if f != nil && f.lastCached(r, p) {
		return eventlog.Replay{Records: r.records}, nil
	}
	s, err := l.state(ctx)
	if err != nil {
		return eventlog.Replay{}, err
	}
	r.epoch, r.end = s.epoch, s.last+1
	known := p.IsZero() || p.Epoch == s.epoch && p.Seq <= s.last
	if known && !p.IsZero() {
		r.end = p.Seq
	}
	if r.must, err = l.mustReach(ctx, f, r.subject, s.epoch); err != nil {
		return eventlog.Replay{}, err
	}
	return eventlog.Replay{Truncated: !known, Records: r.records}, nil
}

// maxCached is how many cached records a replay takes at once.
const maxCached = 1024

// lastCached makes r begin with the records before p that are in memory. It returns false if
// p is not known to be a position, or if the records in memory may not be the newest.
func (f *feed) lastCached(r *backwardReplay, p eventlog.Position) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended || f.acked > f.base() || !p.IsZero() && (p.Epoch != f.epoch || p.Seq > f.base()) {
		return false
	}
	list, from, ok := f.log.cache.newest(f, f.log.horizon())
	if !ok || len(list) == 0 {
		return false
	}
	// The stream has the oldest of them, so reading it must reach that one.
	r.epoch, r.must, r.end = f.epoch, list[0].Seq, from+1
	if !p.IsZero() {
		list = slices.DeleteFunc(list, func(rec *eventlog.Record) bool { return rec.Seq >= p.Seq })
		r.end = min(r.end, p.Seq)
	}
	r.cached = list
	return true
}

// newest returns the newest records of f that are not older than horizon, at most
// maxCached. They are all records after from.
func (c *cache) newest(f *feed, horizon time.Time) (records []*eventlog.Record, from uint64, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &f.tail
	for len(t.records) > 0 && t.records[0].Time.Before(horizon) {
		c.shift(f)
	}
	if !t.kept {
		return nil, 0, false
	}
	if len(t.records) > 0 {
		c.touch(f)
	}
	first := max(len(t.records)-maxCached, 0)
	if from = t.from; first > 0 {
		from = t.records[first-1].Seq
	}
	return slices.Clone(t.records[first:]), from, true
}
