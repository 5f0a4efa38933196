package socket

import "time"

// BatchSize is about how many bytes a source should give at once.
const BatchSize = 64 << 10

// Batch is what is sent at a time: whole frames.
type Batch struct {
	// Own is sent first. It is a buffer that is used again and again.
	Own []byte
	// Shared is sent behind it. It belongs to somebody else and never changes.
	Shared []byte
}

func (b *Batch) reset() {
	if cap(b.Own) > 4*BatchSize {
		b.Own = make([]byte, 0, BatchSize)
	}
	b.Own, b.Shared = b.Own[:0], nil
}

// sent takes off the first n bytes and gives what is left, not in a reused buffer.
func (b *Batch) sent(n int) Batch {
	if n < len(b.Own) {
		return Batch{Own: append([]byte(nil), b.Own[n:]...), Shared: b.Shared}
	}
	return Batch{Shared: b.Shared[n-len(b.Own):]}
}

// More says what a source has besides what it has just given.
type More int

// What may be left when a source has been pulled.
const (
	// None: there is nothing until the next Wake.
	None More = iota
	// Some: there is more than fits into a batch.
	Some
	// Slow: what comes next has to be waited for.
	Slow
)

// Source knows what a connection has to get next.
type Source interface {
	// Pull adds whole frames to a batch, about BatchSize bytes at the most. What it
	// adds counts as sent. Shared is nil when it is called.
	//
	// Without wait it must not block: if it would have to, it returns Slow, and is
	// called again, with wait, on a goroutine of the connection's own. It is never
	// called concurrently for one connection.
	Pull(b *Batch, wait bool) More

	// Visit is called soon after the connection was accepted, less than a second
	// after the time that the last call returned, and perhaps more often. After the
	// zero time it need not be called again. It must not block.
	Visit(now time.Time) (again time.Time)
}
