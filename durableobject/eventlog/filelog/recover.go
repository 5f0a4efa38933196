package filelog

import (
	"errors"
	"fmt"
	"io/fs"
)

// recover brings the directory and the log into a state to go on from. It may
// be cut short anywhere and begun again.
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
	l.index, l.time, l.trimmed = s.index, s.time, s.checkpoint.trimmed
	l.head, l.durable = s.next-1, s.durable
	l.delivered = l.head
	l.gone.Store(l.index.floor)
	l.epochs = s.epochs
	if s.report.NewEpoch {
		l.epochs = append(l.epochs, newEpoch(randomID(), s.next))
	}
	// The checkpoint comes first: once a repair hides what was wrong, the new
	// epoch and the lost records must be on record.
	if err := l.checkpoint(false).write(l.dir); err != nil {
		return err
	}
	if err := l.removeAll(s.leftover); err != nil {
		return err
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
	if err := l.ensureActive(); err != nil {
		return err
	}
	// Like any newest segment, also one that holds nothing makes way only for another.
	if err := l.removeAll(empty); err != nil {
		return err
	}
	l.report = s.report
	if err := l.report.Err(); err != nil {
		l.options.Logger.Error("event log: damage found", "err", err)
	}
	return nil
}

// repair replaces a segment by what is left of it, if anything is.
func (l *Log) repair(r repair, report *Report) error {
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
	return replaceFile(l.dir, r.name, r.content)
}

// keepAside copies a damaged file to a name of its own.
func (l *Log) keepAside(name string) (string, error) {
	content, err := readFile(l.dir, name)
	if err != nil {
		return "", err
	}
	// The epoch that the damage begins makes the name unique.
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

// Check verifies the log in the directory at path record by record and changes
// nothing. It returns an error if it cannot look, for example ErrLocked while
// the log is open; what it finds is in the report.
func Check(path string) (Report, error) {
	report, err := check(osDirectory(path))
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
	if err = errors.Join(err, lock.Close()); err != nil {
		return Report{}, err
	}
	return s.report, nil
}
