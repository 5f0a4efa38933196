package natslog

import (
	"context"
	"fmt"
	"slices"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// backwardReplay reads the records of a channel from their end: first those in memory, then
// the stream in parts, each of which is read forwards.
type backwardReplay struct {
	log     *Log
	ctx     context.Context
	subject string
	epoch   string

	cached []*eventlog.Record // yielded first, the last one first
	end    uint64             // the next part has only messages before this Seq
	must   uint64             // a Seq that the stream has, even if a replica does not have it; 0 if there is none

	first    uint64           // the Seq of the oldest message, 0 while it is not known
	distance uint64           // how far before end the next part begins, 0 before the first
	sparse   int              // number of parts with too few messages while first was not known
	oldest   *eventlog.Record // of the last part, not yielded yet: its Prev is known from the next part
}

const (
	// The intended number of messages of a part, and the number below which it is widened.
	partMessages = 64
	fewMessages  = partMessages / 2
	// nearby is the distance from the newest message to the begin of the first part.
	nearby = 2 * partMessages
	// maxSparse is how many parts may have too few messages before the oldest message is
	// looked up. That is avoided if possible: servers have a block of the newest messages
	// in memory, but must load the block of the oldest one.
	maxSparse = 2
)

// records implements [eventlog.Replay].Records.
func (r *backwardReplay) records(yield func(*eventlog.Record, error) bool) {
	if !r.yieldAll(r.cached, yield) || r.must == 0 {
		return
	}
	r.cached = nil
	for more := true; more; {
		list, floor, err := r.part()
		if err != nil {
			yield(nil, fmt.Errorf("natslog: replay: %w", err))
			return
		}
		list = r.link(list)
		if more = r.end > max(r.first, floor+1); !more && r.oldest != nil {
			r.oldest.Prev = min(floor, r.oldest.Seq-1)
			list = append([]*eventlog.Record{r.oldest}, list...)
		}
		if !r.yieldAll(list, yield) {
			return
		}
	}
}

// yieldAll yields records, the last one first. It returns false if the caller stops the
// iteration.
func (r *backwardReplay) yieldAll(list []*eventlog.Record, yield func(*eventlog.Record, error) bool) bool {
	for _, rec := range slices.Backward(list) {
		if err := r.log.usable(r.ctx); err != nil {
			yield(nil, fmt.Errorf("natslog: replay: %w", err))
			return false
		}
		if !yield(rec, nil) {
			return false
		}
	}
	return true
}

// link sets the Prev of the records of another part, which has made them known, and returns
// those that can be yielded, in order of Seq. It keeps the oldest for the next part.
func (r *backwardReplay) link(part []*eventlog.Record) []*eventlog.Record {
	if len(part) == 0 {
		return nil
	}
	if r.oldest != nil {
		r.oldest.Prev = part[len(part)-1].Seq
		part = append(part, r.oldest)
	}
	r.oldest = part[0]
	return part[1:]
}

// part returns the records of the next part, in order of Seq, and the floor of the stream.
// It sets end to the begin of the part.
func (r *backwardReplay) part() (records []*eventlog.Record, floor uint64, err error) {
	switch {
	case r.distance == 0:
		r.distance = r.end - min(r.end, r.must+1) + nearby
	case r.first == 0 && r.sparse == maxSparse:
		if err := r.survey(); err != nil {
			return nil, 0, err
		}
	}
	list, begin, err := r.read()
	if err != nil {
		return nil, 0, err
	}
	s, err := r.log.state(r.ctx)
	if err != nil {
		return nil, 0, err
	}
	r.end = begin
	if s.epoch != r.epoch { // no record of that epoch is left; the list may be of the next one
		r.end = 0
		return nil, s.floor, nil
	}
	for i := range list {
		prev := uint64(0)
		if len(records) > 0 {
			prev = records[len(records)-1].Seq
		}
		rec, err := list[i].record(r.epoch, prev)
		if err != nil {
			r.log.broken(r.subject, err)
			continue
		}
		records = append(records, rec)
	}
	return records, s.floor, nil
}

// survey looks up the oldest message of the channel. From the number of messages after it,
// it estimates how far before the end the last few begin.
func (r *backwardReplay) survey() error {
	for stale := 0; ; {
		list, err := r.log.messagesUpTo(r.ctx, r.subject, 1, 1)
		if err != nil {
			return err
		}
		if len(list) > 0 && list[0].seq <= r.must {
			m := list[0]
			r.first = m.seq
			span := float64(max(r.end, m.seq+1) - m.seq)
			r.distance = uint64(max(span*partMessages/float64(m.pending+1), partMessages))
			return nil
		}
		if gone, err := r.missing(&stale); gone || err != nil {
			r.first = r.end
			return err
		}
	}
}

// read returns the messages of the next part and where it begins. If there are too many of
// them, the part is shorter than planned.
func (r *backwardReplay) read() (list []message, begin uint64, err error) {
	if r.end <= max(r.first, 1) {
		return nil, r.end, nil
	}
	begin = r.begin()
	planned := r.distance
	next := begin
	for stale := 0; ; {
		if err := r.log.usable(r.ctx); err != nil {
			return nil, 0, err
		}
		batch := int(min(r.distance+1, readBatch)) // includes one message at or after end
		some, err := r.log.messagesUpTo(r.ctx, r.subject, next, batch)
		if err != nil {
			return nil, 0, err
		}
		pending := uint64(0)
		for _, m := range some {
			if m.seq >= r.end {
				next = r.end
				break
			}
			list = append(list, m)
			next, pending = m.seq+1, m.pending
		}
		switch {
		case next >= r.end, next > r.must:
			if len(list) < fewMessages && r.distance == planned {
				r.widen(len(list))
			}
			return list, begin, nil
		case pending > 0 && r.distance > 1: // too many for a batch
			r.distance /= 2
			if begin = r.begin(); begin >= next {
				list, next = nil, begin
				continue
			}
			list = slices.DeleteFunc(list, func(m message) bool { return m.seq < begin })
		case pending == 0: // the replica has no more
			if gone, err := r.missing(&stale); gone || err != nil {
				return list, begin, err
			}
		}
	}
}

// widen increases the size of the next part after one that had only n messages.
func (r *backwardReplay) widen(n int) {
	if r.first > 0 {
		r.distance *= 8
		return
	}
	if r.sparse++; r.sparse < maxSparse {
		r.distance = nearby * partMessages / uint64(max(n, 4)) // the estimate from so few is poor
	}
}

// begin returns the first Seq of a part of the current distance.
func (r *backwardReplay) begin() uint64 {
	return max(r.end-min(r.end-1, r.distance), r.first)
}

// missing is called if a replica lacks messages up to must. It returns true if the stream
// has dropped them. Otherwise it waits, after which the replica can be asked again.
func (r *backwardReplay) missing(stale *int) (gone bool, err error) {
	s, err := r.log.state(r.ctx)
	if err != nil {
		return false, err
	}
	if s.epoch != r.epoch || s.floor >= min(r.must, r.end-1) {
		return true, nil
	}
	if *stale++; *stale > staleTries {
		return false, fmt.Errorf("%w: replicas are behind", eventlog.ErrUnavailable)
	}
	return false, r.log.pause(r.ctx)
}
