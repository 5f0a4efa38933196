package main

import (
	"math/rand/v2"
	"time"
)

const (
	// One of slowOneIn connections delays its bytes by up to longDelay.
	slowOneIn = 4
	longDelay = 10 * time.Millisecond
	// longStall bounds how long a link stalls. The longest stalls are detected by pings.
	longStall = 3 * time.Second
	// cutWithin is the maximum number of bytes that a link forwards before it is cut.
	cutWithin = 4 << 10
)

// slow makes some links delay all of their bytes.
func (l *link) slow(random *rand.Rand) {
	if random.IntN(slowOneIn) == 0 {
		l.delay = time.Duration(random.Int64N(int64(longDelay)))
	}
}

// suffer causes one of the faults. All but one of them end the link.
func (l *link) suffer(random *rand.Rand) {
	stall := time.Duration(random.Int64N(int64(longStall)))
	switch random.IntN(10) {
	case 0: // stalled for a while
		l.stall()
		time.AfterFunc(stall, l.resume)
	case 1: // stalled, then cut
		l.stall()
		time.AfterFunc(stall, l.drop)
	case 2, 3: // half-closed
		l.forced.Store(true)
		_ = l.client.CloseWrite()
	case 4, 5:
		l.forced.Store(true)
		_ = l.server.CloseWrite()
	case 6, 7, 8: // mostly within a message
		l.left.Store(random.Int64N(cutWithin))
	default:
		l.drop()
	}
}

// drop ends the link.
func (l *link) drop() {
	l.forced.Store(true)
	l.cut()
}

// cut ends both connections with a reset. It does not wait.
func (l *link) cut() {
	l.end()
	_ = l.client.SetLinger(0)
	_ = l.server.SetLinger(0)
	_ = l.client.Close()
	_ = l.server.Close()
}

// stall stops the link until resume.
func (l *link) stall() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stalled == nil {
		l.stalled = make(chan struct{})
	}
}

func (l *link) resume() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stalled != nil {
		close(l.stalled)
		l.stalled = nil
	}
}

// soothe removes all faults from the link.
func (l *link) soothe() {
	l.resume()
	l.left.Store(-1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.delay = 0
}

// hold waits for the delay of the link.
func (l *link) hold() {
	l.mu.Lock()
	delay, stalled := l.delay, l.stalled
	l.mu.Unlock()
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-l.ctx.Done():
		}
	}
	if stalled != nil {
		select {
		case <-stalled:
		case <-l.ctx.Done():
		}
	}
}
