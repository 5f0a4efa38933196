package eventlog

import "sync"

// The memory that a record and a channel take in addition to their data, rounded up, so that
// the limits of a Memory are close to what the process really uses. A record has a
// Record (192 bytes), a stored (64) and up to four slots of 8 bytes in its queue;
// a channel has a channel, a queue of the minimum size and an entry in the map.
const (
	recordOverhead  = 288
	channelOverhead = 320
)

// stored is a record in a history. It is in the queue of its channel and in the list of
// all records from the oldest to the newest.
type stored struct {
	*Record
	channel      *channel
	at           int64 // when it was stored, in nanoseconds of the log's monotonic clock
	size         int64
	older, newer *stored
}

// channel is the state of a channel that has records or is in use.
type channel struct {
	name string

	// order is locked from before a record is assigned its Seq until it has been
	// delivered, so that records are delivered in order.
	order sync.Mutex

	pins    int // calls that use order; a pinned channel is not forgotten
	records queue[*stored]
	bytes   int64  // of its records
	last    uint64 // the Prev of its next record
	floor   uint64 // Seq of the last record dropped
}

// before fills batch with the records before a Seq, newest first, and returns their number.
// A nil channel has no records.
func (c *channel) before(seq uint64, batch []*Record) (n int) {
	if c == nil {
		return 0
	}
	end := c.records.search(func(s *stored) bool { return s.Seq >= seq })
	for n < len(batch) && n < end {
		batch[n] = c.records.at(end - 1 - n).Record
		n++
	}
	return n
}

// history is the content of a Memory, guarded by its mu. Records are added at the
// newest end and dropped one by one at the oldest end of their channel.
type history struct {
	channels       map[string]*channel
	oldest, newest *stored // of all channels
	bytes          int64   // of everything
	last           uint64  // Seq of the newest record, also if it was dropped
	floor          uint64  // the highest floor of the channels that were forgotten
}

// pin returns the channel and keeps it from being forgotten until unpin.
func (h *history) pin(name string) *channel {
	c := h.channels[name]
	if c == nil {
		// The channel may have been forgotten: the records that it lost are at or before the floor.
		c = &channel{name: name, last: h.floor, floor: h.floor}
		h.channels[name] = c
		h.bytes += channelSize(name)
	}
	c.pins++
	return c
}

func (h *history) unpin(c *channel) {
	c.pins--
	h.forgetEmpty(c)
}

// add stores s, whose record has the next Seq, as the newest of its channel.
func (h *history) add(s *stored) {
	c := s.channel
	c.records.push(s)
	c.last, h.last = s.Seq, s.Seq
	c.bytes += s.size
	h.bytes += s.size
	if s.older = h.newest; s.older != nil {
		s.older.newer = s
	} else {
		h.oldest = s
	}
	h.newest = s
}

// dropOldest drops the oldest record of c, which must have one.
func (h *history) dropOldest(c *channel) {
	s := c.records.at(0)
	c.records.pop()
	c.floor = s.Seq
	c.bytes -= s.size
	h.bytes -= s.size
	if s.older != nil {
		s.older.newer = s.newer
	} else {
		h.oldest = s.newer
	}
	if s.newer != nil {
		s.newer.older = s.older
	} else {
		h.newest = s.older
	}
	h.forgetEmpty(c)
}

// dropWhile drops the oldest records of all channels as long as old reports true for them,
// at most limit of them, and returns how many it dropped.
func (h *history) dropWhile(old func(*stored) bool, limit int) (n int) {
	for n < limit && h.oldest != nil && old(h.oldest) {
		h.dropOldest(h.oldest.channel)
		n++
	}
	return n
}

// forgetEmpty forgets c if it has no records and is not in use.
func (h *history) forgetEmpty(c *channel) {
	if c.pins > 0 || c.records.len > 0 {
		return
	}
	h.floor = max(h.floor, c.floor)
	h.bytes -= channelSize(c.name)
	delete(h.channels, c.name)
}

// span returns the floor of the channel and the Seq of its newest record, 0 if it
// has none.
func (h *history) span(name string) (floor, newest uint64) {
	c := h.channels[name]
	if c == nil {
		return h.floor, 0
	}
	if n := c.records.len; n > 0 {
		newest = c.records.at(n - 1).Seq
	}
	return c.floor, newest
}

// recordSize returns the memory that r takes. The allocator rounds up, by an eighth
// at most.
func recordSize(r *Record) int64 {
	n := recordOverhead + cap(r.Data) + cap(r.Meta) + len(r.Key)
	for _, tag := range r.Tags {
		n += 16 + len(tag)
	}
	for _, to := range [][]Recipient{r.Targets, r.Excludes} {
		for _, recipient := range to {
			n += 32 + len(recipient.Subject) + len(recipient.ID)
		}
	}
	return int64(n + n/8)
}

// channelSize returns the memory that a channel takes without its records.
func channelSize(name string) int64 { return int64(channelOverhead + len(name)) }
