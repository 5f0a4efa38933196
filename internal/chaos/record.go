package main

import (
	"fmt"
	"sync"
	"time"
)

// record has the published events. It is safe for concurrent use.
type record struct {
	// mu guards the fields below. acked is the number of acknowledged events by run of the
	// server and by room; one more may have been published. bursts are the commands sent to
	// the server, by run.
	mu     sync.Mutex
	acked  [][rooms]int
	bursts [][]burst
	faults []error
}

// burst is a command to publish events, the last of which has a number.
type burst struct {
	upTo int
	at   time.Time
	last bool
}

// begin records a new run of the server. Runs are numbered from 1.
func (r *record) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.acked = append(r.acked, [rooms]int{})
	r.bursts = append(r.bursts, nil)
}

// tell records a command to publish events.
func (r *record) tell(events int, last bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	run := len(r.bursts) - 1
	b := burst{upTo: events, at: time.Now(), last: last}
	if before := r.bursts[run]; len(before) > 0 {
		b.upTo += before[len(before)-1].upTo
	}
	r.bursts[run] = append(r.bursts[run], b)
}

// ack records an acknowledged event.
func (r *record) ack(m mark) {
	r.mu.Lock()
	defer r.mu.Unlock()
	acked := &r.acked[m.Run-1][m.Room]
	*acked++
	if m.Number != *acked {
		r.faults = append(r.faults, fmt.Errorf("event %v was acknowledged as number %d", m, *acked))
	}
}

// settled reports whether the running server has executed all commands to publish.
func (r *record) settled() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	run := len(r.bursts) - 1
	bursts := r.bursts[run]
	if len(bursts) == 0 {
		return true
	}
	for _, acked := range r.acked[run] {
		if acked < bursts[len(bursts)-1].upTo {
			return false
		}
	}
	return true
}

// total returns how many events were acknowledged.
func (r *record) total() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, run := range r.acked {
		for _, acked := range run {
			n += acked
		}
	}
	return n
}

// fact is an event that was published, or may have been.
type fact struct {
	mark
	told time.Time // when the command was sent to the server, which published it later
	sure bool      // it was acknowledged
	seq  uint64    // of its id, 0 if no iterator has yielded it
}

// published reports whether the event was certainly published: it was acknowledged, or a
// client has received it.
func (f fact) published() bool { return f.sure || f.seq != 0 }

// facts returns the facts of a room, in order.
func (r *record) facts(room int) (list []fact) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for run, bursts := range r.bursts {
		number := 0
		for _, b := range bursts {
			for number < b.upTo && number <= r.acked[run][room] {
				number++
				list = append(list, fact{
					mark: mark{Room: room, Run: run + 1, Number: number, Last: b.last},
					told: b.at, sure: number <= r.acked[run][room],
				})
			}
		}
	}
	return list
}
