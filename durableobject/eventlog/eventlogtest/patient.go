package eventlogtest

import (
	"context"
	"errors"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// patience is how long the suite waits for what must come.
const patience = 30 * time.Second

// patiently calls again while the log is unavailable, until patience has run out or ctx has
// ended.
func patiently(ctx context.Context, call func() error) error {
	for deadline := time.Now().Add(patience); ; {
		err := call()
		if !errors.Is(err, eventlog.ErrUnavailable) || !time.Now().Before(deadline) {
			return err
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return call()
		}
	}
}

// patient is a log that tries again what it finds unavailable. A shared log may return
// ErrUnavailable whenever its server is busy, and most cases are not about that.
type patient struct{ eventlog.Log }

// usePatiently returns l, or a patient one if l is shared.
func usePatiently(l eventlog.Log) eventlog.Log {
	if _, shared := l.(eventlog.Shared); shared {
		return patient{l}
	}
	return l
}

// Append implements [eventlog.Log]. What is unavailable has stored nothing.
func (p patient) Append(ctx context.Context, channel string, r *eventlog.Record, deliver func(*eventlog.Record)) error {
	return patiently(ctx, func() error { return p.Log.Append(ctx, channel, r, deliver) })
}

// Head implements [eventlog.Log].
func (p patient) Head(ctx context.Context, channel string) (head eventlog.Position, err error) {
	err = patiently(ctx, func() error {
		head, err = p.Log.Head(ctx, channel)
		return err
	})
	return head, err
}

// Trim implements [eventlog.Log].
func (p patient) Trim(ctx context.Context, before time.Time) error {
	return patiently(ctx, func() error { return p.Log.Trim(ctx, before) })
}

// After implements [eventlog.Log].
func (p patient) After(ctx context.Context, channel string, from eventlog.Position) (eventlog.Replay, error) {
	return replayPatiently(ctx, from, func(from eventlog.Position) (eventlog.Replay, error) {
		return p.Log.After(ctx, channel, from)
	})
}

// Newest implements [eventlog.Newest].
func (p patient) Newest(ctx context.Context, channel string, from eventlog.Position) (eventlog.Replay, error) {
	return replayPatiently(ctx, from, func(from eventlog.Position) (eventlog.Replay, error) {
		return eventlog.ReadNewest(ctx, p.Log, channel, from)
	})
}

// KeyWindow implements [eventlog.Keyed].
func (p patient) KeyWindow() time.Duration { return eventlog.KeyWindow(p.Log) }

// replayPatiently returns what read does, whose replay goes on after the record that it
// yielded last where reading on is unavailable.
func replayPatiently(
	ctx context.Context, from eventlog.Position, read func(from eventlog.Position) (eventlog.Replay, error),
) (eventlog.Replay, error) {
	first, err := readPatiently(ctx, from, read)
	if err != nil {
		return eventlog.Replay{}, err
	}
	records := func(yield func(*eventlog.Record, error) bool) {
		part, over := first, false
		err := patiently(ctx, func() (err error) {
			if part.Records == nil {
				if part, err = readPatiently(ctx, from, read); err != nil {
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

func readPatiently(
	ctx context.Context, from eventlog.Position, read func(from eventlog.Position) (eventlog.Replay, error),
) (replay eventlog.Replay, err error) {
	err = patiently(ctx, func() error {
		replay, err = read(from)
		return err
	})
	return replay, err
}
