package fanout

import (
	"context"
	"errors"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// history reads the log of a channel, for readers that do not read from the tail.
type history struct {
	channel   string
	retention time.Duration // 0 if only the log drops old records
	options   *Options      // has the log, which is nil if records are not stored
	tail      *tail
	pages     pages
}

// horizon returns the time before which records are too old to be replayed.
func (h *history) horizon() time.Time {
	if h.retention == 0 {
		return time.Time{}
	}
	return time.Now().Add(-h.retention)
}

// missed returns the Seq of the first record that the log has after a position, or 0 if it has
// none. truncated is set if records after the position were dropped or are too old to be replayed.
// If the first record has just been dropped, first is 1.
func (h *history) missed(ctx context.Context, from eventlog.Position) (first uint64, truncated bool, err error) {
	replay, err := h.options.Log.After(ctx, h.channel, from)
	if err != nil {
		return 0, false, err
	}
	for rec, err := range replay.Records {
		if errors.Is(err, eventlog.ErrTrimmed) {
			return 1, !from.IsZero() || replay.Truncated, nil
		}
		if err != nil {
			return 0, false, err
		}
		// A client that asks for all retained records does not miss those that are too old.
		tooOld := rec.Time.Before(h.horizon())
		return rec.Seq, replay.Truncated || tooOld && !from.IsZero(), nil
	}
	return 0, replay.Truncated, nil
}

// page returns a page with the records that the log has after from, up to limit, and the Seq of
// from. The page may begin before after and end after limit. If records after from were dropped,
// the error is [eventlog.ErrTrimmed] or, with skipGaps, after is the Seq before the first
// remaining record instead.
func (h *history) page(ctx context.Context, from eventlog.Position, limit uint64, skipGaps bool) (p *page, after uint64, err error) {
	if h.options.Log == nil {
		return nil, 0, eventlog.ErrTrimmed
	}
	// The log is read each time, so that records that it has dropped are not sent from a page.
	replay, err := h.options.Log.After(ctx, h.channel, from)
	if err != nil {
		return nil, 0, err
	}
	after = from.Seq
	if replay.Truncated || from.IsZero() {
		if !skipGaps {
			return nil, 0, eventlog.ErrTrimmed
		}
		if after, err = seqBefore(replay, limit); err != nil {
			return nil, 0, err
		}
		if replay, err = h.options.Log.After(ctx, h.channel, from); err != nil {
			return nil, 0, err
		}
	}
	if after >= limit {
		return &page{last: limit}, after, nil
	}
	p, err = h.pages.get(ctx, after, func() *page { return h.load(replay, after, limit) })
	return p, after, err
}

// seqBefore returns the Seq just before the first record of a replay, or limit if the
// replay is empty.
func seqBefore(replay eventlog.Replay, limit uint64) (uint64, error) {
	for rec, err := range replay.Records {
		if err != nil {
			return 0, err
		}
		return rec.Seq - 1, nil
	}
	return limit, nil
}

// load reads a page that begins after a Seq.
func (h *history) load(replay eventlog.Replay, after, limit uint64) *page {
	p := &page{after: after, last: after, id: h.tail.id(), everybody: true}
	var suffix []byte
	for rec, err := range replay.Records {
		if err != nil {
			p.err = err
			return p
		}
		suffix = appendSuffix(suffix[:0], rec)
		if p.add(rec, suffix); len(p.frames) >= pageSize {
			return p
		}
	}
	p.last = max(p.last, limit) // the log has no more records up to limit
	return p
}
