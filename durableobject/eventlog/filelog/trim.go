package filelog

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// Trim implements [eventlog.Log]. Records older than before are no longer replayed, and
// the segments that have no others are removed. Trim returns when their files are removed,
// or when ctx ends; the removal then continues. A record whose time is in the future,
// because the machine's clock was set back, counts as old as the log has been running since
// then.
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

// cut selects the segments to drop: those whose records are older than before, and those
// whose records are between wall, which is a time in the future, and aged.
type cut struct{ before, wall, aged int64 }

// cutAt returns the cut of a Trim. While the log's clock is ahead of the machine's, because
// that was set back, records with times between the two are selected by their age.
func (l *Log) cutAt(before int64) cut {
	wall, now := nanoseconds(time.Now()), l.now()
	if before > wall || now <= wall {
		return cut{before: before, wall: math.MaxInt64}
	}
	return cut{before: before, wall: wall, aged: before + (now - wall)}
}

func (c cut) covers(s *segment) bool {
	return s.lastTime < c.before || s.firstTime > c.wall && s.lastTime < c.aged
}

// trim runs the Trims that wait.
func (l *Log) trim(trims []*trimRequest) {
	if len(trims) > 0 {
		l.expireKeys()
	}
	for _, t := range trims {
		before := nanoseconds(t.before)
		dropped, err := l.drop(l.cutAt(before))
		if err != nil {
			t.done <- err
			continue
		}
		// Records with the newest time that are old enough have been dropped; more
		// records may be written with that time.
		mark := min(before, l.time)
		moved := mark > l.trimmed
		if moved {
			l.mu.Lock()
			l.trimmed = mark
			l.mu.Unlock()
		}
		if dropped || moved || l.c.stale {
			l.planCheckpoint()
		}
		l.c.trims = append(l.c.trims, t)
	}
}

// expire drops records that are older than the retention.
func (l *Log) expire() {
	l.expireKeys()
	dropped, err := l.drop(cut{before: l.cutoff(), wall: math.MaxInt64})
	if err != nil {
		l.options.Logger.Warn("event log: dropping old records failed", "err", err)
	}
	if dropped || l.c.stale {
		l.planCheckpoint()
	}
}

// drop forgets the segments that the cut covers, and reports whether there were any.
// The caller then plans a checkpoint; when that is written, the files are removed one by
// one. On a full disk this needs no space: see spare and recycle.
func (l *Log) drop(cut cut) (dropped bool, err error) {
	if err := l.writable(); err != nil {
		return false, err
	}
	c := &l.c
	n, last := l.covered(cut)
	if last != nil {
		spared, err := l.spare(last)
		switch {
		case err == nil && !spared:
			n++
		case err != nil && !errors.Is(err, ErrNotStored):
			return false, err
		case n == 0 && len(c.doomed) == 0:
			if err := l.recycle(last); err != nil {
				return false, err
			}
			return true, nil
		default: // the files of the others are removed first, which frees space
			c.left = &cut
		}
	}
	c.unlinking = c.unlinking || len(c.doomed) > 0 || n > 0
	if n == 0 {
		return false, nil
	}
	c.doomed = append(c.doomed, l.index.sealed[:n]...)
	l.mu.Lock()
	l.index.drop(n)
	l.mu.Unlock()
	l.dropped.Store(l.index.floor)
	return true, nil
}

// covered returns the number of sealed segments that the cut covers and that are not the
// newest segment, and the newest segment if the cut covers that too.
func (l *Log) covered(cut cut) (n int, newest *segment) {
	sealed, a := l.index.sealed, l.c.active
	for n < len(sealed) && cut.covers(sealed[n]) {
		n++
	}
	switch {
	case n < len(sealed):
		return n, nil
	case a == nil && n > 0:
		return n - 1, sealed[n-1]
	case a != nil && a.count > 0 && cut.covers(a.segment):
		return n, a.segment
	}
	return n, nil
}

// spare seals the newest segment and creates the next one, because the newest is never
// removed: its name is a lower limit of the next Seq. It reports whether the segment must
// be kept nevertheless, because the file is not as the index describes it.
func (l *Log) spare(newest *segment) (spared bool, err error) {
	if newest.raw {
		return true, nil
	}
	if a := l.c.active; a != nil && a.segment == newest {
		if err := l.seal(); err != nil {
			return true, err
		}
	}
	return false, l.ensureActive()
}

// recycle renames the file of the only segment, all of whose records are to be dropped, to
// the next segment and truncates it. This needs no space on disk. The name is changed
// first, so that no Seq is used again; if a crash follows, the records in the file are
// before its first Seq.
func (l *Log) recycle(s *segment) error {
	next := segmentName(l.next())
	l.dropped.Store(s.last) // before replays find no file
	if err := l.dir.Rename(s.name(), next); err != nil {
		l.dropped.Store(l.index.floor)
		return fmt.Errorf("%w: %w", ErrNotStored, err)
	}
	if err := l.dir.Sync(); errors.Is(err, errNotTried) && l.dir.Rename(next, s.name()) == nil {
		l.dropped.Store(l.index.floor)
		return fmt.Errorf("%w: %w", ErrNotStored, err)
	} else if err != nil {
		return l.breakDown(err)
	}
	l.mu.Lock()
	a := l.c.active
	if a != nil {
		l.index.dropLive(a.segment)
	} else {
		l.index.drop(1)
	}
	l.c.active, l.live = nil, nil
	l.mu.Unlock()
	l.dropped.Store(l.index.floor)
	l.c.gained()
	if a != nil {
		l.closeFile(a)
	}
	if err := l.ensureActive(); !errors.Is(err, ErrNotStored) {
		return err
	}
	return nil // the next append tries again
}
