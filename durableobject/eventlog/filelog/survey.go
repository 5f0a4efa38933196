package filelog

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// survey is the result of reading a directory: the state of the log, and what Open must
// change on disk first. Reading changes nothing.
type survey struct {
	dir  directory
	deep bool // verify every record, not only the checksums of sealed segments

	fresh      bool // there is no log yet
	checkpoint checkpoint
	known      bool // checkpoint is valid
	seed       uint32
	salted     bool // seed is known

	index    index
	epochs   epochs
	next     uint64 // Seq of the next record
	durable  uint64 // newest Seq that is known to be on disk
	time     int64
	repairs  []repair
	leftover []string // files to remove
	report   Report
}

// repair describes how to replace a segment by its intact records.
type repair struct {
	name    string
	content []byte // nil if there are none
	damaged bool   // keep the original under another name
	// segment and runs describe the content. whole is set if the file begins with all
	// of the records.
	segment *segment
	runs    []run
	whole   bool
}

// take surveys a directory.
func take(dir directory, deep bool) (*survey, error) {
	s := &survey{dir: dir, deep: deep, index: index{channels: map[string]*channel{}}}
	bases, err := s.list()
	if err != nil {
		return nil, err
	}
	if s.checkpoint, s.known, err = readCheckpoint(dir); err != nil {
		return nil, err
	}
	if s.fresh = len(bases) == 0 && !s.known; s.fresh {
		// A first Open that was interrupted may have left files, but records are appended
		// only after its checkpoint is durable.
		s.next = 1
		s.report.Clean, s.report.NewEpoch = true, true
		return s, nil
	}
	s.report.Clean = s.known && s.checkpoint.clean
	if s.known {
		s.index.floor, s.index.lost = s.checkpoint.floor, s.checkpoint.lost
		s.epochs, s.time = s.checkpoint.epochs, s.checkpoint.time
	} else {
		s.damage(Damage{File: checkpointName, Reason: "missing or damaged"})
	}
	if err := s.findSalt(bases); err != nil {
		return nil, err
	}
	for i, base := range bases {
		limit := uint64(0) // the newest segment has none
		if i+1 < len(bases) {
			limit = bases[i+1]
		}
		if s.known && limit > 0 && limit-1 <= s.checkpoint.floor {
			s.leftover = append(s.leftover, segmentName(base))
			continue
		}
		if err := s.segment(base, limit); err != nil {
			return nil, fmt.Errorf("%s: %w", segmentName(base), err)
		}
	}
	s.finish()
	return s, nil
}

// list classifies the files of the directory.
func (s *survey) list() (bases []uint64, err error) {
	names, err := s.dir.List()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if base, ok := parseSegmentName(name); ok {
			bases = append(bases, base)
		} else if strings.HasSuffix(name, tempSuffix) {
			s.leftover = append(s.leftover, name)
		} else if strings.HasSuffix(name, damagedSuffix) {
			s.report.Quarantine = append(s.report.Quarantine, name)
		}
	}
	slices.Sort(bases)
	slices.Sort(s.report.Quarantine)
	return bases, nil
}

// findSalt reads the salt from the checkpoint or, if there is none, from the first valid
// header.
func (s *survey) findSalt(bases []uint64) error {
	s.salted = s.known
	for i := 0; i < len(bases) && !s.salted; i++ {
		f, err := s.dir.Open(segmentName(bases[i]))
		if err != nil {
			return err
		}
		header := make([]byte, headerBytes)
		_, err = f.ReadAt(header, 0)
		_ = f.Close() // nothing was written
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		s.checkpoint.salt, s.salted = parseHeader(header, bases[i])
	}
	if !s.salted {
		s.checkpoint.salt = randomID()
	}
	s.seed = seedOf(s.checkpoint.salt)
	return nil
}

// segment surveys the segment for the Seqs from base up to limit.
func (s *survey) segment(base, limit uint64) error {
	if s.next == 0 { // the oldest segment: those before it were dropped
		s.index.floor = max(s.index.floor, base-1)
	} else if base > s.next {
		s.gap(Damage{File: segmentName(base), First: s.next, Last: base - 1, Reason: "segments before it are missing"})
	}
	s.next = max(s.next, base)

	if limit > 0 || s.report.Clean {
		sound, err := s.sealed(base, limit)
		if err != nil || sound {
			return err
		}
	}
	content, err := readFile(s.dir, segmentName(base))
	if err != nil {
		return err
	}
	v := salvage{survey: s, base: base, limit: limit, content: content}
	v.run()
	return nil
}

// sealed adds the segment if it is sealed and its checksums are right.
func (s *survey) sealed(base, limit uint64) (sound bool, err error) {
	f, err := s.dir.Open(segmentName(base))
	if err != nil {
		return false, err
	}
	defer func() { _ = f.Close() }() // nothing was written
	size, err := f.Size()
	if err != nil || size < headerBytes+trailerBytes || s.deep {
		return false, err
	}
	end := make([]byte, trailerBytes)
	if _, err := f.ReadAt(end, size-trailerBytes); err != nil {
		return false, err
	}
	t, ok := parseTrailer(end, size)
	if !ok || t.base != base || limit > 0 && t.last >= limit {
		return false, nil
	}
	footer := make([]byte, size-t.dataEnd)
	if _, err := f.ReadAt(footer, t.dataEnd); err != nil {
		return false, err
	}
	if !checkFooter(footer, s.seed) {
		return false, nil
	}
	sum, salt, err := sumOf(f, s.seed, base, t.dataEnd)
	if err != nil || sum != t.sum || salt != s.checkpoint.salt {
		return false, err
	}
	s.durable = t.last
	return true, s.add(t, size, footer)
}

// add adds a sealed segment to the index.
func (s *survey) add(t trailer, size int64, footer []byte) error {
	seg := &segment{
		base: t.base, last: t.last, count: t.count, firstTime: t.firstTime, lastTime: t.lastTime,
		dataEnd: t.dataEnd, size: size,
	}
	if !s.index.load(seg, footer, t.runs) {
		return fmt.Errorf("%w: footer has a valid checksum but is malformed", ErrDamaged)
	}
	if !s.known && (len(s.epochs) == 0 || s.epochs.current().id != t.epoch) {
		s.epochs = append(s.epochs, newEpoch(t.epoch, t.base))
	}
	s.next = max(s.next, t.last+1)
	s.time = max(s.time, t.lastTime)
	s.report.Segments++
	s.report.Records += t.count
	s.report.Bytes += size
	return nil
}

// gap records that durable records are missing.
func (s *survey) gap(d Damage) {
	if d.Last > s.index.lost || !s.known {
		s.index.lost = max(s.index.lost, d.Last)
		s.damage(d)
	}
}

func (s *survey) damage(d ...Damage) { s.report.Damage = append(s.report.Damage, d...) }

// finish completes the survey after all segments were read.
func (s *survey) finish() {
	if s.known {
		if s.next < s.checkpoint.next {
			// Durable records are missing only because of damage, unless all were dropped.
			if first := max(s.next, s.index.floor+1); first < s.checkpoint.next {
				s.gap(Damage{File: checkpointName, First: first, Last: s.checkpoint.next - 1, Reason: "the newest segments are missing"})
			}
			s.next = s.checkpoint.next
		}
		for _, q := range s.checkpoint.quiet {
			s.index.remember(q.name, q.last)
		}
	}
	s.durable = min(s.durable, s.next-1)
	for i, e := range s.epochs { // no epoch has records after the end of the log
		s.epochs[i].first = min(e.first, s.next)
	}
	s.report.Channels = len(s.index.channels)
	s.report.NewEpoch = len(s.report.Damage) > 0 || s.report.Cut > 0 || len(s.epochs) == 0 ||
		!s.report.Clean && !s.checkpoint.fullSync
}

// sumBuffer is the size of the buffer for reading a whole file.
const sumBuffer = 256 << 10

// sumOf returns the checksum of the file up to end, and the salt in its header.
func sumOf(f file, seed uint32, base uint64, end int64) (sum uint32, salt uint64, err error) {
	b := make([]byte, min(end, sumBuffer))
	for off := int64(0); off < end; {
		b = b[:min(int64(len(b)), end-off)]
		if _, err := f.ReadAt(b, off); err != nil {
			return 0, 0, err
		}
		if off == 0 {
			salt, _ = parseHeader(b, base)
			sum = seed
		}
		sum = update(sum, b)
		off += int64(len(b))
	}
	return sum, salt, nil
}
