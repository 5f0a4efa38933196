package socket

import "time"

// BatchSize is the approximate limit of the bytes that a source adds to a batch.
const BatchSize = 64 << 10

// Batch is a set of frames that are sent together.
type Batch struct {
	// Own is sent first. Its memory is reused for the next batch.
	Own []byte
	// Shared is sent after Own. Others may refer to its memory, which must not change.
	Shared []byte
	// Events is the number of events among the frames, for [Pool.Traffic].
	Events int
}

func (b *Batch) reset() {
	if cap(b.Own) > 4*BatchSize {
		b.Own = make([]byte, 0, BatchSize)
	}
	b.Own, b.Shared, b.Events = b.Own[:0], nil, 0
}

// sent returns the batch without its first n bytes. The result does not refer to b's
// buffer.
func (b *Batch) sent(n int) Batch {
	if n < len(b.Own) {
		return Batch{Own: append([]byte(nil), b.Own[n:]...), Shared: b.Shared}
	}
	return Batch{Shared: b.Shared[n-len(b.Own):]}
}

// More describes what a source can still send after adding frames to a batch.
type More int

// The values of More.
const (
	// None means that there is nothing more until the next [Conn.Wake].
	None More = iota
	// Some means that there is more than fitted into the batch.
	Some
	// WouldBlock means that the source would have to wait for the next frames.
	WouldBlock
)

// Source produces the frames that a connection sends.
type Source interface {
	// Pull adds whole frames to a batch, about BatchSize bytes at most. They count as sent.
	// b.Shared is nil when Pull is called.
	//
	// If wait is false, Pull must not block: where it would, it returns WouldBlock and is
	// called again with wait set, on a separate goroutine. It is never called concurrently
	// for one connection.
	Pull(b *Batch, wait bool) More

	// Visit is called soon after the connection was accepted, and again less than a second
	// after the time that the last call returned, or earlier. If that is the zero time,
	// Visit need not be called again. It must not block.
	Visit(now time.Time) (again time.Time)
}
