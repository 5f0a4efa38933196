package eventlogtest

import (
	"sync"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// feed passes the records of one channel to a follower. Its mu is held while the follower
// is called, so that calls do not overlap and none begins after stop.
type feed struct {
	log      *eventlog.Memory
	follower eventlog.Follower

	mu      sync.Mutex
	waiting bool   // start was not called yet
	ended   bool   // the follower is not called any more
	last    uint64 // Seq of the newest record that was delivered, or from which the feed began
	queue   []*queued
	missing *eventlog.Record // the newest dropped record, nil if a later one was delivered
	check   *time.Timer
}

// queued is a record that will be delivered.
type queued struct {
	record *eventlog.Record
	held   bool
}

// start makes the feed deliver the records after from.
func (f *feed) start(from uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waiting, f.last = false, from
	f.flush()
}

func (f *feed) pass(r *eventlog.Record, fate Fate) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.ended:
	case fate.Drop:
		f.missing = r
		if f.check == nil {
			f.check = time.AfterFunc(tailCheck, f.deliverMissing)
		}
	default:
		q := &queued{record: r, held: fate.Delay > 0}
		f.queue = append(f.queue, q)
		if q.held {
			time.AfterFunc(fate.Delay, func() {
				f.mu.Lock()
				defer f.mu.Unlock()
				q.held = false
				f.flush()
			})
		}
		f.flush()
	}
}

// deliverMissing delivers the newest dropped record.
func (f *feed) deliverMissing() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.check = nil
	if r := f.missing; r != nil {
		f.queue = append(f.queue, &queued{record: r})
		f.flush()
	}
}

// flush delivers the records that are due. mu must be held.
func (f *feed) flush() {
	for !f.waiting && !f.ended && len(f.queue) > 0 && !f.queue[0].held {
		r := f.queue[0].record
		f.queue = f.queue[1:]
		if f.missing != nil && f.missing.Seq <= r.Seq {
			f.missing = nil
		}
		if r.Seq > f.last {
			f.last = r.Seq
			f.follower.Deliver(r)
		}
	}
}

// head returns the newest Seq up to which all records were delivered. logHead is that of
// the log.
func (f *feed) head(logHead uint64) uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.missing != nil || len(f.queue) > 0 {
		return min(f.last, logHead)
	}
	return logHead
}

func (f *feed) lose(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.ended {
		f.ended = true
		f.follower.Lost(err)
	}
}

func (f *feed) stop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = true
	if f.check != nil {
		f.check.Stop()
	}
}
