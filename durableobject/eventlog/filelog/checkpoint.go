package filelog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io/fs"
	"slices"
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

// checkpoint is what the log knows that its segments do not tell.
type checkpoint struct {
	clean    bool // the log was closed, nothing was written since
	fullSync bool // since it was opened every commit is synced
	salt     uint64
	// next is the Seq that the next record would have had. All before were durable.
	next        uint64
	floor, lost uint64 // see index
	time        int64  // of the log's clock: at or after the newest record's
	// trimmed is the time before which records are not replayed.
	trimmed int64
	epochs  epochs
	quiet   []quietChannel
}

// quietChannel is a channel that has no records left.
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
	return c, !d.bad && len(c.epochs) > 0 && c.next > 0
}

// readCheckpoint returns the checkpoint; it is not ok if there is none that holds.
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

// write puts the checkpoint in place of the one before, durably or not at all.
func (c *checkpoint) write(dir directory) error {
	return replaceFile(dir, checkpointName, c.encode())
}

// replaceFile writes a file beside name and renames it over: after a crash
// there is either what was there before or all of b.
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
		_ = dir.Remove(temp) // what is left of it is removed by the next Open
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

// checkpoint returns what is to be written now. All that the index tells must
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
	return c
}
