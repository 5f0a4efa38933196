package eventlogtest

import (
	"sync"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// feed passes the records of one channel to a follower. Its mu is held while the follower
// is called, so that calls come one by one and none after stop.
type feed struct {
	log      *eventlog.Memory
	follower eventlog.Follower

	mu      sync.Mutex
	waiting bool   // last is not known yet
	ended   bool   // no more calls
	last    uint64 // Seq up to which the follower has been passed all or left behind
	queue   []*queued
	missing *eventlog.Record // the newest that was left out, nil if a later one came
	check   *time.Timer
}

// queued is a record on its way.
type queued struct {
	record *eventlog.Record
	held   bool
}

// start begins to pass on what comes after from.
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
			f.check = time.AfterFunc(tailCheck, f.makeUp)
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

// makeUp passes on the newest record that was left out.
func (f *feed) makeUp() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.check = nil
	if r := f.missing; r != nil {
		f.queue = append(f.queue, &queued{record: r})
		f.flush()
	}
}

// flush passes on what is due. It is called with mu held.
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

// head returns the newest Seq up to logHead, the log's, that nothing is missing before.
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
