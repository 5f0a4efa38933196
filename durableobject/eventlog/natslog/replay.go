package natslog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// After implements [eventlog.Shared]. If the records of a followed channel are in memory, it
// does no I/O. Unlike those of other logs, the records may be kept.
func (l *Log) After(ctx context.Context, channel string, p eventlog.Position) (eventlog.Replay, error) {
	replay, err := l.after(ctx, channel, p)
	if err != nil {
		if ctx.Err() == nil && errors.Is(err, context.Canceled) { // canceled by Close
			err = eventlog.ErrClosed
		}
		return eventlog.Replay{}, fmt.Errorf("natslog: after: %w", err)
	}
	return replay, nil
}

func (l *Log) after(ctx context.Context, channel string, p eventlog.Position) (eventlog.Replay, error) {
	if err := l.ready(ctx); err != nil {
		return eventlog.Replay{}, err
	}
	f := l.feedOf(channel)
	if f != nil {
		if records, ok := f.cached(p); ok {
			return eventlog.Replay{Records: l.yieldAll(ctx, records)}, nil
		}
	}
	s, err := l.state(ctx)
	if err != nil {
		return eventlog.Replay{}, err
	}
	r := &replay{log: l, ctx: ctx, subject: l.stored(token(channel)), epoch: s.epoch, end: s.last}
	if r.must, err = l.mustReach(ctx, f, r.subject, s.epoch); err != nil {
		return eventlog.Replay{}, err
	}
	r.must = min(r.must, r.end)
	if known := p.Epoch == s.epoch && p.Seq <= s.last; !known || p.Seq < s.floor {
		// The replay begins with the first record that is left.
		r.cursor, r.prev, r.loose = s.floor, s.floor, true
		return eventlog.Replay{Truncated: !p.IsZero(), Records: r.records}, nil
	}
	r.cursor = p.Seq
	if r.prev, err = l.before(ctx, r.subject, p.Seq, s.floor); err != nil {
		return eventlog.Replay{}, err
	}
	return eventlog.Replay{Records: r.records}, nil
}

// cached returns the records after p if all of them that this handle knows to be stored are
// in memory.
func (f *feed) cached(p eventlog.Position) ([]*eventlog.Record, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended || p.Epoch != f.epoch || p.Seq > f.base() || f.acked > f.base() {
		return nil, false
	}
	return f.log.cache.after(f, p.Seq, f.log.horizon())
}

// horizon returns the time before which records have expired, by the stream's clock.
func (l *Log) horizon() time.Time {
	if l.options.Retention <= 0 {
		return time.Time{}
	}
	return time.Now().Add(time.Duration(l.skew.Load()) - l.options.Retention)
}

// mustReach returns the newest Seq of the channel that a replay must reach, whichever replica
// responds.
func (l *Log) mustReach(ctx context.Context, f *feed, subject, epoch string) (uint64, error) {
	if f != nil {
		if seq, of := f.known(); seq > 0 && of == epoch {
			return seq, nil
		}
	}
	m, ok, err := l.leaderMessage(ctx, 0, subject)
	if err != nil || !ok {
		return 0, err
	}
	return m.seq, nil
}

// before returns the Seq of the newest message of a subject up to seq, or the stream's
// floor if it has none. For a stream in memory it may return a later Seq, up to seq, because
// the server would have to look at each Seq, and would block the stream meanwhile.
func (l *Log) before(ctx context.Context, subject string, seq, floor uint64) (prev uint64, err error) {
	if seq <= floor {
		return floor, nil
	}
	own := false
	at := directRequest{Seq: seq, Batch: 1}
	_, err = l.read(ctx, at, func() {}, func(m message) { own = m.seq == seq && m.subject == subject })
	if err != nil || own || l.options.Memory {
		return seq, err
	}
	prev = floor
	_, err = l.lastMessages(ctx, []string{subject}, seq, func(m message) { prev = m.seq })
	return prev, err
}

// yieldAll yields records until the log is closed.
func (l *Log) yieldAll(ctx context.Context, records []*eventlog.Record) func(func(*eventlog.Record, error) bool) {
	return func(yield func(*eventlog.Record, error) bool) {
		for _, r := range records {
			if err := l.usable(ctx); err != nil {
				yield(nil, fmt.Errorf("natslog: replay: %w", err))
				return
			}
			if !yield(r, nil) {
				return
			}
		}
	}
}

// replay reads the records of a channel from the stream.
type replay struct {
	log     *Log
	ctx     context.Context
	subject string
	epoch   string
	cursor  uint64 // Seq after which the next message is read
	prev    uint64 // Prev of the next record
	end     uint64 // last Seq of the stream when the replay was created
	must    uint64 // a Seq that the stream has, even if a replica does not have it yet
	loose   bool   // messages that are missing at the beginning are not an error
}

// staleTries is how often a read is repeated because the replica lags behind: for five seconds.
const staleTries = 200

// records implements [eventlog.Replay].Records.
func (r *replay) records(yield func(*eventlog.Record, error) bool) {
	for {
		list, err := r.next()
		if err != nil {
			yield(nil, fmt.Errorf("natslog: replay: %w", err))
			return
		}
		if len(list) == 0 {
			return
		}
		for _, m := range list {
			if err := r.log.usable(r.ctx); err != nil {
				yield(nil, fmt.Errorf("natslog: replay: %w", err))
				return
			}
			if rec, ok := r.record(m); ok && !yield(rec, nil) {
				return
			}
		}
	}
}

// next returns the next messages, or none at the end of the replay.
func (r *replay) next() ([]message, error) {
	for stale := 0; r.cursor < r.end; stale++ {
		list, err := r.read()
		if err != nil || len(list) > 0 || r.cursor >= r.must {
			return list, err
		}
		if stale == staleTries {
			return nil, fmt.Errorf("%w: replicas are behind", eventlog.ErrUnavailable)
		}
		if err := r.log.pause(r.ctx); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// record returns the record of the next message. ok is false if the message must be skipped.
func (r *replay) record(m message) (rec *eventlog.Record, ok bool) {
	r.cursor, r.loose = m.seq, false
	if m.seq > r.end {
		return nil, false
	}
	rec, err := m.record(r.epoch, r.prev)
	if err != nil {
		r.log.broken(m.subject, err)
		return nil, false
	}
	r.prev = m.seq
	return rec, true
}

// read returns the next messages, or none if the replica has none. It returns an error if
// messages after the cursor may have been dropped.
func (r *replay) read() ([]message, error) {
	if err := r.log.usable(r.ctx); err != nil {
		return nil, err
	}
	list, err := r.log.messagesFrom(r.ctx, r.subject, r.cursor+1)
	if err != nil {
		return nil, err
	}
	s, err := r.log.state(r.ctx)
	switch {
	case err != nil:
		return nil, err
	case s.epoch != r.epoch:
		return nil, eventlog.ErrTrimmed
	case s.floor <= r.cursor:
		return list, nil
	case !r.loose, r.must > r.cursor && r.must <= s.floor:
		return nil, eventlog.ErrTrimmed
	}
	return list, nil
}

// pause waits for a replica to catch up.
func (l *Log) pause(ctx context.Context) error {
	l.stats.stale.Add(1)
	select {
	case <-time.After(stalePause):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-l.ctx.Done():
		return eventlog.ErrClosed
	}
}
