package eventlog

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
)

// Newest is implemented by a [Log] that can read a channel backwards from its end. The logs
// of this module implement it. [ReadNewest] reads any log in this way.
type Newest interface {
	// Newest returns the records that channel retains before p, newest first. For the zero
	// Position it returns all records that are retained. It also does so, with Truncated
	// set, if the log does not know p: its epoch is unknown, or it is after the last record
	// kept of its epoch. If no records before a known position are left, the replay is
	// empty and not truncated.
	//
	// The records are like those of [Log.After], in the opposite order, beginning with the
	// channel's newest record at the time of the call or later. If records that are still to
	// be yielded are dropped meanwhile, the replay ends without an error. The time to read
	// the newest n records depends on n, but hardly on how many records there are.
	Newest(ctx context.Context, channel string, p Position) (Replay, error)
}

// ReadNewest returns the records that channel retains before p, newest first, as described
// at [Newest]. If the log does not implement Newest, it reads the whole channel forwards for
// every 256 records, or every 1 MiB of them, that its caller consumes.
func ReadNewest(ctx context.Context, log Log, channel string, p Position) (Replay, error) {
	if n, ok := log.(Newest); ok {
		return n.Newest(ctx, channel, p)
	}
	return ReadForwards(ctx, log, channel, p)
}

// ReadForwards is [ReadNewest] for a log that does not implement [Newest]. A log that wraps
// another log calls it, with itself as log, if the other one does not implement Newest.
func ReadForwards(ctx context.Context, log Log, channel string, p Position) (Replay, error) {
	known, err := knows(ctx, log, channel, p)
	if err != nil {
		return Replay{}, err
	}
	limit := p.Seq
	if !known || p.IsZero() {
		limit = math.MaxUint64
	}
	records := func(yield func(*Record, error) bool) { backwards(ctx, log, channel, limit, yield) }
	return Replay{Truncated: !known, Records: records}, nil
}

// knows reports whether log knows the position p.
func knows(ctx context.Context, log Log, channel string, p Position) (bool, error) {
	head, err := log.Head(ctx, channel)
	if err != nil || p.IsZero() || p.Epoch == head.Epoch && p.Seq <= head.Seq {
		return true, err
	}
	// It is in an earlier epoch or, in a shared log, after what its follower has received.
	replay, err := log.After(ctx, channel, p)
	return !replay.Truncated, err
}

// How much of a channel [ReadNewest] keeps when it reads it forwards; at least one record.
const (
	windowRecords = 256
	windowBytes   = 1 << 20
)

// backwards yields the records of a channel before a Seq, newest first.
func backwards(ctx context.Context, log Log, channel string, limit uint64, yield func(*Record, error) bool) {
	for more := true; more; {
		window, cut, err := lastBefore(ctx, log, channel, limit)
		if err != nil {
			yield(nil, fmt.Errorf("eventlog: replay: %w", err))
			return
		}
		for more = cut; window.len > 0; {
			r := window.at(window.len - 1)
			window.len--
			if limit = r.Seq; !yield(r, nil) {
				return
			}
		}
	}
}

// lastBefore returns the last records of a channel before a Seq, and reports whether there
// are others before them.
func lastBefore(ctx context.Context, log Log, channel string, limit uint64) (window queue[*Record], cut bool, err error) {
	for {
		replay, err := log.After(ctx, channel, Position{})
		if err != nil {
			return window, false, err
		}
		window, cut, err = lastOf(replay.Records, limit)
		if !errors.Is(err, ErrTrimmed) {
			return window, cut, err
		}
	}
}

func lastOf(records iter.Seq2[*Record, error], limit uint64) (window queue[*Record], cut bool, err error) {
	size := 0
	for r, err := range records {
		if err != nil {
			return window, false, err
		}
		if r.Seq >= limit {
			break
		}
		window.push(r.Clone())
		size += payload(r)
		for window.len > windowRecords || size > windowBytes && window.len > 1 {
			size -= payload(window.at(0))
			window.pop()
			cut = true
		}
	}
	return window, cut, nil
}

func payload(r *Record) int { return len(r.Data) + len(r.Meta) }
