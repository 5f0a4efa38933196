package filelog

import (
	"encoding/binary"
)

const (
	trailerMagic = "orpcend1"
	trailerBytes = 76
)

// ref is the position of a record in a segment.
type ref struct {
	seq uint32 // minus the base of the segment
	off uint32
}

// run is the records of one channel in one segment.
type run struct {
	channel string
	before  uint64 // Prev of the first of them
	refs    []ref
}

// trailer is the end of a sealed segment and has checksums of all of it.
type trailer struct {
	base, last, count, epoch uint64
	firstTime, lastTime      int64
	dataEnd                  int64
	sum                      uint32 // of everything up to dataEnd
	runs                     uint32 // number of runs in the footer
}

// appendFooter appends the footer of a sealed segment: the positions of each channel's
// records, and the trailer.
func appendFooter(b []byte, seed uint32, t trailer, runs func(yield func(run) bool)) []byte {
	start := len(b)
	var list []byte
	for r := range runs {
		list = appendRefs(list[:0], r.refs)
		b = appendText(b, r.channel)
		b = binary.AppendUvarint(b, r.before)
		b = binary.AppendUvarint(b, uint64(r.refs[len(r.refs)-1].seq))
		b = binary.AppendUvarint(b, uint64(len(list)))
		b = append(b, list...)
	}
	le := binary.LittleEndian
	b = append(b, trailerMagic...)
	b = le.AppendUint64(b, t.base)
	b = le.AppendUint64(b, t.last)
	b = le.AppendUint64(b, t.count)
	b = le.AppendUint64(b, t.epoch)
	b = le.AppendUint64(b, uint64(t.firstTime))
	b = le.AppendUint64(b, uint64(t.lastTime))
	b = le.AppendUint64(b, uint64(t.dataEnd))
	b = le.AppendUint32(b, t.sum)
	b = le.AppendUint32(b, t.runs)
	return le.AppendUint32(b, update(seed, b[start:]))
}

// appendRefs appends the differences between successive refs.
func appendRefs(b []byte, refs []ref) []byte {
	var at ref
	for _, r := range refs {
		b = binary.AppendUvarint(b, uint64(r.seq-at.seq))
		b = binary.AppendUvarint(b, uint64(r.off-at.off))
		at = r
	}
	return b
}

// parseTrailer parses the end of a file of this size. The trailer is valid only if
// checkFooter also returns true.
func parseTrailer(b []byte, size int64) (t trailer, ok bool) {
	if len(b) != trailerBytes || string(b[:8]) != trailerMagic {
		return trailer{}, false
	}
	le := binary.LittleEndian
	t = trailer{
		base: le.Uint64(b[8:]), last: le.Uint64(b[16:]), count: le.Uint64(b[24:]), epoch: le.Uint64(b[32:]),
		firstTime: int64(le.Uint64(b[40:])), lastTime: int64(le.Uint64(b[48:])),
		dataEnd: int64(le.Uint64(b[56:])),
		sum:     le.Uint32(b[64:]), runs: le.Uint32(b[68:]),
	}
	return t, t.dataEnd >= headerBytes && t.dataEnd <= size-trailerBytes
}

// checkFooter reports whether the checksum of footer, which includes the trailer, is right.
func checkFooter(footer []byte, seed uint32) bool {
	body, sum := footer[:len(footer)-4], footer[len(footer)-4:]
	return update(seed, body) == binary.LittleEndian.Uint32(sum)
}

// storedRun is the description of a run in a footer.
type storedRun struct {
	channel   []byte
	before    uint64
	last      uint32
	off, size int // of its list, from the start of the footer
}

// storedRuns yields the runs of a footer whose checksum is right. It returns false if the
// footer is malformed.
func storedRuns(footer []byte, runs uint32, yield func(storedRun)) bool {
	body := footer[:len(footer)-trailerBytes]
	d := decoder{b: body}
	for range runs {
		r := storedRun{channel: d.bytes(), before: d.uvarint(), last: uint32(d.uvarint())}
		r.size = int(d.uvarint())
		r.off = len(body) - len(d.b)
		if d.bad || r.size > len(d.b) {
			return false
		}
		d.b = d.b[r.size:]
		yield(r)
	}
	return len(d.b) == 0
}
