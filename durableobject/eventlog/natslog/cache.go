package natslog

import (
	"container/list"
	"sync"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// cache keeps the newest records of followed channels, up to limit bytes. The records of
// the least recently used channels are dropped first.
type cache struct {
	limit int64

	mu    sync.Mutex
	bytes int64
	used  list.List // of *feed, the least recently used first
}

// tail is the part of the cache that belongs to a feed.
type tail struct {
	kept    bool
	from    uint64 // all records after this Seq are in the cache
	records []*eventlog.Record
	bytes   int64
	place   *list.Element
}

// cost returns the memory that a record takes.
func cost(r *eventlog.Record) int64 {
	n := 320 + len(r.Data) + len(r.Meta)
	for _, tag := range r.Tags {
		n += 16 + len(tag)
	}
	for _, to := range [][]eventlog.Recipient{r.Targets, r.Excludes} {
		for _, recipient := range to {
			n += 32 + len(recipient.Subject) + len(recipient.ID)
		}
	}
	return int64(n)
}

// begin starts caching the records of a feed after from.
func (c *cache) begin(f *feed, from uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clear(f)
	f.tail.kept, f.tail.from = c.limit > 0, from
}

// add adds the newest record of a feed.
func (c *cache) add(f *feed, r *eventlog.Record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &f.tail
	if !t.kept {
		return
	}
	n := cost(r)
	t.records = append(t.records, r)
	t.bytes += n
	c.bytes += n
	c.touch(f)
	for c.bytes > c.limit {
		oldest, ok := c.used.Front().Value.(*feed)
		if !ok || oldest == f {
			c.shift(f)
			continue
		}
		c.clear(oldest)
	}
}

// touch makes f the most recently used.
func (c *cache) touch(f *feed) {
	if f.tail.place == nil {
		f.tail.place = c.used.PushBack(f)
		return
	}
	c.used.MoveToBack(f.tail.place)
}

// shift drops the oldest record of f.
func (c *cache) shift(f *feed) {
	t := &f.tail
	r := t.records[0]
	t.records[0] = nil
	t.records = t.records[1:]
	t.from = r.Seq
	n := cost(r)
	t.bytes -= n
	c.bytes -= n
}

// clear drops all records of f.
func (c *cache) clear(f *feed) {
	t := &f.tail
	if n := len(t.records); n > 0 {
		t.from = t.records[n-1].Seq
	}
	c.bytes -= t.bytes
	t.records, t.bytes = nil, 0
	if t.place != nil {
		c.used.Remove(t.place)
		t.place = nil
	}
}

// drop stops caching the records of f.
func (c *cache) drop(f *feed) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clear(f)
	f.tail.kept = false
}

// after returns the records of f after seq. ok is false if one that is not older than
// horizon may be missing.
func (c *cache) after(f *feed, seq uint64, horizon time.Time) (records []*eventlog.Record, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &f.tail
	for len(t.records) > 0 && t.records[0].Time.Before(horizon) {
		c.shift(f)
	}
	if !t.kept || seq < t.from {
		return nil, false
	}
	if len(t.records) > 0 {
		c.touch(f)
	}
	i := len(t.records)
	for i > 0 && t.records[i-1].Seq > seq {
		i--
	}
	return append([]*eventlog.Record(nil), t.records[i:]...), true
}

func (c *cache) size() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bytes
}
