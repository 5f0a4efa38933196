package filelog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// Trim makes After pass over records older than before, at once and for good,
// and removes the segments that hold nothing else. It returns when their files
// are gone, or ctx's error, and then goes on behind the caller's back.
func (l *Log) Trim(ctx context.Context, before time.Time) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("filelog: trim: %w", err)
	}
	t := &trimRequest{before: before, done: make(chan error, 1)}
	if !l.queue.trim(t) {
		return fmt.Errorf("filelog: trim: %w", eventlog.ErrClosed)
	}
	select {
	case err := <-t.done:
		if err != nil {
			return fmt.Errorf("filelog: trim: %w", err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("filelog: trim: %w", ctx.Err())
	}
}

// cutoff returns the time before which records are not replayed.
func (l *Log) cutoff() int64 {
	if l.options.Retention == 0 {
		return l.trimmed
	}
	return max(l.trimmed, l.now()-int64(l.options.Retention))
}

// trim serves Trims that wait.
func (l *Log) trim(trims []*trimRequest) {
	for _, t := range trims {
		before := nanoseconds(t.before)
		dropped, err := l.drop(before)
		if err != nil {
			t.done <- err
			continue
		}
		// Records of the newest time that are old enough are dropped by now, others
		// of that time may come.
		cut := min(before, l.time)
		moved := cut > l.trimmed
		if moved {
			l.mu.Lock()
			l.trimmed = cut
			l.mu.Unlock()
		}
		if dropped || moved {
			l.planCheckpoint()
		}
		l.c.trims = append(l.c.trims, t)
	}
}

// expire drops what is past the retention.
func (l *Log) expire() {
	dropped, err := l.drop(l.cutoff())
	if err != nil {
		l.options.Logger.Warn("event log: cannot drop old records", "err", err)
	}
	if dropped {
		l.planCheckpoint()
	}
}

// drop forgets the segments whose records are all older than before, and reports
// whether there were any. The caller then plans a checkpoint; after that is written
// their files are removed one by one.
func (l *Log) drop(before int64) (dropped bool, err error) {
	if err := l.broken(); err != nil {
		return false, err
	}
	if a := l.c.active; a != nil && a.count > 0 && a.lastTime < before {
		if err := l.seal(); err != nil {
			return false, err
		}
	}
	n := 0
	for n < len(l.index.sealed) && l.index.sealed[n].lastTime < before {
		n++
	}
	l.c.unlinking = l.c.unlinking || len(l.c.doomed) > 0 || n > 0
	if n == 0 {
		return false, nil
	}
	// The newest segment always stays: its name is the least that the next Seq can be.
	if err := l.ensureActive(); err != nil {
		return false, err
	}
	l.c.doomed = append(l.c.doomed, l.index.sealed[:n]...)
	l.mu.Lock()
	l.index.drop(n)
	l.mu.Unlock()
	l.gone.Store(l.index.floor)
	return true, nil
}

// planCheckpoint has what is known now written, in place of what was to be written.
func (l *Log) planCheckpoint() { l.c.unsaved, l.c.unlinking = l.checkpoint(false), true }

// unlink has the checkpoint written and the files of dropped segments removed, the
// oldest first and each durably, so that those left are always the newest. That goes on
// beside the commits, since it takes the system longer than to sync a few records.
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
	case len(c.doomed) == 0:
		l.endTrims(nil)
	case c.unlinking:
		l.unlinkFirst(c.doomed[0])
	}
}

// unlinkFirst takes the next step to remove a segment. To give back a large file takes
// the system long, and commits with it, so the file is cut short bit by bit first:
// unless a crash would bring the segment back, which then has to be whole.
func (l *Log) unlinkFirst(s *segment) {
	c := &l.c
	if c.uncut == 0 {
		c.uncut = s.size
	}
	rest := c.uncut - int64(l.options.cutBytes)
	if rest <= 0 || s.last > c.floor {
		l.sweep(func() error { return l.remove(s.name()) }, l.unlinked)
		return
	}
	l.sweep(func() error { return l.cut(s.name(), rest) }, func(err error) {
		c.uncut = rest
		if err != nil {
			c.uncut = 1 // it may be possible to remove it
		}
	})
}

// After a step there is a pause of sweepPause times as long: the system lets commits wait
// meanwhile, and only some of them shall.
const (
	sweepPause    = 2
	maxSweepPause = 200 * time.Millisecond
)

// sweep does a step beside the commits, and then tells the committer of its error.
func (l *Log) sweep(step func() error, tell func(error)) {
	l.c.sweeping = true
	go func() {
		start := time.Now()
		err := step()
		if !l.queue.closed.Load() {
			time.Sleep(min(sweepPause*time.Since(start), maxSweepPause))
		}
		l.c.swept <- func() { tell(err) }
	}()
}

func (l *Log) endSweep(done func()) {
	l.c.sweeping = false
	done()
}

// saved takes note of what became of a checkpoint. A full disk must not keep us from
// making room: without it a crash merely undoes a part of the trim.
func (l *Log) saved(c *checkpoint, err error) {
	if err != nil {
		l.options.Logger.Warn("event log: cannot write the checkpoint", "err", err)
		return
	}
	l.c.floor = c.floor
}

// cut gives back the end of a file.
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

// remove removes a file for good, if it is still there.
func (l *Log) remove(name string) error {
	if err := l.dir.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return l.dir.Sync()
}

// unlinked takes note of what became of the first doomed segment.
func (l *Log) unlinked(err error) {
	c := &l.c
	if err != nil {
		l.options.Logger.Warn("event log: cannot remove a segment", "err", err)
		l.endTrims(err) // tried again by the next Trim or expiry
		return
	}
	c.doomed, c.uncut = c.doomed[1:], 0
}

func (l *Log) endTrims(err error) {
	for _, t := range l.c.trims {
		t.done <- err
	}
	l.c.trims, l.c.unlinking = nil, false
}
