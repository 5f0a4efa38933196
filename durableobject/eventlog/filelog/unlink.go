package filelog

import (
	"errors"
	"io/fs"
	"time"
)

// unlinker is the part of the committer that removes dropped segments.
type unlinker struct {
	// unsaved is the checkpoint to be written next, since it has to be known on disk what
	// is dropped. floor is that of the newest checkpoint there. stale is set if it lacks
	// something, since the write after it failed.
	unsaved *checkpoint
	floor   uint64
	stale   bool
	// doomed are dropped segments whose files are still to be removed, oldest first,
	// and uncut is what is left of the first file, 0 if that is not known.
	doomed []*segment
	uncut  int64
	// left is a cut that could not drop all that it covers before there is space.
	left *cut
	// freed is set if there is more space than when something last failed for the lack of
	// it; gains counts how often there was more.
	freed bool
	gains int
	// unlinking is set while there is something to be done about all that, sweeping while a
	// goroutine does a step, which ends by sending what follows from it to swept.
	unlinking bool
	sweeping  bool
	swept     chan func()
	// urgent is set while commits wait for space, so that no step spares them.
	urgent bool
	trims  []*trimRequest // answered when nothing is left to be done
}

// planCheckpoint schedules the write of a checkpoint of what is known now, in place of
// one that was to be written.
func (l *Log) planCheckpoint() { l.c.unsaved, l.c.unlinking = l.checkpoint(false), true }

// unlink begins the next step: to write the checkpoint, then to remove the files of
// dropped segments, the oldest first and each durably, so that those left are always
// the newest. The steps run beside the commits, since they take longer than to sync a
// few records.
func (l *Log) unlink() {
	c := &l.c
	if c.sweeping {
		select {
		case done := <-c.swept:
			l.endSweep(done)
		default:
			return
		}
	}
	switch {
	case c.unsaved != nil:
		next := c.unsaved
		c.unsaved = nil
		l.sweep(func() error { return next.write(l.dir) }, func(err error) { l.saved(next, err) })
	case len(c.doomed) > 0:
		if c.unlinking {
			l.unlinkFirst(c.doomed[0])
		}
	case c.freed && (c.left != nil || c.stale):
		l.dropLeft()
	default:
		l.endTrims(nil)
	}
}

// dropLeft does what failed before for the lack of space.
func (l *Log) dropLeft() {
	c := &l.c
	left := c.left
	c.freed, c.left = false, nil
	if left != nil {
		if _, err := l.drop(*left); err != nil {
			l.options.Logger.Warn("event log: cannot drop old records", "err", err)
			l.endTrims(err)
			return
		}
	}
	l.planCheckpoint()
	l.unlink()
}

// unlinkFirst takes the next step to remove a segment. To free a large file takes
// the system long, and commits with it, so the file is cut short bit by bit first:
// unless a crash would bring the segment back, which then has to be whole.
func (l *Log) unlinkFirst(s *segment) {
	c := &l.c
	if c.uncut == 0 {
		c.uncut = s.size
	}
	rest := c.uncut - int64(l.options.cutBytes)
	if rest <= 0 || s.last > c.floor || c.urgent {
		l.sweep(func() error { return l.remove(s.name()) }, l.unlinked)
		return
	}
	l.sweep(func() error { return l.cut(s.name(), rest) }, func(err error) {
		c.uncut = rest
		if err != nil {
			c.uncut = 1 // it may be possible to remove it
			return
		}
		c.gained()
	})
}

// After a step there is a pause of sweepPause times as long: the system delays commits
// during a step, and only some of them are to be delayed.
const (
	sweepPause    = 2
	maxSweepPause = 200 * time.Millisecond
)

// sweep does a step beside the commits, and then has the committer call done with its error.
func (l *Log) sweep(step func() error, done func(error)) {
	l.c.sweeping = true
	urgent := l.c.urgent
	go func() {
		start := time.Now()
		err := step()
		if !urgent && !l.queue.closed.Load() {
			time.Sleep(min(sweepPause*time.Since(start), maxSweepPause))
		}
		l.c.swept <- func() { done(err) }
	}()
}

func (l *Log) endSweep(done func()) {
	l.c.sweeping = false
	done()
}

// reclaim drops what has expired and finishes the removal of all that was dropped, for
// a commit that waits for space. It reports whether there is more space than before.
func (l *Log) reclaim() bool {
	c := &l.c
	c.urgent = true
	before := c.gains
	l.expire()
	for c.unlinking || c.sweeping {
		l.unlink()
		if c.sweeping {
			l.endSweep(<-c.swept)
		}
	}
	c.urgent = false
	return c.gains != before
}

// saved notes the outcome of writing a checkpoint. A full disk must not prevent us from
// making space: without the checkpoint a crash merely undoes a part of the trim.
func (l *Log) saved(c *checkpoint, err error) {
	l.c.stale = err != nil
	if err != nil {
		l.options.Logger.Warn("event log: cannot write the checkpoint", "err", err)
		return
	}
	l.c.floor, l.c.unmarked = c.floor, false
}

// cut removes the end of a file.
func (l *Log) cut(name string, size int64) error {
	f, err := l.dir.Edit(name)
	if err != nil {
		return err
	}
	if err = f.Truncate(size); err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// remove removes a file durably, if it is still there.
func (l *Log) remove(name string) error {
	if err := l.dir.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return l.dir.Sync()
}

// unlinked notes the outcome of removing the first doomed segment.
func (l *Log) unlinked(err error) {
	c := &l.c
	if err != nil {
		l.options.Logger.Warn("event log: cannot remove a segment", "err", err)
		l.endTrims(err) // tried again by the next Trim or expiry
		return
	}
	c.doomed, c.uncut = c.doomed[1:], 0
	c.gained()
}

// gained notes that there is more space than before.
func (u *unlinker) gained() {
	u.freed = true
	u.gains++
}

func (l *Log) endTrims(err error) {
	for _, t := range l.c.trims {
		t.done <- err
	}
	l.c.trims, l.c.unlinking = nil, false
}
