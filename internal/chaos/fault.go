package main

import (
	"math/rand/v2"
	"time"
)

const (
	// One of slowOneIn connections takes up to longDelay for whatever it hands on.
	slowOneIn = 4
	longDelay = 10 * time.Millisecond
	// longStall bounds how long nothing comes through. Pings find out about the longest.
	longStall = 3 * time.Second
	// cutWithin bounds how many bytes still come through.
	cutWithin = 4 << 10
)

// slow makes some links slow from the beginning.
func (l *link) slow(random *rand.Rand) {
	if random.IntN(slowOneIn) == 0 {
		l.delay = time.Duration(random.Int64N(int64(longDelay)))
	}
}

// suffer lets one of the faults happen. All but one of them end the link.
func (l *link) suffer(random *rand.Rand) {
	stall := time.Duration(random.Int64N(int64(longStall)))
	switch random.IntN(10) {
	case 0: // nothing comes through for a while
		l.stall()
		time.AfterFunc(stall, l.resume)
	case 1: // nor afterward
		l.stall()
		time.AfterFunc(stall, l.drop)
	case 2, 3: // one side is told that the other has nothing more to say
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

// stall lets nothing through until resume.
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

// soothe ends all that makes the link slow, and will end it.
func (l *link) soothe() {
	l.resume()
	l.left.Store(-1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.delay = 0
}

// hold waits as long as bytes take.
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
