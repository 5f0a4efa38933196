package filelog

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
)

// salvage gets what it can from a segment that is not sealed or not sound.
type salvage struct {
	*survey
	base, limit uint64
	content     []byte

	trailer trailer
	ended   bool // trailer holds
	header  bool // so does the header

	records []found
	holes   []hole
	durable uint64 // the newest Seq of this segment known to have been durable
	damaged bool
}

// run adds to the survey what the segment still holds, and how to repair it.
func (v *salvage) run() {
	v.read()
	v.judge()
	v.rebuild()
}

// read finds the records and what is known of them.
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
	case v.limit > 0: // the next segment was not begun before this one was durable
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

// judge distinguishes damage from the traces of a write that was cut short: a hole is
// such a trace if nothing in it or after it is known to have been durable.
// There the log ends.
func (v *salvage) judge() {
	// A segment for Seqs that the log had not reached when it was closed was begun since,
	// unless it is what Close leaves of an empty one.
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
		v.blame(Damage{Length: headerBytes, Reason: "header does not hold"})
	}
	for _, h := range v.holes {
		d := Damage{Offset: int64(h.off), Length: int64(h.end - h.off), First: h.first, Last: h.next - 1}
		if h.next == 0 {
			d.Last = v.durable
		}
		switch {
		case d.Length == 0 && v.known && d.Last <= v.checkpoint.lost:
			// An earlier Open mended and reported it.
		case h.first <= v.durable:
			d.Reason = "records do not hold"
			v.blame(d)
			v.index.lost = max(v.index.lost, d.Last)
		case unclosed:
			v.cut(h)
			return
		default: // all records are there, so these bytes are the footer
			d.First, d.Last, d.Reason = 0, 0, "footer does not hold"
			v.blame(d)
		}
	}
	if !unclosed && !v.ended && !v.damaged && len(v.records) > 0 {
		v.blame(Damage{Offset: int64(len(v.content)), Reason: "footer is missing"})
	}
}

// blame notes damage of this segment.
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

// rebuild adds what is left as a sealed segment, and the repair that makes it so.
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
		v.blame(Damage{Offset: t.dataEnd, Reason: "footer is not that of the records"})
	}
	// After an unclean end the newest segment may be in memory only, even if it
	// was synced: a sync that failed may have left it so.
	repaired := !same || v.limit == 0 && !v.report.Clean
	// A footer just made always makes sense.
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

// found is a record that a scan found, and where.
type found struct {
	stored
	off, size int
}

// hole is a stretch between records, or after the last, that holds none. It is
// empty where only Seqs are missing.
type hole struct {
	off, end int
	first    uint64 // the Seq that was to come
	next     uint64 // the Seq that came; 0 at the end of the file
}

// scan reads all records in b, a segment of records from next on whose header
// is not looked at. Records must come in order; what does not hold is a hole.
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

// resync finds the next record from off on that may follow.
func resync(b []byte, off int, seed uint32, next uint64) (at int, rec stored, size int, ok bool) {
	for ; off+minRecordBytes <= len(b); off++ {
		// A segment spans no more Seqs than its refs can distinguish. Few other places
		// pass for one of them, so few checksums are tried in vain.
		if binary.LittleEndian.Uint64(b[off+16:])-next > math.MaxUint32 {
			continue
		}
		if size, ok = rec.parse(b[off:], seed); ok {
			return off, rec, size, true
		}
	}
	return len(b), stored{}, 0, false
}
