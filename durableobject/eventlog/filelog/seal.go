package filelog

import "errors"

// seal closes the active segment: it writes the footer and makes all of it durable.
func (l *Log) seal() error {
	a := l.c.active
	if err := l.mend(a); err != nil {
		return err
	}
	if l.durable < l.head {
		// A footer on disk says that the records before it are.
		if err := l.sync(a.file); err != nil {
			return err
		}
	}
	footer := a.footer(l.seed, l.epochs.current().id)
	if _, err := a.file.WriteAt(footer, a.dataEnd); err != nil {
		return l.undo(err)
	}
	if err := l.sync(a.file); err != nil {
		return err
	}
	l.closeFile(a)
	lists := a.lists(footer)

	l.mu.Lock()
	defer l.mu.Unlock()
	a.size = a.dataEnd + int64(len(footer))
	l.index.seal(a.segment, lists)
	l.durable, l.unsynced = l.head, false
	l.c.active, l.live = nil, nil
	return nil
}

// closeFile closes the file of a segment that was synced.
func (l *Log) closeFile(a *active) {
	if err := a.file.Close(); err != nil {
		l.options.Logger.Warn("event log: cannot close a segment", "file", a.name(), "err", err)
	}
}

// footer returns the footer of the segment as it is.
func (a *active) footer(seed uint32, epoch uint64) []byte {
	t := trailer{
		base: a.base, last: a.last, count: a.count, epoch: epoch,
		firstTime: a.firstTime, lastTime: a.lastTime, dataEnd: a.dataEnd, sum: a.sum, runs: uint32(len(a.channels)),
	}
	return appendFooter(nil, seed, t, func(yield func(run) bool) {
		for _, c := range a.channels {
			if !yield(run{channel: c.name, before: c.before(), refs: c.live}) {
				return
			}
		}
	})
}

// lists returns where the list of each channel is once the footer is written.
func (a *active) lists(footer []byte) []runRef {
	lists := make([]runRef, 0, len(a.channels))
	storedRuns(footer, uint32(len(a.channels)), func(r storedRun) {
		lists = append(lists, runRef{
			seg: a.segment, last: a.base + uint64(r.last),
			off: uint32(a.dataEnd) + uint32(r.off), size: uint32(r.size),
		})
	})
	return lists
}

// finish is the last that the committer does: it seals the active segment and marks
// the log as closed. If that fails only for want of space, all records are stored
// nevertheless, and the next Open finds the log as after a crash.
func (l *Log) finish() error {
	err := l.writable()
	if err == nil {
		if err = l.markClosed(); err != nil && l.reclaim() {
			err = l.markClosed()
		}
	}
	if a := l.c.active; a != nil {
		err = errors.Join(err, a.file.Close())
	}
	return err
}

func (l *Log) markClosed() error {
	if a := l.c.active; a != nil && a.count > 0 {
		if err := l.seal(); err != nil {
			return err
		}
	}
	return l.checkpoint(true).write(l.dir)
}
