package filelog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
)

const (
	headerMagic   = "orpclog1"
	headerBytes   = 32
	segmentSuffix = ".seg"
	// damagedSuffix is the suffix of the names of damaged originals.
	damagedSuffix = ".damaged"
	tempSuffix    = ".tmp"
)

// segment is a file of records. Once sealed it does not change.
type segment struct {
	base, last          uint64 // its first and last Seq
	count               uint64 // number of records
	firstTime, lastTime int64
	dataEnd             int64 // offset of the end of the records
	size                int64
	// raw is set if the file still has to be repaired to be as described here: see repair.
	raw bool
	// channels are the channels with records in it, in order of their first one.
	channels []*channel
}

func (s *segment) name() string { return segmentName(s.base) }

func segmentName(base uint64) string { return fmt.Sprintf("%020d%s", base, segmentSuffix) }

// parseSegmentName returns the first Seq of the segment with this name.
func parseSegmentName(name string) (base uint64, ok bool) {
	digits, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok || len(digits) != 20 {
		return 0, false
	}
	base, err := strconv.ParseUint(digits, 10, 64)
	return base, err == nil && base > 0
}

// appendHeader appends the header of a segment.
func appendHeader(b []byte, salt, base uint64) []byte {
	start := len(b)
	b = append(b, headerMagic...)
	b = binary.LittleEndian.AppendUint64(b, salt)
	b = binary.LittleEndian.AppendUint64(b, base)
	b = append(b, 0, 0, 0, 0)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b[start:], castagnoli))
}

// parseHeader parses the header at the start of b and returns its salt. ok is false if it
// is not a valid header of the segment with this base.
func parseHeader(b []byte, base uint64) (salt uint64, ok bool) {
	if len(b) < headerBytes {
		return 0, false
	}
	b = b[:headerBytes]
	salt = binary.LittleEndian.Uint64(b[8:])
	return salt, string(b) == string(appendHeader(nil, salt, base))
}

// active is the segment that records are written to. Only the committer uses it.
type active struct {
	*segment
	file file
	// sum is the checksum of the file up to dataEnd.
	sum uint32
	// torn is set if there may be bytes of a failed write after dataEnd.
	torn bool
}

// createActive creates an empty segment, or truncates an existing one with this name, and
// makes it and its name durable. If it fails and keep is not set, the file is removed.
// uncertain is set if a sync failed.
func createActive(dir directory, salt uint64, seed uint32, base uint64, keep bool) (a *active, uncertain bool, err error) {
	header := appendHeader(nil, salt, base)
	seg := &segment{base: base, last: base - 1, dataEnd: headerBytes, size: headerBytes}
	f, err := dir.Create(seg.name())
	if err != nil {
		return nil, false, err
	}
	if _, err = f.WriteAt(header, 0); err == nil {
		err = f.Sync()
		uncertain = err != nil
	}
	if err == nil {
		err = dir.Sync()
		uncertain = err != nil && !errors.Is(err, errNotTried)
	}
	if err != nil {
		// A file that is left does no harm, so only the first error is returned.
		_ = f.Close()
		if !keep {
			_ = dir.Remove(seg.name())
		}
		return nil, uncertain, err
	}
	return &active{segment: seg, file: f, sum: update(seed, header)}, false, nil
}

// seal closes the active segment: it writes the footer and makes all of it durable.
func (l *Log) seal() error {
	a := l.c.active
	if err := l.mend(a); err != nil {
		return err
	}
	if l.durable < l.head {
		// A footer on disk implies that the records before it are on disk too.
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
		l.options.Logger.Warn("event log: closing a segment failed", "file", a.name(), "err", err)
	}
}

// footer returns the footer of the segment in its current state.
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

// lists returns the positions that the lists of the channels will have in the file.
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

// finish seals the active segment and marks the log as closed, as the committer's last
// action. If it fails only for lack of space, all records are stored, and the next Open
// finds the log as after a crash.
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
