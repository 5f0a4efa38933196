package filelog

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io/fs"
	"slices"
	"strconv"

	"github.com/go-orpc/durable-iterator/internal/keytable"
)

const (
	checkpointName  = "CHECKPOINT"
	checkpointMagic = "orpcckp1"
)

// Flags of a checkpoint.
const (
	flagClean = 1 << iota
	flagFullSync
)

// checkpoint is the state of the log that its segments do not contain.
type checkpoint struct {
	clean    bool // the log was closed, and nothing was written since
	fullSync bool // every commit since the log was opened was synced
	salt     uint64
	// next is the Seq of the next record. All records before it were durable.
	next        uint64
	floor, lost uint64 // see index
	time        int64  // of the log's clock: at or after the newest record's
	// trimmed is the time before which records are not replayed.
	trimmed int64
	epochs  epochs
	quiet   []quietChannel
	keys    []droppedKey
}

// droppedKey is a remembered key whose record has been dropped.
type droppedKey struct {
	digest keytable.Digest
	keytable.Entry
}

// droppedKeyBytes is the size of an encoded droppedKey.
const droppedKeyBytes = 16 + 3*8

// quietChannel is a channel that has no records left but is not forgotten yet.
type quietChannel struct {
	name string
	last uint64
}

func (c *checkpoint) encode() []byte {
	le := binary.LittleEndian
	var flags byte
	if c.clean {
		flags |= flagClean
	}
	if c.fullSync {
		flags |= flagFullSync
	}
	b := append([]byte(checkpointMagic), flags)
	for _, v := range []uint64{c.salt, c.next, c.floor, c.lost, uint64(c.time), uint64(c.trimmed)} {
		b = le.AppendUint64(b, v)
	}
	b = binary.AppendUvarint(b, uint64(len(c.epochs)))
	for _, e := range c.epochs {
		b = le.AppendUint64(b, e.id)
		b = binary.AppendUvarint(b, e.first)
	}
	b = binary.AppendUvarint(b, uint64(len(c.quiet)))
	for _, q := range c.quiet {
		b = appendText(b, q.name)
		b = binary.AppendUvarint(b, q.last)
	}
	if len(c.keys) > 0 {
		b = binary.AppendUvarint(b, uint64(len(c.keys)))
	}
	for _, k := range c.keys {
		b = append(b, k.digest[:]...)
		for _, v := range []uint64{k.Epoch, k.Seq, uint64(k.At)} {
			b = le.AppendUint64(b, v)
		}
	}
	return le.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func parseCheckpoint(b []byte) (c checkpoint, ok bool) {
	const fixed = len(checkpointMagic) + 1 + 6*8
	if len(b) < fixed+4 || !bytes.HasPrefix(b, []byte(checkpointMagic)) {
		return checkpoint{}, false
	}
	le := binary.LittleEndian
	b, sum := b[:len(b)-4], le.Uint32(b[len(b)-4:])
	if crc32.Checksum(b, castagnoli) != sum {
		return checkpoint{}, false
	}
	c.clean, c.fullSync = b[8]&flagClean != 0, b[8]&flagFullSync != 0
	v := b[9:]
	c.salt, c.next, c.floor, c.lost = le.Uint64(v), le.Uint64(v[8:]), le.Uint64(v[16:]), le.Uint64(v[24:])
	c.time, c.trimmed = int64(le.Uint64(v[32:])), int64(le.Uint64(v[40:]))
	d := decoder{b: b[fixed:]}
	for range d.count(9) {
		if len(d.b) < 9 {
			return checkpoint{}, false
		}
		id := le.Uint64(d.b)
		d.b = d.b[8:]
		c.epochs = append(c.epochs, newEpoch(id, d.uvarint()))
	}
	for range d.count(2) {
		c.quiet = append(c.quiet, quietChannel{name: string(d.bytes()), last: d.uvarint()})
	}
	if len(d.b) > 0 { // the list of keys is optional
		for range d.count(droppedKeyBytes) {
			k := droppedKey{digest: keytable.Digest(d.b[:16])}
			k.Epoch, k.Seq, k.At = le.Uint64(d.b[16:]), le.Uint64(d.b[24:]), int64(le.Uint64(d.b[32:]))
			c.keys = append(c.keys, k)
			d.b = d.b[droppedKeyBytes:]
		}
	}
	return c, !d.bad && len(c.epochs) > 0 && c.next > 0
}

// readCheckpoint returns the checkpoint. ok is false if it is missing or damaged.
func readCheckpoint(dir directory) (c checkpoint, ok bool, err error) {
	b, err := readFile(dir, checkpointName)
	if errors.Is(err, fs.ErrNotExist) {
		return checkpoint{}, false, nil
	}
	if err != nil {
		return checkpoint{}, false, err
	}
	c, ok = parseCheckpoint(b)
	return c, ok, nil
}

// write replaces the checkpoint on disk, durably. If it fails, the earlier one remains.
func (c *checkpoint) write(dir directory) error {
	return replaceFile(dir, checkpointName, c.encode())
}

// replaceFile writes b to a temporary file and renames it to name. After a crash the file
// has either its earlier content or all of b.
func replaceFile(dir directory, name string, b []byte) error {
	temp := name + tempSuffix
	f, err := dir.Create(temp)
	if err != nil {
		return err
	}
	if _, err = f.WriteAt(b, 0); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = dir.Rename(temp, name)
	}
	if err != nil {
		_ = dir.Remove(temp) // if this fails, the next Open removes it
		return err
	}
	return dir.Sync()
}

func readFile(dir directory, name string) ([]byte, error) {
	f, err := dir.Open(name)
	if err != nil {
		return nil, err
	}
	size, err := f.Size()
	b := make([]byte, size)
	if err == nil && size > 0 {
		_, err = f.ReadAt(b, 0)
	}
	_ = f.Close() // nothing was written
	return b, err
}

// checkpoint returns the checkpoint of the current state. All records in the index must
// be durable.
func (l *Log) checkpoint(clean bool) *checkpoint {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.epochs = l.epochs.prune(l.index.floor)
	c := &checkpoint{
		clean: clean, fullSync: l.options.Sync == SyncCommit, salt: l.salt,
		next: l.durable + 1, floor: l.index.floor, lost: l.index.lost,
		time: l.now(), trimmed: l.trimmed, epochs: slices.Clone(l.epochs),
	}
	for _, q := range l.index.quiet {
		if q.empty() {
			c.quiet = append(c.quiet, quietChannel{name: q.name, last: q.last})
		}
	}
	c.keys = l.c.keys.dropped(c.floor, c.time)
	return c
}

// epoch is a period of the log in which no id was lost or used again. Its records have
// Seqs from first up to the next epoch's first.
type epoch struct {
	id    uint64
	text  string
	first uint64
}

func newEpoch(id, first uint64) epoch {
	return epoch{id: id, text: strconv.FormatUint(id, 36), first: first}
}

// epochs lists the epochs that the log knows, oldest first.
type epochs []epoch

func (t epochs) current() epoch { return t[len(t)-1] }

// knows reports whether the log kept all records of an epoch up to seq. head is the Seq
// of the newest record of the log.
func (t epochs) knows(text string, seq, head uint64) bool {
	for i, e := range t {
		if e.text != text {
			continue
		}
		if i+1 < len(t) {
			head = t[i+1].first - 1
		}
		return seq <= head
	}
	return false
}

// text returns the id of an epoch as it is written in positions.
func (t epochs) text(id uint64) string {
	for _, e := range slices.Backward(t) {
		if e.id == id {
			return e.text
		}
	}
	return newEpoch(id, 0).text
}

// prune returns a list without the epochs that ended before floor, since every replay from
// a position in them is truncated. It does not change t, which readers may be using.
func (t epochs) prune(floor uint64) epochs {
	for len(t) > 1 && t[1].first <= floor {
		t = t[1:]
	}
	return t
}

// randomID returns an unguessable number other than 0.
func randomID() uint64 {
	for {
		var b [8]byte
		rand.Read(b[:]) // never fails
		if id := binary.LittleEndian.Uint64(b[:]); id != 0 {
			return id
		}
	}
}
