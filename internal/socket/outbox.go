package socket

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
)

// ErrClosed is returned for frames that come after the decision to close a connection.
var ErrClosed = errors.New("socket: connection closed")

// FrameOverhead is what a frame that waits counts besides its bytes.
const FrameOverhead = 64

// Outbox holds the frames of answers that wait for a connection to take them. It bounds
// them: see [Outbox.Put]. A frame counts with its capacity and [FrameOverhead]. The zero
// Outbox is not usable: see [Outbox.Open]. Its methods are safe for concurrent use.
type Outbox struct {
	conn  *Conn
	limit int
	added atomic.Uint64 // frames, ever
	held  atomic.Int64  // frames

	// mu guards the fields below, and is held when added and held change. While it is
	// held no lock is taken but by the function passed to Take.
	//
	//   - size is the sum of the costs of frames and of reservations that are not used yet.
	//   - waiters wait for room, in this order. None does while there is room for it.
	//   - Once closed is set there are no waiters, and no frame is added.
	mu      sync.Mutex
	frames  []outgoing
	waiters []*waiter
	size    int
	closed  bool
}

// outgoing is a frame that is due once the connection's reader of events has passed
// the Seq after; 0 is at once.
type outgoing struct {
	frame []byte
	after uint64
}

func (f outgoing) cost() int { return cap(f.frame) + FrameOverhead }

// waiter is a caller that waits for room.
type waiter struct {
	outgoing // frame is nil for a reservation
	cost     int
	ready    chan struct{} // closed when it has got room, and its frame was added, or the outbox is closed
}

// Open makes the outbox that of a connection. Frames wait for room beyond half of
// limit bytes, so that all that is held is at most limit, or one frame if that is
// larger than half of it.
func (o *Outbox) Open(c *Conn, limit int) { o.conn, o.limit = c, limit }

// Added returns how many frames were added, ever. It takes no lock.
func (o *Outbox) Added() uint64 { return o.added.Load() }

// Empty reports whether no frame waits. It takes no lock.
func (o *Outbox) Empty() bool { return o.held.Load() == 0 }

// Size returns what the frames cost that wait, and the reservations, in bytes.
func (o *Outbox) Size() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.size
}

// Put adds a frame and wakes the connection. It waits for room while others wait, or
// while more than half of the limit would be held with this frame; one frame alone
// always has room. It returns the cause of ctx if that ends while it waits, and
// [ErrClosed] once the connection is closing. The frame belongs to the outbox then.
func (o *Outbox) Put(ctx context.Context, frame []byte, after uint64) error {
	f := outgoing{frame, after}
	if err := o.wait(ctx, f, f.cost()); err != nil {
		return err
	}
	o.conn.Wake()
	return nil
}

// Reserve waits for room for a frame of size bytes as Put does. Without an error the
// caller calls Add or Release.
func (o *Outbox) Reserve(ctx context.Context, size int) error {
	return o.wait(ctx, outgoing{}, size+FrameOverhead)
}

// Add adds a frame for which room was reserved: its capacity is the size.
func (o *Outbox) Add(frame []byte) error { return o.add(outgoing{frame, 0}) }

// Release returns the room of a reservation that is not used.
func (o *Outbox) Release(size int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.size -= size + FrameOverhead
	o.grant()
}

// Force adds a frame without waiting for room. Its caller bounds how many there are.
func (o *Outbox) Force(frame []byte) {
	f := outgoing{frame, 0}
	o.mu.Lock()
	o.size += f.cost()
	o.mu.Unlock()
	_ = o.add(f) // a connection that is closing does without
}

// wait returns when there is room for cost bytes, which is then taken, and f was added
// unless it is a reservation.
func (o *Outbox) wait(ctx context.Context, f outgoing, cost int) error {
	o.mu.Lock()
	switch {
	case o.closed:
		o.mu.Unlock()
		return ErrClosed
	case len(o.waiters) == 0 && o.fits(cost):
		o.admit(f, cost)
		o.mu.Unlock()
		return nil
	}
	w := &waiter{f, cost, make(chan struct{})}
	o.waiters = append(o.waiters, w)
	o.mu.Unlock()
	select {
	case <-w.ready:
	case <-ctx.Done():
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if i := slices.Index(o.waiters, w); i >= 0 { // ctx has ended, and this may be the one in the way
		o.waiters = slices.Delete(o.waiters, i, i+1)
		o.grant()
		return context.Cause(ctx)
	}
	if o.closed {
		return ErrClosed
	}
	return nil
}

// admit takes room, with mu held.
func (o *Outbox) admit(f outgoing, cost int) {
	o.size += cost
	if f.frame != nil {
		o.append(f)
	}
}

// fits is called with mu held.
func (o *Outbox) fits(cost int) bool { return o.size == 0 || o.size+cost <= o.limit/2 }

// add adds a frame that is counted already.
func (o *Outbox) add(f outgoing) error {
	o.mu.Lock()
	if o.closed {
		o.mu.Unlock()
		return ErrClosed
	}
	o.append(f)
	o.mu.Unlock()
	o.conn.Wake()
	return nil
}

// append is called with mu held.
func (o *Outbox) append(f outgoing) {
	o.frames = append(o.frames, f)
	o.held.Add(1)
	o.added.Add(1)
}

// grant hands out room, with mu held.
func (o *Outbox) grant() {
	for len(o.waiters) > 0 && o.fits(o.waiters[0].cost) {
		w := o.waiters[0]
		o.waiters = slices.Delete(o.waiters, 0, 1)
		o.admit(w.outgoing, w.cost)
		close(w.ready)
	}
	if len(o.waiters) == 0 {
		o.waiters = nil // an idle connection keeps no buffer
	}
}

// Take moves the frames that are due into the batch, in order, until that is full: it
// has BatchSize bytes, or a Shared part. A frame is due if it was put with after 0, or
// if passed reports true for its after. A frame that is larger than what is left of the
// batch becomes its Shared part. passed must not call the outbox.
func (o *Outbox) Take(b *Batch, passed func(after uint64) bool) {
	if o.Empty() {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	kept := o.frames[:0]
	for i, f := range o.frames {
		if b.Shared != nil || len(b.Own) >= BatchSize {
			kept = append(kept, o.frames[i:]...)
			break
		}
		switch {
		case f.after > 0 && !passed(f.after):
			kept = append(kept, f)
			continue
		case len(b.Own)+len(f.frame) <= BatchSize:
			b.Own = append(b.Own, f.frame...)
		default:
			b.Shared = f.frame
		}
		o.size -= f.cost()
	}
	clear(o.frames[len(kept):])
	o.held.Store(int64(len(kept)))
	if o.frames = kept; len(kept) == 0 && cap(kept) > 1 {
		o.frames = nil // an idle connection keeps no more than room for one
	}
	o.grant()
}

// Close lets no more frames in, and ends the waiting for room with [ErrClosed]. What the
// outbox holds can still be taken.
func (o *Outbox) Close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	for _, w := range o.waiters {
		close(w.ready)
	}
	o.waiters = nil
}

// Discard drops what the outbox holds. It is called after Close.
func (o *Outbox) Discard() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.frames, o.size = nil, 0
	o.held.Store(0)
}
