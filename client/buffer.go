package client

import (
	"sync"

	"github.com/go-orpc/durable-iterator/rpc"
)

// buffer holds what has arrived and was not read yet, and knows how far the
// application has come. Subscriptions put events in, one subscription at a time;
// loops take them out.
type buffer struct {
	size int
	// halted tells that drop is about to be called: nothing is taken out any more.
	halted func() bool
	// room holds a token if a buffer that was full may have become half empty.
	room chan struct{}

	// mu guards the fields below.
	//
	//   - cursor is the last event id that was taken out. Each item has what cursor
	//     will be once it is taken: the id of its event or, if that has none, that of
	//     the item before.
	//   - Only what owner delivers is added. An earlier subscription that is still
	//     about to deliver comes too late, so that nothing is doubled or reordered.
	//   - Once full is set nothing is added, until another subscription begins behind
	//     the last item.
	//   - Once ended is set nothing is added.
	mu     sync.Mutex
	wake   *sync.Cond // items or ended
	items  []item
	cursor string
	owner  *subscription
	full   bool
	lossy  bool  // something was dropped that has no id, so it cannot be asked for again
	ended  bool  // no item will follow
	err    error // for one reader, after the items
}

// item is an event, or a gap in place of one.
type item struct {
	event  rpc.PeerEvent
	gap    *GapError
	cursor string
}

func newBuffer(size int, cursor string, halted func() bool) *buffer {
	b := &buffer{size: size, cursor: cursor, halted: halted, room: make(chan struct{}, 1)}
	b.wake = sync.NewCond(&b.mu)
	return b
}

// end is the cursor once all items are taken.
func (b *buffer) end() string {
	if len(b.items) == 0 {
		return b.cursor
	}
	return b.items[len(b.items)-1].cursor
}

// attach makes s the owner. It gives the id to resume from, empty if there is none,
// and whether something is lost even if the resume is complete.
//
// Of a server whose replay is out of order (rewind) nothing can be told from the
// last event that came: as its own client does, the unread events are dropped and
// asked for again.
func (b *buffer) attach(s *subscription, rewind bool) (lastEventID string, lossy bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if rewind {
		b.rewind()
	}
	lossy = b.lossy
	b.owner, b.full, b.lossy = s, false, false
	return b.end(), lossy
}

// rewind drops the events that the server will send again, which are those with an
// id behind the last gap.
func (b *buffer) rewind() {
	keep, cursor := 0, b.cursor
	for i, it := range b.items {
		if it.gap != nil {
			keep, cursor = i+1, it.cursor
		}
	}
	for _, it := range b.items[keep:] {
		if it.cursor == cursor {
			b.items[keep] = it
			keep++
		}
	}
	clear(b.items[keep:])
	b.items = b.items[:keep]
}

// add takes an event of s. It reports false if that was the one too many.
func (b *buffer) add(s *subscription, e rpc.PeerEvent) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.owner != s || b.ended {
		return true
	}
	if b.full || len(b.items) >= b.size {
		first := !b.full
		b.full = true
		b.lossy = b.lossy || e.Meta.ID == ""
		return !first
	}
	cursor := e.Meta.ID
	if cursor == "" {
		cursor = b.end()
	}
	b.put(item{event: e, cursor: cursor})
	return true
}

// gap takes note that events of s are missing. Of several gaps without an event in
// between the last one counts.
func (b *buffer) gap(s *subscription, reason GapReason, cursor string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.owner != s || b.ended {
		return
	}
	gap := item{gap: &GapError{Reason: reason, LastEventID: b.end()}, cursor: cursor}
	if last := len(b.items) - 1; last >= 0 && b.items[last].gap != nil {
		gap.gap.LastEventID = b.items[last].gap.LastEventID
		b.items[last] = gap
		return
	}
	b.put(gap)
}

// move moves the cursor behind what has arrived.
func (b *buffer) move(s *subscription, cursor string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch last := len(b.items) - 1; {
	case b.owner != s || b.ended || b.full:
	case last >= 0:
		b.items[last].cursor = cursor
	default:
		b.cursor = cursor
	}
}

// put adds an item, with mu held.
func (b *buffer) put(it item) {
	b.items = append(b.items, it)
	b.wake.Signal()
}

// take waits for the next item. It reports false at the end; then err is why, for
// one reader and nil for the others.
func (b *buffer) take() (it item, ok bool, err error) {
	it, ok, room, err := b.next()
	if room {
		select {
		case b.room <- struct{}{}:
		default: // nobody has looked since the last time
		}
	}
	return it, ok, err
}

// next is take without telling that there is room now.
func (b *buffer) next() (it item, ok, room bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for !b.ended && (len(b.items) == 0 || b.halted()) {
		b.wake.Wait()
	}
	if len(b.items) == 0 {
		err, b.err = b.err, nil
		return item{}, false, false, err
	}
	it = b.items[0]
	b.items[0] = item{}
	b.items = b.items[1:]
	b.cursor = it.cursor
	return it, true, b.full && b.halfEmpty(), nil
}

// halfEmpty tells, with mu held, whether enough was read to ask for more.
func (b *buffer) halfEmpty() bool { return len(b.items) <= b.size/2 }

// paused tells whether the buffer was full and not half of it was read since.
func (b *buffer) paused() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.full && !b.halfEmpty()
}

// isFull tells whether the owner's events are dropped.
func (b *buffer) isFull() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.full
}

// finish ends the buffer: readers get what it holds and then err. Only the first
// end counts.
func (b *buffer) finish(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.ended {
		b.ended, b.err = true, err
		b.wake.Broadcast()
	}
}

// drop ends the buffer at once: what it holds is not given out any more.
func (b *buffer) drop(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.items = nil
	if !b.ended {
		b.ended, b.err = true, err
		b.wake.Broadcast()
	}
}

func (b *buffer) lastEventID() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.cursor
}
