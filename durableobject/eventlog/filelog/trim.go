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
			l.saveCheckpoint()
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
		l.saveCheckpoint()
	}
}

// drop forgets the segments whose records are all older than before, and reports
// whether there were any. The caller then saves the checkpoint; after that their
// files are removed one by one.
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
	l.c.unlinking = len(l.c.doomed) > 0 || n > 0 || len(l.c.trims) > 0
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

// saveCheckpoint writes the checkpoint if it can. A full disk must not keep us
// from making room: without it a crash merely undoes a part of the trim.
func (l *Log) saveCheckpoint() {
	if err := l.checkpoint(false).write(l.dir); err != nil {
		l.options.Logger.Warn("event log: cannot write the checkpoint", "err", err)
	}
}

// unlink has the files of dropped segments removed, the oldest first and each
// durably, so that those left are always the newest. That goes on beside the commits:
// to give back a file takes the system longer than to sync a few records.
func (l *Log) unlink() {
	c := &l.c
	if c.removing {
		select {
		case err := <-c.removed:
			l.unlinked(err)
		default:
			return
		}
	}
	switch {
	case len(c.doomed) == 0:
		l.endTrims(nil)
	case c.unlinking:
		c.removing = true
		name := c.doomed[0].name()
		go func() { c.removed <- l.remove(name) }()
	}
}

// After a removal that took quickRemove or longer there is a pause of removePause times
// as long: the system lets commits wait meanwhile, and only few of them shall.
const (
	quickRemove    = time.Millisecond
	removePause    = 20
	maxRemovePause = 200 * time.Millisecond
)

// remove removes a file for good, if it is still there, and pauses.
func (l *Log) remove(name string) error {
	start := time.Now()
	if err := l.dir.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	err := l.dir.Sync()
	if took := time.Since(start); took >= quickRemove && !l.queue.closed.Load() {
		time.Sleep(min(removePause*took, maxRemovePause))
	}
	return err
}

// unlinked takes note of what became of the first doomed segment.
func (l *Log) unlinked(err error) {
	c := &l.c
	c.removing = false
	if err != nil {
		l.options.Logger.Warn("event log: cannot remove a segment", "err", err)
		l.endTrims(err) // tried again by the next Trim or expiry
		return
	}
	c.doomed = c.doomed[1:]
}

func (l *Log) endTrims(err error) {
	for _, t := range l.c.trims {
		t.done <- err
	}
	l.c.trims, l.c.unlinking = nil, false
}
