package client

import (
	"sync"
	"time"

	"github.com/go-orpc/durable-iterator/rpc/transport"
)

// buffer holds the events that have arrived and were not read yet, and the position of
// the application. One subscription at a time adds events; loops take them out.
type buffer struct {
	maxItems, maxBytes int
	// stopping reports whether drop is about to be called. Nothing is taken out then.
	stopping func() bool
	// room receives a value when a buffer that was full may be half empty.
	room chan struct{}

	// mu guards the fields below.
	//
	//   - cursor is the id of the last event that was taken out. Each item has the value
	//     that cursor will have once it is taken: the id of its event or, if that has
	//     none, that of the previous item.
	//   - Only events of owner are added. Those of an earlier subscription are ignored,
	//     so that events are neither duplicated nor reordered.
	//   - Once full is set, nothing is added until another subscription begins after the
	//     last item.
	//   - Once ended is set, nothing is added.
	mu     sync.Mutex
	wake   *sync.Cond // signaled when items or ended change
	space  *sync.Cond // signaled when the reader of the connection may have to go on
	items  []item
	bytes  int // of all items
	cursor string
	owner  *feed
	full   bool
	lossy  bool  // an event without an id was dropped, which cannot be requested again
	ended  bool  // no items will be added
	err    error // returned to one reader, after the items
}

// item is an event, or a gap in place of one.
type item struct {
	event  transport.PeerEvent
	newGap func(reason GapReason, err error) *GapError // returns a gap in place of the event
	gap    *GapError
	cursor string
	before string // the cursor before it was taken
	bytes  int    // memory that it uses
}

// itemOverhead is the memory of an item in addition to its message, in bytes.
const itemOverhead = 256

// replayed reports whether the item stands for an event that a server sends again when the
// client resumes before it. Other gaps are between two subscriptions.
func (it item) replayed() bool { return it.gap == nil || it.gap.Reason == GapUnreadable }

// newBuffer returns a buffer for at most maxItems events, and for maxBytes or a single event.
// It begins after the event with the id cursor.
func newBuffer(maxItems, maxBytes int, cursor string, stopping func() bool) *buffer {
	b := &buffer{maxItems: maxItems, maxBytes: maxBytes, cursor: cursor, stopping: stopping, room: make(chan struct{}, 1)}
	b.wake, b.space = sync.NewCond(&b.mu), sync.NewCond(&b.mu)
	return b
}

// end returns the value that cursor will have when all items are taken.
func (b *buffer) end() string {
	if len(b.items) == 0 {
		return b.cursor
	}
	return b.items[len(b.items)-1].cursor
}

// feed adds the events of one subscription to a buffer, until a later subscription replaces it.
type feed struct {
	*buffer
	reader *reader
}

// isOpen reports whether events are still added. It is called with mu held.
func (f *feed) isOpen() bool { return f.owner == f && !f.ended }

// attach returns the feed of a new subscription on the connection of r, which replaces the
// previous one. It also returns the id to resume from, empty if there is none, and reports whether an event is lost
// even if the resume is complete.
//
// rewind means that the server replays events out of order, so that it is not possible to
// resume after the last one that arrived. Like oRPC's own client, attach then drops the
// unread events, which the server will send again.
func (b *buffer) attach(r *reader, rewind bool) (f *feed, lastEventID string, lossy bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if rewind {
		b.rewind()
	}
	lossy = b.lossy
	f = &feed{b, r}
	b.owner, b.full, b.lossy = f, false, false
	b.space.Broadcast()
	return f, b.end(), lossy
}

// rewind drops the events that the server will send again: those with an id after the last
// gap.
func (b *buffer) rewind() {
	keep, cursor := 0, b.cursor
	for i, it := range b.items {
		if !it.replayed() {
			keep, cursor = i+1, it.cursor
		}
	}
	for _, it := range b.items[keep:] {
		if it.cursor == cursor {
			b.items[keep] = it
			keep++
		} else {
			b.bytes -= it.bytes
		}
	}
	clear(b.items[keep:])
	b.items = b.items[:keep]
}

// add adds an event, or the gap in place of one that cannot be read. id is the event's id, or
// empty, and size the size of its message. If the buffer is full, add waits for a while, see
// reader, and then drops the event. It returns false if the buffer has become full.
func (f *feed) add(it item, id string, size int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.isOpen() {
		return true
	}
	it.cursor, it.bytes = id, size+itemOverhead
	if id == "" {
		it.cursor = f.end()
	}
	if it.gap != nil && !f.full && f.merge(it) {
		return true
	}
	if !f.full && !f.fits(it) {
		if f.awaitSpace(it); !f.isOpen() {
			return true
		}
	}
	if f.full || !f.fits(it) {
		first := !f.full
		f.full = true
		f.lossy = f.lossy || id == ""
		return !first
	}
	f.put(it)
	return true
}

// awaitSpace waits until half of the buffer is empty and it fits, or until the reader has to
// go on. It is called with mu held, which it releases while it waits.
func (f *feed) awaitSpace(it item) {
	r := f.reader
	goesOn := func() bool {
		return f.halfEmpty() && f.fits(it) || !f.isOpen() || r.goesOn()
	}
	if goesOn() {
		return
	}
	begun, left := time.Now(), r.left
	timer := time.AfterFunc(left, f.interrupt)
	defer timer.Stop()
	for !goesOn() {
		f.space.Wait()
		r.left = left - time.Since(begun)
	}
}

func (b *buffer) fits(it item) bool {
	return len(b.items) == 0 || len(b.items) < b.maxItems && b.bytes+it.bytes <= b.maxBytes
}

// gap adds a gap. A later resume begins after cursor.
func (f *feed) gap(gap *GapError, cursor string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.isOpen() {
		return
	}
	if it := (item{gap: gap, cursor: cursor, bytes: itemOverhead}); !f.merge(it) {
		f.put(it)
	}
}

// merge merges it into the last item if that is a gap too, and reports whether it was. The
// merged gap has the reason with which more events may be missing. It is called with mu held.
func (b *buffer) merge(it item) bool {
	if len(b.items) == 0 || b.items[len(b.items)-1].gap == nil {
		return false
	}
	last := &b.items[len(b.items)-1]
	last.cursor = it.cursor
	if !it.replayed() || last.replayed() {
		gap := *it.gap
		gap.LastEventID = last.gap.LastEventID
		last.gap = &gap
	}
	return true
}

// move sets the cursor to a later id once all items so far are read.
func (f *feed) move(cursor string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch last := len(f.items) - 1; {
	case !f.isOpen() || f.full:
	case last >= 0:
		f.items[last].cursor = cursor
	default:
		f.cursor = cursor
	}
}

// put adds an item. It is called with mu held.
func (b *buffer) put(it item) {
	if it.gap != nil {
		it.gap.LastEventID = b.end()
	}
	b.items = append(b.items, it)
	b.bytes += it.bytes
	b.wake.Signal()
}

// take waits for the next item. At the end ok is false, and one reader receives the reason as
// err.
func (b *buffer) take() (it item, ok bool, err error) {
	it, ok, room, err := b.next()
	if room {
		select {
		case b.room <- struct{}{}:
		default: // it already has one
		}
	}
	return it, ok, err
}

// next is take, but reports that there is room instead of sending to the channel.
func (b *buffer) next() (it item, ok, room bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for !b.ended && (len(b.items) == 0 || b.stopping()) {
		b.wake.Wait()
	}
	if len(b.items) == 0 {
		err, b.err = b.err, nil
		return item{}, false, false, err
	}
	it = b.items[0]
	b.items[0] = item{}
	b.items = b.items[1:]
	b.bytes -= it.bytes
	it.before, b.cursor = b.cursor, it.cursor
	if b.halfEmpty() {
		b.space.Signal()
	}
	return it, true, b.full && b.halfEmpty(), nil
}

// halfEmpty reports whether enough was read to resume. It is called with mu held.
func (b *buffer) halfEmpty() bool {
	return len(b.items) <= b.maxItems/2 && b.bytes <= b.maxBytes/2
}

// paused reports whether the buffer was full and less than half of it was read since.
func (b *buffer) paused() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.full && !b.halfEmpty()
}

// isFull reports whether events of the owner are being dropped.
func (b *buffer) isFull() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.full
}

// interrupt makes a reader that waits for space check whether it has to go on.
func (b *buffer) interrupt() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.space.Broadcast()
}

// finish ends the buffer: readers receive its items and then err. Only the first call of
// finish or drop has an effect.
func (b *buffer) finish(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.ended {
		b.ended, b.err = true, err
		b.wake.Broadcast()
		b.space.Broadcast()
	}
}

// drop ends the buffer at once and discards its items.
func (b *buffer) drop(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.items, b.bytes = nil, 0
	if !b.ended {
		b.ended, b.err = true, err
		b.wake.Broadcast()
		b.space.Broadcast()
	}
}

func (b *buffer) lastEventID() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.cursor
}
