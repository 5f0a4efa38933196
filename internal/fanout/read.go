package fanout

import (
	"context"
	"errors"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/internal/socket"
)

// Read adds the frames of events to b, whose Shared must be nil, until it has about
// [socket.BatchSize] bytes or there are no more events. Added events count as sent. Read reads the
// log only with wait, using ctx; otherwise it returns [socket.WouldBlock] if the log must be
// read. If there is an error, Read calls Fail of the sink.
//
// stop reports whether the connection now has something else to send, which must be sent before
// events that are published, released or subscribed to later. Read calls it before each event and,
// if it returns true, returns [socket.Some].
func (r *Reader) Read(ctx context.Context, b *socket.Batch, wait bool, stop func() bool) socket.More {
	for {
		more := r.readTail(b, stop)
		if more != socket.WouldBlock || !wait {
			return more
		}
		if err := r.readLog(ctx, b, stop); err != nil {
			if errors.Is(err, eventlog.ErrTrimmed) {
				err = ErrTooSlow
			}
			r.sink.Fail(err)
			return socket.None
		}
	}
}

// readTail reads events without reading the log.
func (r *Reader) readTail(b *socket.Batch, stop func() bool) socket.More {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		switch r.state {
		case unsubscribed, held, current, left:
			return socket.None
		case replaying, announcing, following, catchingUp:
		}
		switch {
		case b.Shared != nil, len(b.Own) >= socket.BatchSize, stop():
			return socket.Some
		case r.state == announcing:
			b.Own = AppendFrame(b.Own, r.sub.ID, r.at.suffix)
			r.lastSentSeq = r.at.rec.Seq
			r.become(current, nil)
		case r.state == following && !r.at.gap:
			r.readNode(b, stop)
		default:
			return socket.WouldBlock
		}
	}
}

// readNode reads the next record of the tail and, if its frame is shared, those after it
// in its chunk.
func (r *Reader) readNode(b *socket.Batch, stop func() bool) {
	n := r.at
	switch {
	case n.chunk != nil && string(n.chunk.id) == string(r.sub.ID):
		shared, last := n.chunk.from(n)
		if stop() { // called again after determining what to read
			return
		}
		b.Events += int(last.count-n.count) + 1
		b.Shared, n, r.lastSentSeq = shared, last, last.rec.Seq
	case r.Includes(&n.rec.Audience):
		b.Own = AppendFrame(b.Own, r.sub.ID, n.suffix)
		b.Events++
		r.lastSentSeq = n.rec.Seq
	}
	r.cursor = n.rec.Seq
	if next := n.next.Load(); next != nil {
		r.become(following, next)
	} else {
		r.become(current, nil)
	}
}

// readLog reads a part of the log. It is called without holding locks.
func (r *Reader) readLog(ctx context.Context, b *socket.Batch, stop func() bool) error {
	s, from, limit, skipGaps := r.span(stop)
	if s == nil {
		return nil
	}
	p, after, err := r.history.page(ctx, from, limit, skipGaps)
	if err != nil {
		return err
	}
	replayed, err := r.readPage(b, s, p, after, limit)
	if replayed {
		r.sink.Replayed(s)
	}
	return err
}

// span returns the part of the log to read: the records after from, up to limit. skipGaps is set
// if the client expects that records are missing there. s is nil if the log does not have to be
// read now.
func (r *Reader) span(stop func() bool) (s *Subscription, from eventlog.Position, limit uint64, skipGaps bool) {
	newest, head := r.history.tail.head()
	if stop() { // called after determining what to read
		return nil, from, 0, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch r.state {
	case following:
		if !r.at.gap { // there is another subscription
			return nil, from, 0, false
		}
		r.sub.fell = r.at.placeBefore()
		r.become(catchingUp, newest)
	case replaying, catchingUp:
	default:
		return nil, from, 0, false
	}
	from = r.sub.from
	if r.cursor > 0 || r.state == catchingUp {
		// Seqs continue across epochs, so the epoch of the head can be used.
		from = eventlog.Position{Epoch: head.Epoch, Seq: r.cursor}
	}
	return r.sub, from, r.at.rec.Seq, r.skipsGaps()
}

// skipsGaps reports whether the replay may begin after records that were dropped: the client has
// been sent no events yet, and either the response reported that records are missing, or the
// client asked for all retained records, or it begins with the latest ones.
func (r *Reader) skipsGaps() bool {
	s := r.sub
	return r.state == replaying && (s.Truncated || s.from.IsZero() || s.latest) && s.Replayed == 0
}

// readPage adds the frames of the records of a page after a Seq, up to limit. replayed is set if
// that completes the replay. The error is [eventlog.ErrTrimmed] if a record is too old and the
// client does not expect missing records.
func (r *Reader) readPage(b *socket.Batch, s *Subscription, p *page, after, limit uint64) (replayed bool, err error) {
	horizon := r.history.horizon()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sub != s {
		return false, nil
	}
	i, end := p.between(after, limit)
	begin := i
	if i < end && p.everybody && string(p.id) == string(s.ID) && !p.records[i].time.Before(horizon) {
		b.Shared = p.framesOf(i, end)
		r.sent(b, p.records[end-1].seq, end-i)
		i = end
	}
	for ; i < end; i++ {
		rec := &p.records[i]
		switch {
		case rec.audience != nil && !r.Includes(rec.audience):
		case !rec.time.Before(horizon):
			b.Own = AppendFrame(b.Own, s.ID, p.suffixOf(i))
			r.sent(b, rec.seq, 1)
		case !r.skipsGaps():
			return false, eventlog.ErrTrimmed
		}
		if len(b.Own) >= socket.BatchSize && i+1 < end {
			r.page, r.cursor = p, rec.seq
			r.advance(p, begin, i+1)
			return false, nil
		}
	}
	r.page, r.cursor = p, max(r.cursor, min(p.last, limit))
	r.advance(p, begin, end)
	switch {
	case r.cursor < limit:
		return false, p.err
	case r.state == replaying:
		r.become(held, r.at)
		return true, nil
	default:
		r.resume()
		return false, nil
	}
}

// sent records that n records were read from the log, the last of which has this Seq.
func (r *Reader) sent(b *socket.Batch, seq uint64, n int) {
	b.Events += n
	r.lastSentSeq = seq
	if r.state == replaying {
		r.sub.Replayed += n
	}
}

// advance moves the place of a reader that is catching up past the records from i to end, without
// end, of a page.
func (r *Reader) advance(p *page, i, end int) {
	if r.state != catchingUp {
		return
	}
	r.sub.fell.count += uint64(end - i)
	for ; i < end; i++ {
		r.sub.fell.end += int64(len(p.suffixOf(i)) + recordOverhead)
	}
}
