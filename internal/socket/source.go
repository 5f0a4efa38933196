package socket

import "time"

// BatchSize is about how many bytes a source adds to a batch at most.
const BatchSize = 64 << 10

// Batch holds the frames that are sent at a time.
type Batch struct {
	// Own is sent first. It is a buffer that is used again.
	Own []byte
	// Shared is sent after it. It is not the batch's and never changes.
	Shared []byte
	// Events is how many of the frames are events, for [Pool.Traffic].
	Events int
}

func (b *Batch) reset() {
	if cap(b.Own) > 4*BatchSize {
		b.Own = make([]byte, 0, BatchSize)
	}
	b.Own, b.Shared, b.Events = b.Own[:0], nil, 0
}

// sent returns a batch without the first n bytes, which does not use the buffer.
func (b *Batch) sent(n int) Batch {
	if n < len(b.Own) {
		return Batch{Own: append([]byte(nil), b.Own[n:]...), Shared: b.Shared}
	}
	return Batch{Shared: b.Shared[n-len(b.Own):]}
}

// More is what a source has besides what it has just added to a batch.
type More int

// The values of More.
const (
	// None means that there is nothing until the next [Conn.Wake].
	None More = iota
	// Some means that there is more than fits into the batch.
	Some
	// WouldBlock means that what comes next has to be waited for.
	WouldBlock
)

// Source produces the frames that a connection sends.
type Source interface {
	// Pull adds whole frames to a batch, about BatchSize bytes at the most. What it
	// adds counts as sent. Shared is nil when it is called.
	//
	// Without wait it must not block: if it would have to, it returns WouldBlock, and
	// is called again, with wait, on a goroutine of the connection's own. It is never
	// called concurrently for one connection.
	Pull(b *Batch, wait bool) More

	// Visit is called soon after the connection was accepted, less than a second
	// after the time that the last call returned, and perhaps more often. After the
	// zero time it need not be called again. It must not block.
	Visit(now time.Time) (again time.Time)
}
