package filelog

import (
	"encoding/binary"
	"math"
)

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
		// A segment spans no more Seqs than its refs can tell apart. Few other places
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
