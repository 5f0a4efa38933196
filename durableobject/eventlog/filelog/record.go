package filelog

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// seedOf returns the start value of a log's checksums, made from its secret salt, so that
// nobody can craft a payload that looks like a record of the log.
func seedOf(salt uint64) uint32 {
	return crc32.Checksum(binary.LittleEndian.AppendUint64(nil, salt), castagnoli)
}

// update adds b to a checksum.
func update(sum uint32, b []byte) uint32 { return crc32.Update(sum, castagnoli, b) }

const (
	// lengthBytes is the size of a record's length and checksum.
	lengthBytes = 8
	// stampBytes is the offset of the part of a record with variable length.
	stampBytes = lengthBytes + 8 + 8 + 8 + 8 + 1
	// minRecordBytes is the size of a record with an empty channel name and no data.
	minRecordBytes = stampBytes + 2
)

// Flags of a record, one for each optional part that it has. A part that is nil is left
// out, an empty one is not.
const (
	hasTags = 1 << iota
	hasTargets
	hasExcludes
	hasMeta
	hasData
	hasKey
)

// stamp has the fields that the log adds to a record.
type stamp struct {
	epoch, seq, prev uint64
	time             int64 // nanoseconds since 1970
	// durable is the newest Seq known to be on disk when the record was written.
	durable uint64
}

// recordSize returns an upper limit of the size of the record on disk.
func recordSize(channel string, r *eventlog.Record) int {
	const most = binary.MaxVarintLen64
	n := stampBytes + 6*most + len(channel) + len(r.Meta) + len(r.Data)
	if r.Key != "" {
		n += most + len(r.Key)
	}
	for _, tag := range r.Tags {
		n += most + len(tag)
	}
	for _, to := range r.Targets {
		n += 2*most + len(to.Subject) + len(to.ID)
	}
	for _, to := range r.Excludes {
		n += 2*most + len(to.Subject) + len(to.ID)
	}
	return n
}

// appendRecord appends the encoded record. It uses only the fields of r that the publisher
// sets.
func appendRecord(b []byte, seed uint32, s stamp, channel string, r *eventlog.Record) []byte {
	start := len(b)
	var flags byte
	set := func(flag byte, on bool) {
		if on {
			flags |= flag
		}
	}
	set(hasTags, r.Tags != nil)
	set(hasTargets, r.Targets != nil)
	set(hasExcludes, r.Excludes != nil)
	set(hasMeta, r.Meta != nil)
	set(hasData, r.Data != nil)
	set(hasKey, r.Key != "")

	le := binary.LittleEndian
	b = append(b, make([]byte, lengthBytes)...)
	b = le.AppendUint64(b, s.epoch)
	b = le.AppendUint64(b, s.seq)
	b = le.AppendUint64(b, s.prev)
	b = le.AppendUint64(b, uint64(s.time))
	b = append(b, flags)
	b = binary.AppendUvarint(b, s.seq-s.durable)
	b = appendText(b, channel)
	if r.Key != "" {
		b = appendText(b, r.Key)
	}
	if r.Tags != nil {
		b = binary.AppendUvarint(b, uint64(len(r.Tags)))
		for _, tag := range r.Tags {
			b = appendText(b, tag)
		}
	}
	if r.Targets != nil {
		b = appendRecipients(b, r.Targets)
	}
	if r.Excludes != nil {
		b = appendRecipients(b, r.Excludes)
	}
	if r.Meta != nil {
		b = binary.AppendUvarint(b, uint64(len(r.Meta)))
		b = append(b, r.Meta...)
	}
	b = append(b, r.Data...)

	rec := b[start:]
	le.PutUint32(rec, uint32(len(rec)-lengthBytes))
	le.PutUint32(rec[4:], recordSum(seed, rec))
	return b
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendRecipients(b []byte, list []eventlog.Recipient) []byte {
	b = binary.AppendUvarint(b, uint64(len(list)))
	for _, to := range list {
		b = appendText(appendText(b, to.Subject), to.ID)
	}
	return b
}

// recordSum returns the checksum of rec, including its length.
func recordSum(seed uint32, rec []byte) uint32 {
	return crc32.Update(seed^binary.LittleEndian.Uint32(rec), castagnoli, rec[lengthBytes:])
}

// stored is a record that was read; its fields refer to the bytes of the file.
type stored struct {
	stamp
	flags   byte
	channel []byte
	body    []byte // everything after the channel
}

// parse parses the record at the start of b and returns its size n. ok is false if its
// checksum is wrong.
func (s *stored) parse(b []byte, seed uint32) (n int, ok bool) {
	n, ok = recordLength(b)
	if !ok || n > len(b) || n < minRecordBytes {
		return 0, false
	}
	b = b[:n]
	le := binary.LittleEndian
	if recordSum(seed, b) != le.Uint32(b[4:]) {
		return 0, false
	}
	s.epoch, s.seq = le.Uint64(b[8:]), le.Uint64(b[16:])
	s.prev, s.time = le.Uint64(b[24:]), int64(le.Uint64(b[32:]))
	s.flags = b[40]
	d := decoder{b: b[stampBytes:]}
	s.durable = s.seq - d.uvarint()
	s.channel = d.bytes()
	s.body = d.b
	return n, !d.bad
}

// key returns the key of the record, empty if it has none.
func (s *stored) key() string {
	if s.flags&hasKey == 0 {
		return ""
	}
	d := decoder{b: s.body}
	return string(d.bytes())
}

// recordLength returns the size of the record at the start of b, without verifying it.
func recordLength(b []byte) (n int, ok bool) {
	if len(b) < lengthBytes {
		return 0, false
	}
	length := binary.LittleEndian.Uint32(b)
	if length > MaxRecordBytes {
		return 0, false
	}
	return lengthBytes + int(length), true
}

func recordTime(ns int64) time.Time { return time.Unix(0, ns).UTC() }

// nanoseconds is the inverse of recordTime. A time out of range becomes the nearest time
// that a record can have.
func nanoseconds(t time.Time) int64 {
	switch {
	case t.Before(recordTime(0)):
		return 0
	case t.After(recordTime(math.MaxInt64)):
		return math.MaxInt64
	}
	return t.UnixNano()
}

// decoder reads values from the front of b. After an error it returns zeros.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) bytes() []byte {
	n := d.uvarint()
	if n > uint64(len(d.b)) {
		d.bad, d.b = true, nil
		return nil
	}
	v := d.b[:n]
	d.b = d.b[n:]
	return v
}

// count reads the number of elements that follow, each of which has at least size bytes.
func (d *decoder) count(size int) int {
	n := d.uvarint()
	if n > uint64(len(d.b)/size) {
		d.bad, d.b = true, nil
		return 0
	}
	return int(n)
}

// scratch is the record that a replay yields repeatedly with other content, and the memory
// of its audience. Allocating each record would take longer than reading it.
type scratch struct {
	record            eventlog.Record
	tags              []string
	targets, excludes []eventlog.Recipient
}

// load sets the record to the content of s. It does not copy the data and the metadata.
func (m *scratch) load(s *stored, epoch string) (ok bool) {
	r := &m.record
	r.Seq, r.Prev, r.Epoch, r.Time = s.seq, s.prev, epoch, recordTime(s.time)
	r.Data, r.Meta, r.Audience = nil, nil, eventlog.Audience{}
	d := decoder{b: s.body}
	if s.flags&hasKey != 0 {
		d.bytes() // not part of a replayed record
	}
	if s.flags&hasTags != 0 {
		m.tags = resize(m.tags, d.count(1))
		for i := range m.tags {
			d.text(&m.tags[i])
		}
		r.Tags = m.tags
	}
	if s.flags&hasTargets != 0 {
		m.targets = d.recipients(m.targets)
		r.Targets = m.targets
	}
	if s.flags&hasExcludes != 0 {
		m.excludes = d.recipients(m.excludes)
		r.Excludes = m.excludes
	}
	if s.flags&hasMeta != 0 {
		r.Meta = d.bytes()
	}
	if s.flags&hasData != 0 {
		r.Data = d.b
	}
	return !d.bad
}

// recipients reads a list into the memory of list.
func (d *decoder) recipients(list []eventlog.Recipient) []eventlog.Recipient {
	list = resize(list, d.count(2))
	for i := range list {
		d.text(&list[i].Subject)
		d.text(&list[i].ID)
	}
	return list
}

// text reads a string into s. If s already has that value, it is not allocated again:
// successive records often have the same audience.
func (d *decoder) text(s *string) {
	if b := d.bytes(); string(b) != *s {
		*s = string(b)
	}
}

// resize returns a list of n elements that is not nil and keeps the elements of list that
// fit.
func resize[T any](list []T, n int) []T {
	if list == nil || n > cap(list) {
		return append(make([]T, 0, n), list...)[:n]
	}
	return list[:n]
}
