package filelog

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"
)

// recover repairs the directory and loads the state of the log. If it is interrupted, it
// can be run again.
func (l *Log) recover() error {
	s, err := take(l.dir, false)
	if err != nil {
		return err
	}
	if s.fresh {
		s.checkpoint.salt = randomID()
		s.seed = seedOf(s.checkpoint.salt)
	}
	l.salt, l.seed = s.checkpoint.salt, s.seed
	l.index, l.trimmed = s.index, s.checkpoint.trimmed
	l.time, l.timeAt = s.time, time.Now()
	l.head, l.durable = s.next-1, s.durable
	l.delivered = l.head
	l.dropped.Store(l.index.floor)
	l.epochs = s.epochs
	if s.report.NewEpoch {
		l.epochs = append(l.epochs, newEpoch(randomID(), s.next))
	}
	l.recallDropped(s.checkpoint.keys)
	// The checkpoint is written first, since it must have the new epoch and the lost
	// records before a repair hides that anything was wrong. If nothing was wrong, it can
	// be written later, when there is space for it.
	if err := l.checkpoint(false).write(l.dir); err != nil {
		if l.c.unmarked = isFull(err) && s.known && len(s.report.Damage) == 0; !l.c.unmarked {
			return err
		}
	}
	if err := l.removeAll(s.leftover); err != nil {
		return err
	}
	if l.c.unmarked {
		l.reclaim()
	}
	var empty []string
	for _, r := range s.repairs {
		if err := l.repair(r, &s.report); err != nil {
			return err
		}
		if r.content == nil && r.name != segmentName(l.next()) {
			empty = append(empty, r.name)
		}
	}
	l.durable = l.head
	if err := l.recallStored(); err != nil {
		return err
	}
	if err := l.mark(); err == nil {
		err = l.ensureActive()
		if err != nil && !isFull(err) {
			return err
		}
	}
	// An empty newest segment, like any newest segment, is removed only once there is another.
	if l.c.active != nil {
		if err := l.removeAll(empty); err != nil {
			return err
		}
	}
	l.report = s.report
	if err := l.report.Err(); err != nil {
		l.options.Logger.Error("event log: damage found", "err", err)
	}
	return nil
}

// repair replaces a segment by its intact records, or removes it if it has none. On a full
// disk it first drops expired segments and, if that does not help, uses the existing file,
// if that has all of its records.
func (l *Log) repair(r repair, report *Report) error {
	if r.expired(l.index.sealed) {
		return nil
	}
	if r.damaged {
		name, err := l.keepAside(r.name)
		if err != nil {
			return err
		}
		report.Quarantine = append(report.Quarantine, name)
	}
	if r.content == nil {
		return nil
	}
	err := replaceFile(l.dir, r.name, r.content)
	if isFull(err) && l.reclaim() {
		if r.expired(l.index.sealed) {
			return nil
		}
		err = replaceFile(l.dir, r.name, r.content)
	}
	if isFull(err) && r.whole {
		return l.reuse(r)
	}
	r.segment.raw = err != nil
	return err
}

// expired reports whether the segment has been dropped.
func (r *repair) expired(sealed []*segment) bool {
	return r.segment != nil && !slices.Contains(sealed, r.segment)
}

// reuse makes the file of a segment that is not sealed the active one and truncates it
// after its records. It writes all bytes again, in the same place, because after a failed
// sync they may be only in memory.
func (l *Log) reuse(r repair) error {
	f, err := l.dir.Edit(r.name)
	if err != nil {
		return err
	}
	data := r.content[:r.segment.dataEnd]
	if _, err = f.WriteAt(data, 0); err == nil {
		err = f.Truncate(int64(len(data)))
	}
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	l.live = l.index.unseal(r.runs)
	l.c.active = &active{segment: l.live, file: f, sum: update(l.seed, data)}
	return nil
}

// keepAside copies a damaged file to a new name, which it returns.
func (l *Log) keepAside(name string) (string, error) {
	content, err := readFile(l.dir, name)
	if err != nil {
		return "", err
	}
	// Damage begins a new epoch, which makes the name unique.
	aside := fmt.Sprintf("%s-%s%s", name, l.epochs.current().text, damagedSuffix)
	return aside, replaceFile(l.dir, aside, content)
}

func (l *Log) removeAll(names []string) error {
	if len(names) == 0 {
		return nil
	}
	for _, name := range names {
		if err := l.dir.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return l.dir.Sync()
}

// Check verifies every record of the log in the directory at path and changes nothing. The
// report describes what it found. It returns an error only if it cannot read the log, for
// example [ErrLocked] while the log is open.
func Check(path string) (Report, error) {
	dir, err := directoryAt(path)
	var report Report
	if err == nil {
		report, err = check(dir)
	}
	if err != nil {
		return Report{}, fmt.Errorf("filelog: check: %w", err)
	}
	return report, nil
}

func check(dir directory) (Report, error) {
	lock, err := dir.Lock(true)
	if err != nil {
		return Report{}, err
	}
	s, err := take(dir, true)
	_, damage, keptErr := readKept(dir, nil)
	if err = errors.Join(err, keptErr, lock.Close()); err != nil {
		return Report{}, err
	}
	s.damage(damage...)
	return s.report, nil
}
