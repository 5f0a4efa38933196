package client

import (
	"sync"
	"time"
)

// These are the rates, in bytes per second, below which loops do not slow a connection down.
// Servers close a socket that accepts nothing for some time, 10 s by default, and they see that
// more is read only in steps: kernels announce free space when a part of their buffers is
// empty, which can be half a megabyte. A server with TLS does not see it before a third of its
// own buffer is empty too, of 4 MiB by default.
const (
	minReadRate    = 64 << 10
	minReadRateTLS = 256 << 10
)

// reader is the goroutine that reads a connection, as the buffer sees it. When the buffer is
// full, the reader waits for loops for some time before it drops events. While it reads
// nothing, the server soon cannot send events that would be dropped.
//
// The reader does not wait while an answer is expected, which may be behind the events, and
// for no longer than readMessage and its limit allow.
type reader struct {
	space *sync.Cond // of the buffer, with its lock
	// busy reports whether an answer is expected.
	busy func() bool
	// crowded reports whether too many messages wait to be read.
	crowded func() bool

	// These belong to the goroutine.
	limit   time.Duration // of a wait
	left    time.Duration // how long it may still wait
	minRate int           // in bytes per second

	closing bool // the connection is being closed; guarded by the lock of space
}

// newReader returns the reader of a connection, which waits for at most limit.
func newReader(space *sync.Cond, limit time.Duration, minRate int, busy, crowded func() bool) *reader {
	return &reader{space: space, busy: busy, crowded: crowded, minRate: minRate, limit: limit, left: limit}
}

// readMessage extends the time for waiting by what a message of this size may take.
func (r *reader) readMessage(size int) {
	r.left = min(r.limit, r.left+time.Duration(size)*(time.Second/time.Duration(r.minRate)))
}

// close ends the wait, and prevents others.
func (r *reader) close() {
	r.space.L.Lock()
	defer r.space.L.Unlock()
	r.closing = true
	r.space.Broadcast()
}

// goesOn reports whether the reader may not wait for space now. It is called with the lock of
// space held.
func (r *reader) goesOn() bool { return r.closing || r.left <= 0 || r.busy() || r.crowded() }
