package filelog

import (
	"encoding/binary"
)

const (
	trailerMagic = "orpcend1"
	trailerBytes = 76
)

// ref is where a record lies in a segment.
type ref struct {
	seq uint32 // less the base of the segment
	off uint32
}

// run is the records of one channel in one segment.
type run struct {
	channel string
	before  uint64 // Prev of the first of them
	refs    []ref
}

// trailer ends a sealed segment and has the sum of all of it.
type trailer struct {
	base, last, count, epoch uint64
	firstTime, lastTime      int64
	dataEnd                  int64
	sum                      uint32 // of everything up to dataEnd
	runs                     uint32 // how many the footer lists
}

// appendFooter appends what follows the records of a sealed segment: where each
// channel's records are, and the trailer.
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

// appendRefs appends the distances from one record to the next.
func appendRefs(b []byte, refs []ref) []byte {
	var at ref
	for _, r := range refs {
		b = binary.AppendUvarint(b, uint64(r.seq-at.seq))
		b = binary.AppendUvarint(b, uint64(r.off-at.off))
		at = r
	}
	return b
}

// parseTrailer reads the end of a file of that size. It is valid only if
// checkFooter agrees.
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

// checkFooter reports if footer, all that follows the records, is as it was written.
func checkFooter(footer []byte, seed uint32) bool {
	body, sum := footer[:len(footer)-4], footer[len(footer)-4:]
	return update(seed, body) == binary.LittleEndian.Uint32(sum)
}

// storedRun is a run as the footer describes it.
type storedRun struct {
	channel   []byte
	before    uint64
	last      uint32
	off, size int // of its list, from the start of the footer
}

// storedRuns yields the runs of a footer that was checked. It ends with
// false if the footer was written wrong.
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
