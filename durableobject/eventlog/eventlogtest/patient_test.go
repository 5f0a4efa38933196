package eventlogtest_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog/eventlogtest"
)

// busy is a handle whose server is often busy: every other call returns ErrUnavailable, and
// a replay does after it has yielded as many records as there were calls.
type busy struct {
	eventlog.Shared
	calls atomic.Int64
}

func (b *busy) refuse(ctx context.Context) error {
	if b.calls.Add(1)%2 == 0 && ctx.Err() == nil {
		return eventlog.ErrUnavailable
	}
	return nil
}

func (b *busy) Append(ctx context.Context, channel string, r *eventlog.Record, deliver func(*eventlog.Record)) error {
	if err := b.refuse(ctx); err != nil {
		return err
	}
	return b.Shared.Append(ctx, channel, r, deliver)
}

func (b *busy) Head(ctx context.Context, channel string) (eventlog.Position, error) {
	if err := b.refuse(ctx); err != nil {
		return eventlog.Position{}, err
	}
	return b.Shared.Head(ctx, channel)
}

func (b *busy) Trim(ctx context.Context, before time.Time) error {
	if err := b.refuse(ctx); err != nil {
		return err
	}
	return b.Shared.Trim(ctx, before)
}

func (b *busy) After(ctx context.Context, channel string, p eventlog.Position) (eventlog.Replay, error) {
	if err := b.refuse(ctx); err != nil {
		return eventlog.Replay{}, err
	}
	replay, err := b.Shared.After(ctx, channel, p)
	return b.breakOff(replay), err
}

func (b *busy) Newest(ctx context.Context, channel string, p eventlog.Position) (eventlog.Replay, error) {
	if err := b.refuse(ctx); err != nil {
		return eventlog.Replay{}, err
	}
	replay, err := eventlog.ReadNewest(ctx, b.Shared, channel, p)
	return b.breakOff(replay), err
}

func (b *busy) KeyWindow() time.Duration { return eventlog.KeyWindow(b.Shared) }

func (b *busy) Follow(ctx context.Context, channel string, f eventlog.Follower) (eventlog.Position, func(), error) {
	if err := b.refuse(ctx); err != nil {
		return eventlog.Position{}, nil, err
	}
	return b.Shared.Follow(ctx, channel, f)
}

func (b *busy) breakOff(replay eventlog.Replay) eventlog.Replay {
	records, limit := replay.Records, b.calls.Load()
	replay.Records = func(yield func(*eventlog.Record, error) bool) {
		n := int64(0)
		for r, err := range records {
			if n == limit {
				yield(nil, eventlog.ErrUnavailable)
				return
			}
			if n++; !yield(r, err) {
				return
			}
		}
	}
	return replay
}

// A log that is sometimes unavailable passes the suite.
func TestBusyLog(t *testing.T) {
	t.Parallel()
	eventlogtest.RunStore(t, eventlogtest.Store{
		Open: func(*testing.T) eventlog.Log { return &busy{Shared: eventlogtest.NewSharedMemory(nil).Open()} },
	})
	eventlogtest.RunShared(t, eventlogtest.SharedStore{Open: func(t *testing.T) eventlogtest.SharedLog {
		l := openShared(t)
		return eventlogtest.SharedLog{Handle: func(t *testing.T) eventlog.Shared { return &busy{Shared: l.Handle(t)} }}
	}})
}
