package natslog

import (
	"time"
)

// catchUp has the stream read up to seq, unless that was taken. It reports whether it was not.
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

// read begins to read the stream up to seq, which it has. It is called with mu held.
func (f *feed) read(seq uint64) {
	f.reading, f.target = true, seq
	f.log.stats.repairs.Add(1)
	f.log.running.Go(f.repair)
}

// repair reads what the feed has missed, until it has taken target.
func (f *feed) repair() {
	l := f.log
	pause := stalePause
	for l.ctx.Err() == nil {
		done, err := f.readOn()
		if done {
			return
		}
		if err != nil {
			l.options.Logger.Warn("event log: cannot read what a feed has missed", "subject", f.stored, "err", err)
			pause = min(2*pause, time.Second)
		}
		select {
		case <-time.After(pause):
		case <-l.ctx.Done():
		}
	}
}

// readOn takes the next messages from the stream. It is done when the feed has taken all
// that it knew of.
func (f *feed) readOn() (done bool, err error) {
	l := f.log
	f.mu.Lock()
	from, last, epoch := f.base(), f.last, f.epoch
	f.doubtful = false
	f.mu.Unlock()
	// What was missed may be that of another stream, or of one that has gone back.
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
	if len(list) == 0 { // expired, or not at this replica yet
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
			f.hand(m)
			l.saw(f.epoch, m.seq, m.id)
		}
	}
	if floor >= f.target { // all of it has expired, and shows as a gap
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
		f.hand(m)
	}
	if f.base() < f.target { // some did not fit
		f.reading = true
		if f.opening() {
			f.log.running.Go(f.repair)
		}
	}
}

// opening reports whether no repair runs that would go on.
func (f *feed) opening() bool {
	select {
	case <-f.opened:
		return false
	default:
		return true
	}
}
