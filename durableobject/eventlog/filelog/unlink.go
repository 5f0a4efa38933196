package filelog

import (
	"errors"
	"io/fs"
	"time"
)

// unlinker is the part of the committer that removes dropped segments.
type unlinker struct {
	// unsaved is the next checkpoint to be written, because drops must be recorded on
	// disk. floor is the floor of the newest checkpoint there. stale is set if a later
	// write failed, so that the checkpoint on disk is out of date.
	unsaved *checkpoint
	floor   uint64
	stale   bool
	// doomed are dropped segments whose files must still be removed, oldest first,
	// and uncut is the remaining size of the first file, or 0 if it is not known.
	doomed []*segment
	uncut  int64
	// left is a cut that needs more space to drop everything that it covers.
	left *cut
	// freed is set if space was freed since something last failed for lack of it; gains
	// counts how often space was freed.
	freed bool
	gains int
	// unlinking is set while there is work of this kind, and sweeping while a goroutine
	// runs a step. At its end it sends a function to swept, which the committer calls.
	unlinking bool
	sweeping  bool
	swept     chan func()
	// urgent is set while commits wait for space; there are then no pauses between steps.
	urgent bool
	trims  []*trimRequest // answered when no work is left
}

// planCheckpoint schedules writing a checkpoint of the current state, in place of one that
// was scheduled before.
func (l *Log) planCheckpoint() { l.c.unsaved, l.c.unlinking = l.checkpoint(false), true }

// unlink starts the next step: writing the checkpoint, then removing the files of dropped
// segments, the oldest first and each durably, so that the remaining ones are always the
// newest. The steps run concurrently with commits, because they take longer than syncing a
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

// dropLeft continues a drop that failed for lack of space.
func (l *Log) dropLeft() {
	c := &l.c
	left := c.left
	c.freed, c.left = false, nil
	if left != nil {
		if _, err := l.drop(*left); err != nil {
			l.options.Logger.Warn("event log: dropping old records failed", "err", err)
			l.endTrims(err)
			return
		}
	}
	l.planCheckpoint()
	l.unlink()
}

// unlinkFirst starts the next step of removing a segment. Removing a large file delays
// commits, so the file is first truncated in steps, unless the segment could be used again
// after a crash, for which it must be complete.
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
			c.uncut = 1 // try to remove it
			return
		}
		c.gained()
	})
}

// A pause of sweepPause times the duration of the step follows each step, because the
// system delays commits during a step and only some of them may be delayed.
const (
	sweepPause    = 2
	maxSweepPause = 200 * time.Millisecond
)

// sweep runs a step on another goroutine. The committer then calls done with its error.
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

// reclaim drops expired records and completes the removal of all dropped segments, for a
// commit that waits for space. It reports whether space was freed.
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

// saved records the result of writing a checkpoint. If the disk is full, files are removed
// without it, to free space: a crash then merely undoes a part of the trim.
func (l *Log) saved(c *checkpoint, err error) {
	l.c.stale = err != nil
	if err != nil {
		l.options.Logger.Warn("event log: writing the checkpoint failed", "err", err)
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

// remove removes a file durably. It is not an error if the file does not exist.
func (l *Log) remove(name string) error {
	if err := l.dir.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return l.dir.Sync()
}

// unlinked records the result of removing the first doomed segment.
func (l *Log) unlinked(err error) {
	c := &l.c
	if err != nil {
		l.options.Logger.Warn("event log: removing a segment failed", "err", err)
		l.endTrims(err) // tried again by the next Trim or expiry
		return
	}
	c.doomed, c.uncut = c.doomed[1:], 0
	c.gained()
}

// gained records that space was freed.
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
