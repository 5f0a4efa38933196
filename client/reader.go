package client

import "time"

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
// for no longer than readMessage and maxReaderWait allow.
type reader struct {
	buffer *buffer
	// busy reports whether an answer is expected.
	busy func() bool
	// crowded reports whether too many messages wait to be read.
	crowded func() bool

	// These belong to the goroutine.
	limit   time.Duration // of a wait
	left    time.Duration // how long it may still wait
	minRate int           // in bytes per second

	closing bool // the connection is being closed; guarded by buffer.mu
}

// newReader returns the reader of a connection that is pinged at an interval, if that is
// positive. A wait must end before a ping has failed, whose answer it delays.
func newReader(b *buffer, minRate int, pingInterval time.Duration, busy, crowded func() bool) *reader {
	limit := maxReaderWait
	if pingInterval > 0 {
		limit = min(limit, pingInterval/2)
	}
	return &reader{buffer: b, busy: busy, crowded: crowded, minRate: minRate, limit: limit, left: limit}
}

// readMessage extends the time for waiting by what a message of this size may take.
func (r *reader) readMessage(size int) {
	r.left = min(r.limit, r.left+time.Duration(size)*(time.Second/time.Duration(r.minRate)))
}

// close ends the wait, and prevents others.
func (r *reader) close() {
	r.buffer.mu.Lock()
	defer r.buffer.mu.Unlock()
	r.closing = true
	r.buffer.space.Broadcast()
}

// awaitSpace waits until half of the buffer is empty and it fits, or until the reader has to
// go on. It is called with mu held, which it releases while it waits.
func (f *feed) awaitSpace(it item) {
	r := f.reader
	goesOn := func() bool {
		return f.halfEmpty() && f.fits(it) || !f.isOpen() || r.closing || r.left <= 0 || r.busy() || r.crowded()
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
