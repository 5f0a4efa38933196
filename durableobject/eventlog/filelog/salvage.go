package filelog

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
)

// salvage finds the intact records of a segment that is damaged or not sealed.
type salvage struct {
	*survey
	base, limit uint64
	content     []byte

	trailer trailer
	ended   bool // the trailer is valid
	header  bool // the header is valid

	records []found
	holes   []hole
	durable uint64 // newest Seq of this segment that is known to have been durable
	damaged bool
}

// run adds the intact records of the segment to the survey, and how to repair the segment.
func (v *salvage) run() {
	v.read()
	v.judge()
	v.rebuild()
}

// read reads the records and finds out which of them were durable.
func (v *salvage) read() {
	salt, ok := parseHeader(v.content, v.base)
	v.header = ok && salt == v.checkpoint.salt
	data := v.content
	if size := int64(len(data)); size >= headerBytes+trailerBytes {
		t, ok := parseTrailer(data[size-trailerBytes:], size)
		if ok && t.base == v.base && checkFooter(data[t.dataEnd:], v.seed) {
			v.trailer, v.ended = t, true
			data = data[:t.dataEnd]
		}
	}
	v.durable = v.base - 1
	if v.known {
		v.durable = max(v.durable, v.checkpoint.next-1)
	}
	v.holes = scan(data, v.seed, v.base, func(r found) {
		v.records = append(v.records, r)
		v.durable = max(v.durable, r.durable)
	})
	switch {
	case v.ended:
		v.durable = v.trailer.last
	case v.limit > 0: // the next segment was created after this one was durable
		v.durable = v.limit - 1
	}
	v.survey.durable = max(v.survey.durable, v.durable)
	next := v.base
	if n := len(v.records); n > 0 {
		next = v.records[n-1].seq + 1
	}
	if n := len(v.holes); (n == 0 || v.holes[n-1].next != 0) && next <= v.durable {
		v.holes = append(v.holes, hole{off: len(data), end: len(data), first: next})
	}
}

// judge distinguishes damage from the traces of an interrupted write. A hole is such a
// trace, and the end of the log, if no record in it or after it is known to have been
// durable.
func (v *salvage) judge() {
	// A segment for Seqs after the end of the closed log was created later, unless it is
	// an empty one that Close has left.
	begun := v.base >= v.checkpoint.next && len(v.content) != headerBytes
	unclosed := v.limit == 0 && (!v.report.Clean || begun)
	if unclosed && len(v.records) == 0 && v.durable < v.base {
		v.report.Cut += int64(len(v.content))
		if v.header {
			v.report.Cut -= headerBytes
		}
		return
	}
	if !v.header {
		v.blame(Damage{Length: headerBytes, Reason: "header is damaged"})
	}
	for _, h := range v.holes {
		d := Damage{Offset: int64(h.off), Length: int64(h.end - h.off), First: h.first, Last: h.next - 1}
		if h.next == 0 {
			d.Last = v.durable
		}
		switch {
		case d.Length == 0 && v.known && d.Last <= v.checkpoint.lost:
			// An earlier Open has repaired and reported it.
		case h.first <= v.durable:
			d.Reason = "records are damaged"
			v.blame(d)
			v.index.lost = max(v.index.lost, d.Last)
		case unclosed:
			v.cut(h)
			return
		default: // no records are missing, so these bytes are the footer
			d.First, d.Last, d.Reason = 0, 0, "footer is damaged"
			v.blame(d)
		}
	}
	if !unclosed && !v.ended && !v.damaged && len(v.records) > 0 {
		v.blame(Damage{Offset: int64(len(v.content)), Reason: "footer is missing"})
	}
}

// blame records damage of this segment.
func (v *salvage) blame(d Damage) {
	d.File = segmentName(v.base)
	v.damaged = true
	v.damage(d)
}

// cut ends the log at the hole.
func (v *salvage) cut(h hole) {
	v.records = slices.DeleteFunc(v.records, func(r found) bool { return r.off > h.off })
	v.report.Cut += int64(len(v.content) - h.off)
}

// rebuild adds the intact records as a sealed segment, and the repair that creates it.
func (v *salvage) rebuild() {
	name := segmentName(v.base)
	if len(v.records) == 0 {
		if v.damaged || len(v.content) != headerBytes {
			v.repairs = append(v.repairs, repair{name: name, damaged: v.damaged})
		}
		return
	}
	content := appendHeader(make([]byte, 0, len(v.content)+trailerBytes), v.checkpoint.salt, v.base)
	var runs []run
	place := map[string]int{}
	for _, r := range v.records {
		i, ok := place[string(r.channel)]
		if !ok {
			i = len(runs)
			place[string(r.channel)] = i
			runs = append(runs, run{channel: string(r.channel), before: r.prev})
		}
		runs[i].refs = append(runs[i].refs, ref{seq: uint32(r.seq - v.base), off: uint32(len(content))})
		content = append(content, v.content[r.off:r.off+r.size]...)
	}
	first, last := v.records[0], v.records[len(v.records)-1]
	t := trailer{
		base: v.base, last: last.seq, count: uint64(len(v.records)), epoch: last.epoch,
		firstTime: first.time, lastTime: last.time,
		dataEnd: int64(len(content)), sum: update(v.seed, content), runs: uint32(len(runs)),
	}
	footer := appendFooter(nil, v.seed, t, slices.Values(runs))
	content = append(content, footer...)
	same := slices.Equal(content, v.content)
	if !same && v.ended && !v.damaged {
		v.blame(Damage{Offset: t.dataEnd, Reason: "footer does not match the records"})
	}
	// If the log was not closed cleanly, the newest segment may be only in memory, even
	// if it was synced, because the sync may have failed.
	repaired := !same || v.limit == 0 && !v.report.Clean
	// A footer that was just made is always valid.
	_ = v.add(t, int64(len(content)), footer)
	if repaired {
		seg := v.index.sealed[len(v.index.sealed)-1]
		seg.raw = true
		v.repairs = append(v.repairs, repair{
			name: name, content: content, damaged: v.damaged, segment: seg, runs: runs,
			whole: v.limit == 0 && !v.damaged && bytes.HasPrefix(v.content, content[:t.dataEnd]),
		})
	}
}

// found is a record that a scan found, with its position.
type found struct {
	stored
	off, size int
}

// hole is a range of bytes between records, or after the last one, without a valid record.
// It is empty if only Seqs are missing.
type hole struct {
	off, end int
	first    uint64 // the Seq that was expected
	next     uint64 // the Seq that was found; 0 at the end of the file
}

// scan yields all records in b, a segment whose first Seq is next, and returns the holes.
// It ignores the header. Bytes that are not a valid record, or not in order, are a hole.
func scan(b []byte, seed uint32, next uint64, yield func(found)) (holes []hole) {
	off := min(headerBytes, len(b))
	for off < len(b) {
		var rec stored
		size, ok := rec.parse(b[off:], seed)
		if !ok || rec.seq < next {
			h := hole{off: off, first: next}
			if off, rec, size, ok = resync(b, off+1, seed, next); !ok {
				h.end = len(b)
				return append(holes, h)
			}
			h.end, h.next = off, rec.seq
			holes = append(holes, h)
		} else if rec.seq > next {
			holes = append(holes, hole{off: off, end: off, first: next, next: rec.seq})
		}
		yield(found{stored: rec, off: off, size: size})
		next = rec.seq + 1
		off += size
	}
	return holes
}

// resync finds the first record at or after off whose Seq is at least next.
func resync(b []byte, off int, seed uint32, next uint64) (at int, rec stored, size int, ok bool) {
	for ; off+minRecordBytes <= len(b); off++ {
		// A segment spans no more Seqs than a ref can express. Few other bytes look like
		// one of them, so few checksums are computed needlessly.
		if binary.LittleEndian.Uint64(b[off+16:])-next > math.MaxUint32 {
			continue
		}
		if size, ok = rec.parse(b[off:], seed); ok {
			return off, rec, size, true
		}
	}
	return len(b), stored{}, 0, false
}
