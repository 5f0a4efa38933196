package durableobject

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/internal/bridge"
	"github.com/go-orpc/durable-iterator/rpc"
)

// guardedLog is a log of the application. It implements what a log may implement besides. A panic in one of its methods or replays fails
// that operation with a *rpc.PanicError and is logged. A replay fails, too, where it is
// not in order, since its reader would come to no end.
type guardedLog struct {
	log     eventlog.Log
	logger  *slog.Logger
	running atomic.Int64 // calls that have not returned
}

// guardLog returns a log with guards and, if nodes share it, that as an eventlog.Shared,
// else nil.
func guardLog(log eventlog.Log, logger *slog.Logger) (*guardedLog, eventlog.Shared) {
	g := &guardedLog{log: log, logger: logger}
	if shared, ok := log.(eventlog.Shared); ok {
		return g, &guardedShared{g, shared}
	}
	return g, nil
}

// end ends a call of the log, which has added 1 to running. It is deferred.
func (g *guardedLog) end(ctx context.Context, method, channel string, err *error) {
	g.running.Add(-1)
	if p, ok := errors.AsType[*rpc.PanicError](*err); ok {
		g.logger.ErrorContext(ctx, "the event log panicked", "method", method, "channel", channel, details(p))
	}
}

// Append implements [eventlog.Log].
func (g *guardedLog) Append(ctx context.Context, channel string, r *eventlog.Record, deliver func(*eventlog.Record)) (err error) {
	g.running.Add(1)
	defer g.end(ctx, "Append", channel, &err)
	defer bridge.RecoverTo(&err)
	return g.log.Append(ctx, channel, r, deliver)
}

// After implements [eventlog.Log].
func (g *guardedLog) After(ctx context.Context, channel string, p eventlog.Position) (replay eventlog.Replay, err error) {
	g.running.Add(1)
	defer g.end(ctx, "After", channel, &err)
	defer bridge.RecoverTo(&err)
	replay, err = g.log.After(ctx, channel, p)
	r := guardedReplay{log: g, method: "After", channel: channel, inner: replay.Records}
	replay.Records = r.records(ctx)
	return replay, err
}

// Newest implements [eventlog.Newest], in the way that [eventlog.ReadNewest] does if the log
// does not.
func (g *guardedLog) Newest(ctx context.Context, channel string, p eventlog.Position) (replay eventlog.Replay, err error) {
	g.running.Add(1)
	defer g.end(ctx, "Newest", channel, &err)
	defer bridge.RecoverTo(&err)
	replay, err = eventlog.ReadNewest(ctx, g.log, channel, p)
	r := guardedReplay{log: g, method: "Newest", channel: channel, inner: replay.Records, backwards: true}
	replay.Records = r.records(ctx)
	return replay, err
}

// KeyWindow implements [eventlog.Keyed].
func (g *guardedLog) KeyWindow() (window time.Duration) {
	_ = try(func() error { window = eventlog.KeyWindow(g.log); return nil })
	return window
}

// guardedReplay is the replay of a guardedLog.
type guardedReplay struct {
	log             *guardedLog
	method, channel string
	inner           iter.Seq2[*eventlog.Record, error]
	backwards       bool // the newest record is first
	last            uint64
	yielding        bool // the loop over the records runs, or has panicked
	stopped         bool // it wants nothing more
}

func (r *guardedReplay) records(ctx context.Context) iter.Seq2[*eventlog.Record, error] {
	return func(yield func(*eventlog.Record, error) bool) {
		if err := r.run(ctx, yield); err != nil && !r.stopped {
			yield(nil, err)
		}
	}
}

// run yields the records. The error was not yielded.
func (r *guardedReplay) run(ctx context.Context, yield func(*eventlog.Record, error) bool) (err error) {
	r.log.running.Add(1)
	defer r.log.end(ctx, r.method, r.channel, &err)
	defer func() {
		if r.yielding {
			return
		}
		if v := recover(); v != nil {
			err = &rpc.PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	for rec, err := range r.inner {
		if err == nil {
			err = r.check(rec)
		}
		r.yielding = true
		r.stopped = !yield(rec, err) || err != nil
		r.yielding = false
		if r.stopped {
			break
		}
	}
	return nil
}

// check returns an error for a record that is not in order.
func (r *guardedReplay) check(rec *eventlog.Record) error {
	switch last := r.last; {
	case rec == nil:
		return errors.New("the event log has yielded no record")
	case last == 0:
	case !r.backwards && rec.Seq <= last, r.backwards && rec.Seq >= last:
		return fmt.Errorf("the event log has yielded record %d after record %d", rec.Seq, last)
	}
	r.last = rec.Seq
	return nil
}

// Head implements [eventlog.Log].
func (g *guardedLog) Head(ctx context.Context, channel string) (head eventlog.Position, err error) {
	g.running.Add(1)
	defer g.end(ctx, "Head", channel, &err)
	defer bridge.RecoverTo(&err)
	return g.log.Head(ctx, channel)
}

// Trim implements [eventlog.Log].
func (g *guardedLog) Trim(ctx context.Context, before time.Time) (err error) {
	g.running.Add(1)
	defer g.end(ctx, "Trim", "", &err)
	defer bridge.RecoverTo(&err)
	return g.log.Trim(ctx, before)
}

// Close implements [eventlog.Log]. A namespace does not close a log that it was given.
func (g *guardedLog) Close() error { return g.log.Close() }

// guardedShared is a guardedLog that other nodes append to as well.
type guardedShared struct {
	*guardedLog

	shared eventlog.Shared
}

// Follow implements [eventlog.Shared].
func (g *guardedShared) Follow(ctx context.Context, channel string, f eventlog.Follower) (from eventlog.Position, stop func(), err error) {
	g.running.Add(1)
	defer g.end(ctx, "Follow", channel, &err)
	defer bridge.RecoverTo(&err)
	from, end, err := g.shared.Follow(ctx, channel, f)
	if end == nil {
		return from, nil, err
	}
	return from, func() { g.unfollow(channel, end) }, err
}

func (g *guardedShared) unfollow(channel string, end func()) {
	var err error
	g.running.Add(1)
	defer g.end(context.Background(), "Follow", channel, &err)
	defer bridge.RecoverTo(&err)
	end()
}
