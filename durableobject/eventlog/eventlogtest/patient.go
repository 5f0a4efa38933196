package eventlogtest

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// patience is how long the suite waits for something that must happen.
const patience = 30 * time.Second

// patient is a log that repeats calls that return ErrUnavailable. A shared log may return
// it whenever its server is busy, and most cases do not test that.
type patient struct {
	eventlog.Log
	answered atomic.Int64 // when the log was last available, in nanoseconds
}

// usePatiently returns l, or a patient one if l is shared.
func usePatiently(l eventlog.Log) eventlog.Log {
	if _, shared := l.(eventlog.Shared); shared {
		return &patient{Log: l}
	}
	return l
}

// try repeats call while it returns ErrUnavailable, until no call of any caller has
// succeeded for the duration patience: a case makes many calls at once, and each may have
// to wait until the server has handled the others.
func (p *patient) try(ctx context.Context, call func() error) error {
	for start := time.Now(); ; {
		err := call()
		if !errors.Is(err, eventlog.ErrUnavailable) {
			p.note()
			return err
		}
		since := time.Unix(0, p.answered.Load())
		if since.Before(start) {
			since = start
		}
		if time.Since(since) > patience {
			return err
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return call()
		}
	}
}

func (p *patient) note() { p.answered.Store(time.Now().UnixNano()) }

// Append implements [eventlog.Log]. An Append that returns ErrUnavailable has stored
// nothing.
func (p *patient) Append(ctx context.Context, channel string, r *eventlog.Record, deliver func(*eventlog.Record)) error {
	return p.try(ctx, func() error { return p.Log.Append(ctx, channel, r, deliver) })
}

// Head implements [eventlog.Log].
func (p *patient) Head(ctx context.Context, channel string) (head eventlog.Position, err error) {
	err = p.try(ctx, func() error {
		head, err = p.Log.Head(ctx, channel)
		return err
	})
	return head, err
}

// Trim implements [eventlog.Log].
func (p *patient) Trim(ctx context.Context, before time.Time) error {
	return p.try(ctx, func() error { return p.Log.Trim(ctx, before) })
}

// After implements [eventlog.Log].
func (p *patient) After(ctx context.Context, channel string, from eventlog.Position) (eventlog.Replay, error) {
	return p.replay(ctx, from, func(from eventlog.Position) (eventlog.Replay, error) {
		return p.Log.After(ctx, channel, from)
	})
}

// Newest implements [eventlog.Newest].
func (p *patient) Newest(ctx context.Context, channel string, from eventlog.Position) (eventlog.Replay, error) {
	return p.replay(ctx, from, func(from eventlog.Position) (eventlog.Replay, error) {
		return eventlog.ReadNewest(ctx, p.Log, channel, from)
	})
}

// KeyWindow implements [eventlog.Keyed].
func (p *patient) KeyWindow() time.Duration { return eventlog.KeyWindow(p.Log) }

// reader reads a channel from a position.
type reader func(from eventlog.Position) (eventlog.Replay, error)

// replay returns the result of read. If a later read returns ErrUnavailable, the replay
// continues after the last record that it has yielded.
func (p *patient) replay(ctx context.Context, from eventlog.Position, read reader) (eventlog.Replay, error) {
	first, err := p.read(ctx, from, read)
	if err != nil {
		return eventlog.Replay{}, err
	}
	records := func(yield func(*eventlog.Record, error) bool) {
		part, over := first, false
		err := p.try(ctx, func() (err error) {
			if part.Records == nil {
				if part, err = p.read(ctx, from, read); err != nil {
					return err
				}
			}
			if part.Truncated && !first.Truncated {
				return eventlog.ErrTrimmed
			}
			var r *eventlog.Record
			for r, err = range part.Records {
				if err != nil {
					break
				}
				p.note()
				from = r.Position()
				if over = !yield(r, nil); over {
					break
				}
			}
			part.Records = nil
			return err
		})
		if err != nil && !over {
			yield(nil, err)
		}
	}
	return eventlog.Replay{Truncated: first.Truncated, Records: records}, nil
}

func (p *patient) read(ctx context.Context, from eventlog.Position, read reader) (replay eventlog.Replay, err error) {
	err = p.try(ctx, func() error {
		replay, err = read(from)
		return err
	})
	return replay, err
}
