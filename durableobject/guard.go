package durableobject

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/internal/bridge"
	"github.com/go-orpc/durable-iterator/rpc"
)

// guardedLog wraps a log of the application. A panic in one of its methods or replays is logged and
// returned as the *rpc.PanicError of that operation. A replay that is not in order also results in
// an error, because its reader would never reach the end.
type guardedLog struct {
	log     eventlog.Log
	logger  *slog.Logger
	running atomic.Int64 // number of calls that have not returned
}

// guardLog wraps a log. If nodes share the log, shared is the wrapped log, and otherwise nil.
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
		g.logger.ErrorContext(ctx, "the event log panicked", details(p, "method", method, "channel", channel)...)
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
	if replay, err = g.log.After(ctx, channel, p); err != nil {
		return eventlog.Replay{}, err
	}
	replay.Records = g.replay(ctx, "After", channel, replay.Records)
	return replay, nil
}

// Newest implements [eventlog.Newest], with [eventlog.ReadForwards] if the log does not.
func (g *guardedLog) Newest(ctx context.Context, channel string, p eventlog.Position) (replay eventlog.Replay, err error) {
	newest, ok := g.log.(eventlog.Newest)
	if !ok {
		return eventlog.ReadForwards(ctx, g, channel, p)
	}
	g.running.Add(1)
	defer g.end(ctx, methodNewest, channel, &err)
	defer bridge.RecoverTo(&err)
	if replay, err = newest.Newest(ctx, channel, p); err != nil {
		return eventlog.Replay{}, err
	}
	replay.Records = g.replay(ctx, methodNewest, channel, replay.Records)
	return replay, nil
}

// methodNewest is the method whose replays are in reverse order.
const methodNewest = "Newest"

// replay wraps the records of a replay.
func (g *guardedLog) replay(
	ctx context.Context, method, channel string, records iter.Seq2[*eventlog.Record, error],
) iter.Seq2[*eventlog.Record, error] {
	return func(yield func(*eventlog.Record, error) bool) {
		if err := g.yieldAll(ctx, method, channel, records, yield); err != nil {
			yield(nil, err)
		}
	}
}

// yieldAll yields records. It returns an error that was not yielded.
func (g *guardedLog) yieldAll(
	ctx context.Context, method, channel string, records iter.Seq2[*eventlog.Record, error], yield func(*eventlog.Record, error) bool,
) (err error) {
	g.running.Add(1)
	defer g.end(ctx, method, channel, &err)
	yielding, stopped := false, false
	defer func() {
		if yielding { // the reader has panicked, not the log
			return
		}
		if v := recover(); v != nil {
			p := &rpc.PanicError{Value: v, Stack: debug.Stack()}
			if err = p; stopped { // the reader has stopped iterating
				g.logger.ErrorContext(ctx, "the event log panicked", details(p, "method", method, "channel", channel)...)
				err = nil
			}
		}
	}()
	backwards, last := method == methodNewest, uint64(0)
	if backwards {
		last = math.MaxUint64
	}
	for rec, err := range records {
		switch {
		case err != nil:
		case rec == nil:
			return errors.New("the event log has yielded no record")
		case backwards && rec.Seq >= last, !backwards && rec.Seq <= last:
			return fmt.Errorf("the event log has yielded record %d after record %d", rec.Seq, last)
		default:
			last = rec.Seq
		}
		yielding = true
		stopped = !yield(rec, err) || err != nil
		yielding = false
		if stopped {
			return nil
		}
	}
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

// KeyWindow implements [eventlog.Keyed]. It is called when the namespace is created.
func (g *guardedLog) KeyWindow() time.Duration { return eventlog.KeyWindow(g.log) }

// Close implements [eventlog.Log]. A namespace does not close the application's log.
func (g *guardedLog) Close() error { return g.log.Close() }

// guardedShared wraps a log that other nodes append to too.
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
