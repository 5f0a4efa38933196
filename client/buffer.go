package client

import (
	"sync"

	"github.com/go-orpc/durable-iterator/rpc/transport"
)

// buffer holds the events that have arrived and were not read yet, and the position of
// the application. Subscriptions put events in, one subscription at a time; loops take
// them out.
type buffer struct {
	maxItems, maxBytes int
	// stopping reports that drop is about to be called: nothing is taken out any more.
	stopping func() bool
	// room receives a value when a buffer that was full may have become half empty.
	room chan struct{}

	// mu guards the fields below.
	//
	//   - cursor is the last event id that was taken out. Each item has what cursor
	//     will be once it is taken: the id of its event or, if that has none, that of
	//     the item before.
	//   - Only what owner delivers is added. An earlier subscription that still
	//     delivers is ignored, so that nothing is doubled or reordered.
	//   - Once full is set nothing is added, until another subscription begins after
	//     the last item.
	//   - Once ended is set nothing is added.
	mu     sync.Mutex
	wake   *sync.Cond // items or ended
	items  []item
	bytes  int // of all items
	cursor string
	owner  *feed
	full   bool
	lossy  bool  // something was dropped that has no id, so it cannot be asked for again
	ended  bool  // no item will follow
	err    error // for one reader, after the items
}

// item is an event, or a gap in place of one.
type item struct {
	event  transport.PeerEvent
	gap    *GapError
	cursor string
	before string // the cursor before it was taken
	bytes  int    // that it keeps in memory
}

// itemOverhead is what an item takes up beside its message, in bytes.
const itemOverhead = 256

// replayed reports whether the item stands for an event, which a server that is asked
// for it again will send again. Other gaps lie between two subscriptions.
func (it item) replayed() bool { return it.gap == nil || it.gap.Reason == GapUnreadable }

// newBuffer returns a buffer of some events, and of some bytes or a single event. It
// begins after the event with the id cursor.
func newBuffer(maxItems, maxBytes int, cursor string, stopping func() bool) *buffer {
	b := &buffer{maxItems: maxItems, maxBytes: maxBytes, cursor: cursor, stopping: stopping, room: make(chan struct{}, 1)}
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

// feed adds what one subscription brings to a buffer, while no later one has taken over.
type feed struct{ *buffer }

// attach returns the feed of a new subscription, which takes over. It also returns the id
// to resume from, empty if there is none, and reports whether something is lost even if
// the resume is complete.
//
// With rewind the server's replay is out of order, so that the last event that came
// means nothing: as its own client does, attach drops the unread events, which are
// asked for again.
func (b *buffer) attach(rewind bool) (f *feed, lastEventID string, lossy bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if rewind {
		b.rewind()
	}
	lossy = b.lossy
	f = &feed{b}
	b.owner, b.full, b.lossy = f, false, false
	return f, b.end(), lossy
}

// rewind drops the events that the server will send again, which are those with an
// id after the last gap.
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

// add adds an event, or the gap in place of one that cannot be read. id is empty if it has
// none, and size is that of its message. It reports false if that was the one
// too many.
func (f *feed) add(it item, id string, size int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.owner != f || f.ended {
		return true
	}
	it.cursor, it.bytes = id, size+itemOverhead
	if id == "" {
		it.cursor = f.end()
	}
	if it.gap != nil && !f.full && f.merge(it) {
		return true
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

func (b *buffer) fits(it item) bool {
	return len(b.items) == 0 || len(b.items) < b.maxItems && b.bytes+it.bytes <= b.maxBytes
}

// gap adds a gap. From now on the server is asked for events after cursor.
func (f *feed) gap(gap *GapError, cursor string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.owner != f || f.ended {
		return
	}
	if it := (item{gap: gap, cursor: cursor, bytes: itemOverhead}); !f.merge(it) {
		f.put(it)
	}
}

// merge makes one gap of it and the last item, if that is a gap too, with mu held. So
// gaps without an event in between take up no room. Of two reasons that is kept after
// which more events may be missing.
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

// move moves the cursor on to a later id, once all that has arrived is read.
func (f *feed) move(cursor string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch last := len(f.items) - 1; {
	case f.owner != f || f.ended || f.full:
	case last >= 0:
		f.items[last].cursor = cursor
	default:
		f.cursor = cursor
	}
}

// put adds an item, with mu held.
func (b *buffer) put(it item) {
	if it.gap != nil {
		it.gap.LastEventID = b.end()
	}
	b.items = append(b.items, it)
	b.bytes += it.bytes
	b.wake.Signal()
}

// take waits for the next item. At the end it reports false, and returns the reason to
// one reader and nil to the others.
func (b *buffer) take() (it item, ok bool, err error) {
	it, ok, room, err := b.next()
	if room {
		select {
		case b.room <- struct{}{}:
		default: // there is one already
		}
	}
	return it, ok, err
}

// next is take, but reports that there is room now instead of sending to it.
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
	return it, true, b.full && b.halfEmpty(), nil
}

// halfEmpty reports, with mu held, whether enough was read to ask for more.
func (b *buffer) halfEmpty() bool {
	return len(b.items) <= b.maxItems/2 && b.bytes <= b.maxBytes/2
}

// paused reports whether the buffer was full and not half of it was read since.
func (b *buffer) paused() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.full && !b.halfEmpty()
}

// isFull reports whether the owner's events are dropped.
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

// drop ends the buffer at once: readers no longer get what it holds.
func (b *buffer) drop(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.items, b.bytes = nil, 0
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
