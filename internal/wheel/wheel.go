// Package wheel calls many visitors at times that they choose, with one goroutine and one
// timer.
package wheel

import (
	"math"
	"sync"
	"time"
)

const (
	// tick is the time between two turns, and so how late a visit may be.
	tick = time.Second
	// slots is the number of ticks in a turn of the wheel. An entry that is due later is
	// skipped once in each earlier turn.
	slots = 64
	// never is a tick that is never reached.
	never = math.MaxInt64
)

// Visitor is called by a wheel. Visit runs on the wheel's goroutine, without locks, and
// must not block. It returns the time of the next visit; if that is the zero time, there is
// none.
type Visitor interface {
	Visit(now time.Time) (again time.Time)
}

// Entry is a visitor's position in a wheel. It is a field of the visitor, so that the wheel
// needs no memory for it. The zero value is in no wheel.
type Entry struct {
	visitor    Visitor
	due        int64
	prev, next *Entry // both nil: in no slot
}

// Wheel is a hashed timing wheel. Make it with New and end it with Close.
type Wheel struct {
	start   time.Time // of tick 0
	sooner  chan struct{}
	stop    chan struct{}
	once    sync.Once // closes stop
	stopped sync.WaitGroup

	// mu guards the fields below and all entries, and is not held during a visit.
	//
	//   - An entry that waits is in the slot of its due, counted modulo slots, and
	//     its due is after turned.
	//   - An entry whose visitor runs is in no slot. Its due is the earliest tick
	//     that was asked for meanwhile.
	//   - An entry that was removed, or is not to be called again, has no visitor.
	//   - Nothing is due before wakes, the tick for which the goroutine's timer is set,
	//     except entries that have signalled sooner.
	mu     sync.Mutex
	slots  [slots]Entry // heads of rings
	turned int64
	wakes  int64
}

// New starts a wheel.
func New() *Wheel {
	// Tokens expire after a full second. Ticks come a millisecond after full seconds, so
	// that an expiry is noticed at once.
	now := time.Now()
	start := now.Add(time.Millisecond - time.Duration(now.Nanosecond()))
	w := &Wheel{start: start, sooner: make(chan struct{}, 1), stop: make(chan struct{}), wakes: never}
	for i := range w.slots {
		head := &w.slots[i]
		head.prev, head.next = head, head
	}
	w.stopped.Go(w.run)
	return w
}

// Close stops the wheel and returns when the last visit has. It may be called again.
func (w *Wheel) Close() {
	w.once.Do(func() { close(w.stop) })
	w.stopped.Wait()
}

// Add schedules v.Visit at a time; it may run up to a second late. e is v's entry.
func (w *Wheel) Add(e *Entry, v Visitor, at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e.visitor = v
	w.put(e, w.tickAt(at))
}

// Hurry moves the visit of an entry forward to a time, unless it is due before that or
// the entry is not in the wheel.
func (w *Wheel) Hurry(e *Entry, at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	due := w.tickAt(at)
	if e.visitor == nil || due >= e.due {
		return
	}
	if e.next == nil { // its visitor runs
		e.due = due
		return
	}
	e.unlink()
	w.put(e, due)
}

// Remove takes an entry out of the wheel. A visit that is running continues.
func (w *Wheel) Remove(e *Entry) {
	w.mu.Lock()
	defer w.mu.Unlock()
	e.visitor = nil
	if e.next != nil {
		e.unlink()
	}
}

func (e *Entry) unlink() {
	e.prev.next, e.next.prev = e.next, e.prev
	e.prev, e.next = nil, nil
}

// put links an entry that is in no slot. It is called with mu held.
func (w *Wheel) put(e *Entry, due int64) {
	e.due = max(due, w.turned+1)
	head := &w.slots[e.due%slots]
	e.prev, e.next = head.prev, head
	e.prev.next, e.next.prev = e, e
	if e.due < w.wakes {
		w.wakes = e.due
		select {
		case w.sooner <- struct{}{}:
		default:
		}
	}
}

// tickAt returns the first tick that is not before a time. Times are compared with now,
// not with the start, so that it does not matter whether the clock was set since.
func (w *Wheel) tickAt(at time.Time) int64 {
	now := time.Now()
	const far = math.MaxInt64 / 2
	left := min(at.Sub(now), far) + now.Sub(w.start)
	return int64((max(left, 0) + tick - 1) / tick)
}

func (w *Wheel) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-w.stop:
			return
		case <-w.sooner:
		case <-timer.C:
		}
		for _, e := range w.turn() {
			w.visit(e)
		}
		if next, ok := w.next(); ok {
			timer.Reset(time.Until(next))
		} else {
			timer.Stop()
		}
	}
}

// turn advances to now and takes out the entries that are due.
func (w *Wheel) turn() (due []*Entry) {
	now := int64(time.Since(w.start) / tick)
	w.mu.Lock()
	defer w.mu.Unlock()
	for at := max(w.turned+1, now-slots+1); at <= now; at++ {
		head := &w.slots[at%slots]
		for e := head.next; e != head; {
			next := e.next
			if e.due <= now {
				e.unlink()
				e.due = never
				due = append(due, e)
			}
			e = next
		}
	}
	w.turned = max(w.turned, now)
	return due
}

func (w *Wheel) visit(e *Entry) {
	w.mu.Lock()
	v := e.visitor
	w.mu.Unlock()
	if v == nil {
		return
	}
	again := v.Visit(time.Now())
	w.mu.Lock()
	defer w.mu.Unlock()
	if !again.IsZero() {
		e.due = min(e.due, w.tickAt(again))
	}
	switch {
	case e.visitor == nil: // was removed
	case e.due == never:
		e.visitor = nil
	default:
		w.put(e, e.due)
	}
}

// next returns the time of the next slot that is not empty.
func (w *Wheel) next() (at time.Time, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.wakes = never
	for t := w.turned + 1; t <= w.turned+slots; t++ {
		if head := &w.slots[t%slots]; head.next != head {
			w.wakes = t
			return w.start.Add(time.Duration(t) * tick), true
		}
	}
	return time.Time{}, false
}
