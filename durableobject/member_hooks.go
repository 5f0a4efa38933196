package durableobject

import (
	"sync"
	"time"
)

const (
	// maxHooks is how many calls of OnJoined and OnLeft may wait on a node, half of them for
	// one object. Further calls are dropped.
	maxHooks = 100_000
	// maxHookObjects is how many objects may have such a hook running at the same time.
	maxHookObjects = 64
	// maxOverdue is how many hooks that take longer than Options.HookTimeout are not counted
	// among these, so that hooks that never return do not block those of other objects.
	maxOverdue = 1000
	// dropLogInterval is how often dropped calls are logged.
	dropLogInterval = 10 * time.Second
)

// hookCall is a call of OnJoined or OnLeft.
type hookCall struct {
	channel string
	joined  bool
	member  Member
	done    func() // called when the hook has returned or is overdue, without locks; may be nil
}

// hookQueue calls OnJoined and OnLeft: the hooks of one object one after another, those of
// different objects at the same time.
type hookQueue struct {
	base  *base
	call  func(hookCall)         // set before the first push
	start func(work func()) bool // runs work on a goroutine, unless the namespace shuts down

	// mu may be locked while members.mu is held.
	//
	//   - waiting has an element for each channel that has a call waiting or running.
	//   - ready are the channels that have a call waiting and none running, the one that
	//     has waited longest first.
	mu       sync.Mutex
	waiting  map[string][]hookCall
	ready    []string
	count    int // calls in waiting
	workers  int
	overdue  int // workers whose hook takes longer than HookTimeout
	ending   bool
	last     sync.WaitGroup // workers that finish has started
	dropped  int            // calls since loggedAt
	loggedAt time.Time
}

func newHookQueue(b *base, start func(func()) bool) hookQueue {
	return hookQueue{base: b, start: start, waiting: map[string][]hookCall{}}
}

// push adds a call without waiting. It returns false if it has dropped the call.
func (q *hookQueue) push(h hookCall) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	calls, busy := q.waiting[h.channel]
	if q.count >= maxHooks || len(calls) >= maxHooks/2 {
		q.dropped++
		q.report(h.channel)
		return false
	}
	q.waiting[h.channel] = append(calls, h)
	q.count++
	if !busy {
		q.ready = append(q.ready, h.channel)
	}
	q.employ()
	return true
}

// report logs that calls were dropped. It is called with mu held.
func (q *hookQueue) report(channel string) {
	if now := time.Now(); q.dropped > 0 && now.Sub(q.loggedAt) >= dropLogInterval {
		q.base.logger.Error("hooks of presence dropped: too many wait", "channel", channel, "dropped", q.dropped)
		q.dropped, q.loggedAt = 0, now
	}
}

// employ starts a worker if there is something to do and one more is allowed. It is called
// with mu held.
func (q *hookQueue) employ() {
	if len(q.ready) == 0 || q.workers-q.overdue >= maxHookObjects {
		return
	}
	if q.ending {
		q.last.Go(q.work)
	} else if !q.start(q.work) {
		return // finish will
	}
	q.workers++
}

// work calls hooks, one of each channel in turn, until none is ready. If a hook ends the goroutine, as
// functions of package testing do, another worker continues.
func (q *hookQueue) work() {
	q.mu.Lock()
	defer q.mu.Unlock()
	defer func() {
		q.workers--
		q.employ()
	}()
	for len(q.ready) > 0 && q.workers-q.overdue <= maxHookObjects {
		q.step()
	}
}

// step calls the next hook. It is called with mu held, and releases it during the call.
func (q *hookQueue) step() {
	channel := q.ready[0]
	q.ready = q.ready[1:]
	calls := q.waiting[channel]
	h := calls[0]
	calls[0] = hookCall{}
	q.waiting[channel] = calls[1:]
	q.count--
	q.mu.Unlock()
	defer func() {
		q.mu.Lock()
		if len(q.waiting[channel]) > 0 {
			q.ready = append(q.ready, channel)
		} else {
			delete(q.waiting, channel)
		}
		q.report(channel)
	}()
	q.run(h)
}

// run calls a hook. If it takes too long, another worker may be started in its place.
func (q *hookQueue) run(h hookCall) {
	returned := sync.OnceFunc(func() {
		if h.done != nil {
			h.done()
		}
	})
	defer returned()
	var overdue, done bool // guarded by mu
	timer := time.AfterFunc(q.base.options.HookTimeout, func() {
		defer returned()
		q.mu.Lock()
		defer q.mu.Unlock()
		if !done && q.overdue < maxOverdue {
			overdue = true
			q.overdue++
			q.employ()
		}
	})
	defer func() {
		timer.Stop()
		q.mu.Lock()
		defer q.mu.Unlock()
		if done = true; overdue {
			q.overdue--
		}
	}()
	q.call(h)
}

// finish calls the hooks for which no worker could be started because the namespace is shutting down,
// and returns when all have returned.
func (q *hookQueue) finish() {
	q.mu.Lock()
	q.ending = true
	for range min(len(q.ready), maxHookObjects) {
		q.employ()
	}
	q.mu.Unlock()
	q.last.Wait()
}
