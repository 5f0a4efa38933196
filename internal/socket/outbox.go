package socket

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
)

// ErrClosed is returned for frames that are added after it was decided to close the
// connection.
var ErrClosed = errors.New("socket: connection closed")

// FrameOverhead is the number of bytes that a waiting frame costs in addition to its own.
const FrameOverhead = 64

// Outbox is a bounded queue of frames that answer calls and wait to be sent. A frame costs
// its capacity and [FrameOverhead]. The zero Outbox is not usable: see [Outbox.Open]. Its
// methods are safe for concurrent use.
type Outbox struct {
	conn  *Conn
	limit int
	added atomic.Uint64 // number of frames since Open
	held  atomic.Int64  // number of frames

	// mu guards the fields below, and is held when added and held are changed. While it
	// is held no lock is taken, except by the function passed to Take.
	//
	//   - size is the sum of the costs of frames and of reservations that are not used yet.
	//   - waiters are served in order. None of them waits while there is room for it.
	//   - After closed is set there are no waiters, and no frame is added.
	mu      sync.Mutex
	frames  []outgoing
	waiters []*waiter
	size    int
	closed  bool
}

// outgoing is a frame that is due when the connection's reader of events has passed the Seq
// after, or at once if after is 0.
type outgoing struct {
	frame []byte
	after uint64
}

func (f outgoing) cost() int { return cap(f.frame) + FrameOverhead }

// waiter is a call of Put or Reserve that waits for room.
type waiter struct {
	outgoing // frame is nil for a reservation
	cost     int
	granted  bool          // its frame has been added, or its room reserved
	ready    chan struct{} // closed when granted is set, or the outbox is closed
}

// Open prepares the outbox for a connection. A frame waits for room while more than half of
// limit bytes would be held with it, so that at most limit bytes are held, or one frame if
// that alone costs more than half of limit.
func (o *Outbox) Open(c *Conn, limit int) { o.conn, o.limit = c, limit }

// Added returns how many frames have been added since Open. It takes no lock.
func (o *Outbox) Added() uint64 { return o.added.Load() }

// Empty reports whether no frame waits. It takes no lock.
func (o *Outbox) Empty() bool { return o.held.Load() == 0 }

// Size returns the cost in bytes of the waiting frames and of the reservations.
func (o *Outbox) Size() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.size
}

// Put adds a frame and wakes the connection. It waits for room while others wait, or while
// more than half of the limit would be held with this frame; an empty outbox has room for
// any frame. It returns the cause of ctx if ctx ends first, and [ErrClosed] if the
// connection is closing. The caller must not change the frame afterwards.
func (o *Outbox) Put(ctx context.Context, frame []byte, after uint64) error {
	f := outgoing{frame, after}
	if err := o.wait(ctx, f, f.cost()); err != nil {
		return err
	}
	o.conn.Wake()
	return nil
}

// Reserve waits, as Put does, for room for a frame of size bytes. If it returns nil, the
// caller must call Add or Release.
func (o *Outbox) Reserve(ctx context.Context, size int) error {
	return o.wait(ctx, outgoing{}, size+FrameOverhead)
}

// Add adds a frame for which room has been reserved. The frame's capacity must be the
// reserved size.
func (o *Outbox) Add(frame []byte) error { return o.add(outgoing{frame, 0}) }

// Release frees the room of a reservation that will not be used.
func (o *Outbox) Release(size int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.size -= size + FrameOverhead
	o.grant()
}

// Force adds a frame without waiting for room. The caller must bound how many such frames
// there are.
func (o *Outbox) Force(frame []byte) {
	f := outgoing{frame, 0}
	o.mu.Lock()
	o.size += f.cost()
	o.mu.Unlock()
	_ = o.add(f) // not needed by a connection that is closing
}

// wait waits until there is room for cost bytes and takes it. It then adds f, unless f is a
// reservation.
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
	w := &waiter{outgoing: f, cost: cost, ready: make(chan struct{})}
	o.waiters = append(o.waiters, w)
	o.mu.Unlock()
	select {
	case <-w.ready:
	case <-ctx.Done():
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	switch i := slices.Index(o.waiters, w); {
	case w.granted: // whatever has happened since
		return nil
	case i < 0:
		return ErrClosed
	default: // ctx has ended; others may have waited for this one
		o.waiters = slices.Delete(o.waiters, i, i+1)
		o.grant()
		return context.Cause(ctx)
	}
}

// admit takes room for cost bytes and adds f, unless f is a reservation. mu must be held.
func (o *Outbox) admit(f outgoing, cost int) {
	o.size += cost
	if f.frame != nil {
		o.append(f)
	}
}

// fits reports whether there is room for cost bytes. mu must be held.
func (o *Outbox) fits(cost int) bool { return o.size == 0 || o.size+cost <= o.limit/2 }

// add adds a frame whose cost is already part of size.
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

// append adds a frame to frames. mu must be held.
func (o *Outbox) append(f outgoing) {
	o.frames = append(o.frames, f)
	o.held.Add(1)
	o.added.Add(1)
}

// grant serves waiters while there is room. mu must be held.
func (o *Outbox) grant() {
	for len(o.waiters) > 0 && o.fits(o.waiters[0].cost) {
		w := o.waiters[0]
		o.waiters = slices.Delete(o.waiters, 0, 1)
		o.admit(w.outgoing, w.cost)
		w.granted = true
		close(w.ready)
	}
	if len(o.waiters) == 0 {
		o.waiters = nil // an idle connection should hold no buffer
	}
}

// Take moves the due frames into the batch, in order, until that has BatchSize bytes or a
// Shared part. A frame is due if it was put with after 0, or if passed reports true for its
// after. A frame that does not fit into the rest of the batch becomes its Shared part.
// passed must not call the outbox.
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
		o.frames = nil // an idle connection should hold room for one frame at most
	}
	o.grant()
}

// Close makes the outbox refuse frames and ends the waiting for room with [ErrClosed]. The
// frames that it holds can still be taken.
func (o *Outbox) Close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.close()
}

// close is Close. mu must be held.
func (o *Outbox) close() {
	o.closed = true
	for _, w := range o.waiters {
		close(w.ready)
	}
	o.waiters = nil
}

// Discard drops all frames. It must be called after Close.
func (o *Outbox) Discard() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.frames, o.size = nil, 0
	o.held.Store(0)
}
