package fanout

import (
	"context"
	"errors"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// Prepare sets up a subscription that resumes after lastEventID or, if that is empty, begins with
// the latest events, see [Options].Latest. It returns two positions: events after live are live.
// begin is the position before the first event that is sent, unless the client resumes.
func (r *Reader) Prepare(ctx context.Context, s *Subscription, lastEventID string) (begin, live eventlog.Position, err error) {
	s.at, live = r.history.tail.head()
	begin = live
	s.state, s.cursor = held, s.at.rec.Seq
	switch {
	case lastEventID == "":
		if begin, err = r.latest(ctx, live); err != nil {
			return begin, live, err
		}
		if s.lastSent = begin.Seq; begin != live {
			s.state, s.cursor, s.from, s.latest = replaying, 0, begin, true
		}
	case r.history.options.Log == nil:
		s.Truncated = true
	default:
		s.from = eventlog.PositionOf(lastEventID)
		var first uint64
		if first, s.Truncated, err = r.history.missed(ctx, s.from); err != nil {
			return begin, live, err
		}
		switch {
		case s.Truncated && first == 0:
		case s.Truncated, first > 0 && s.from.Seq < s.cursor:
			s.state, s.cursor = replaying, 0
		default:
			// The client may have received records from another process that have not
			// arrived here yet, and then all that it has missed will still arrive. If
			// nothing was missed, the log is not read again: it may meanwhile have
			// forgotten the channel and report a truncated replay.
			s.cursor = max(s.cursor, s.from.Seq)
			s.awaited = max(first, s.from.Seq)
			live.Seq = max(live.Seq, s.from.Seq)
		}
	}
	return begin, live, nil
}

// maxLatestBytes limits the records that are read for [Options].Latest, unless a single one is
// larger.
const maxLatestBytes = 1 << 20

// latest returns the position before the newest records up to live that are for the client: as
// many as [Options].Latest, among the newest LatestScan. If there are none, it returns live.
func (r *Reader) latest(ctx context.Context, live eventlog.Position) (eventlog.Position, error) {
	h, begin := r.history, live
	o := h.options
	if o.Latest == 0 || o.Log == nil {
		return live, nil
	}
	replay, err := eventlog.ReadNewest(ctx, o.Log, h.channel, eventlog.Position{})
	if err != nil {
		return live, err
	}
	horizon := h.horizon()
	found, scanned, bytes := 0, 0, 0
	for rec, err := range replay.Records {
		if errors.Is(err, eventlog.ErrTrimmed) {
			return begin, nil
		}
		if err != nil {
			return live, err
		}
		bytes += recordBytes(rec)
		if rec.Time.Before(horizon) || bytes > maxLatestBytes && scanned > 0 {
			break
		}
		if rec.Seq <= live.Seq && r.Includes(&rec.Audience) {
			// Seqs continue across epochs, so the epoch of the head can be used.
			begin.Seq = rec.Seq - 1
			found++
		}
		if scanned++; found == o.Latest || scanned == o.LatestScan {
			break
		}
	}
	return begin, nil
}
