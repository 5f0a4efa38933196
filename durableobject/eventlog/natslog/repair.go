package natslog

import (
	"time"
)

// catchUp starts reading the stream up to seq, unless the feed has taken that message, and
// reports whether it has not.
func (f *feed) catchUp(seq uint64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended || seq <= f.base() {
		return false
	}
	if f.reading {
		f.target = max(f.target, seq)
		return true
	}
	f.read(seq)
	return true
}

// read starts reading the stream up to seq, which the stream has. It is called with mu held.
func (f *feed) read(seq uint64) {
	f.reading, f.target = true, seq
	f.log.stats.repairs.Add(1)
	f.log.running.Go(f.repair)
}

// repair reads the messages that the feed has missed, until it has taken target.
func (f *feed) repair() {
	l := f.log
	pause := stalePause
	for l.ctx.Err() == nil {
		done, err := f.readOn()
		if done {
			return
		}
		if err != nil {
			l.options.Logger.Warn("event log: reading missed messages failed", "subject", f.stored, "err", err)
			pause = min(2*pause, time.Second)
		}
		select {
		case <-time.After(pause):
		case <-l.ctx.Done():
		}
	}
}

// readOn takes the next messages from the stream. done is set when the feed has taken all
// messages that it knows of.
func (f *feed) readOn() (done bool, err error) {
	l := f.log
	f.mu.Lock()
	from, last, epoch := f.base(), f.last, f.epoch
	f.doubtful = false
	f.mu.Unlock()
	// The stream may have been replaced, or may have lost records.
	err = l.check(l.ctx)
	if err == nil && last.id != "" {
		err = l.confirm(l.ctx, epoch, last)
	}
	if err != nil {
		f.mu.Lock()
		f.doubtful = true
		f.mu.Unlock()
		return false, err
	}
	list, err := l.messagesFrom(l.ctx, f.stored, from+1)
	if err != nil {
		return false, err
	}
	var floor uint64
	if len(list) == 0 { // they have expired, or the replica does not have them yet
		s, err := l.state(l.ctx)
		if err != nil {
			return false, err
		}
		floor = s.floor
		l.stats.stale.Add(1)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended {
		return true, nil
	}
	for _, m := range list {
		if m.seq > f.base() {
			f.deliverNext(m)
			l.saw(f.epoch, m.seq, m.id)
		}
	}
	if floor >= f.target { // all of them have expired; followers see a gap
		f.last, f.good, f.upTo = anchor{seq: f.target}, f.target, f.target
	}
	if f.base() < f.target {
		return false, nil
	}
	f.drain()
	return !f.reading, nil
}

// drain handles the messages that arrived during a repair. It is called with mu held
// while reading is set.
func (f *feed) drain() {
	f.reading = false
	list := f.backlog
	f.backlog = nil
	for i, m := range list {
		if m.seq <= f.base() {
			continue // it was read
		}
		if !f.follows(m) {
			f.reading, f.target = true, max(f.target, list[len(list)-1].seq)
			f.backlog = list[i:]
			if f.opening() {
				f.log.running.Go(f.repair)
			}
			return
		}
		f.deliverNext(m)
	}
	if f.base() < f.target { // some were dropped
		f.reading = true
		if f.opening() {
			f.log.running.Go(f.repair)
		}
	}
}

// opening reports whether no repair is running that would continue.
func (f *feed) opening() bool {
	select {
	case <-f.opened:
		return false
	default:
		return true
	}
}
