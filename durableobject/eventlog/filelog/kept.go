package filelog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

const (
	keptName = "KEPT"
	// keptGarbage is how many more obsolete lines than current ones the file may have
	// before it is rewritten.
	keptGarbage = 1000
	// keptGarbageBytes is the same in bytes.
	keptGarbageBytes = 4 << 20
	// maxKept and maxKeptBytes limit the number of values and their size, with their keys
	// and keptOverhead for each.
	maxKept      = 200_000
	maxKeptBytes = 64 << 20
	keptOverhead = 128
	// sweepAfter plus half the number of values is the number of changes after which
	// expired values are removed.
	sweepAfter = 50
)

// keptValue is a value and when it expires, by the wall clock.
type keptValue struct {
	value   []byte
	expires time.Time
}

// keptLine is a line of the file, without its checksum: a value that was kept or removed.
type keptLine struct {
	Key     []byte    `json:"k"`
	Value   []byte    `json:"v"`
	Expires time.Time `json:"x"`
	Removed bool      `json:"r,omitempty"`
}

// keptFile is the file of the kept values. Each change appends a line and syncs it: the
// checksum of the rest of the line in hexadecimal, a space, and JSON. The last line for a key
// counts. A crash leaves at most one incomplete line, at the end.
type keptFile struct {
	dir   directory
	lock  io.Closer // of the directory; nil if the file is only read
	file  file      // nil before the first change
	size  int64     // of the valid part
	lines int
	stale bool // the end of the file is unknown, so it must be rewritten
	// changes is the number of changes since expired values were last removed.
	changes int

	// mu guards the fields below. They are changed only by the caller that changes the file.
	mu      sync.RWMutex
	all     map[string]keptValue
	bytes   int
	version uint64 // number of changes, except by expiry
}

// readKept reads the file. damage describes the damaged lines, without one that was
// incomplete because of a crash.
func readKept(dir directory, lock io.Closer) (k *keptFile, damage []Damage, err error) {
	k = &keptFile{dir: dir, lock: lock, all: map[string]keptValue{}}
	content, err := readFile(dir, keptName)
	if errors.Is(err, fs.ErrNotExist) {
		return k, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	offset := int64(0)
	for len(content) > 0 {
		line, rest, whole := bytes.Cut(content, []byte("\n"))
		change, ok := parseKept(line)
		switch {
		case ok && whole:
			k.apply(change)
			k.lines++
		case len(rest) == 0 && isTorn(line, whole):
			k.stale = true
		default:
			k.stale = true
			if change, ok := parseKept(line[:max(0, len(line)-1)]); ok && !whole { // only the newline is wrong
				k.apply(change)
			}
			damage = append(damage, Damage{
				File: keptName, Offset: offset, Length: int64(len(line)), Reason: "a kept value is damaged",
			})
		}
		offset += int64(len(content) - len(rest))
		content = rest
	}
	k.size = offset
	return k, damage, nil
}

// isTorn reports whether a crash may be the reason that the last line is wrong: its end is
// missing, or it has zeros where the disk has lost a part.
func isTorn(line []byte, whole bool) bool {
	if bytes.IndexByte(line, 0) >= 0 {
		return true
	}
	if whole {
		return false
	}
	_, ok := parseKept(line[:len(line)-1])
	return !ok
}

func parseKept(line []byte) (change keptLine, ok bool) {
	sum, text, ok := bytes.Cut(line, []byte(" "))
	if !ok {
		return change, false
	}
	want, err := strconv.ParseUint(string(sum), 16, 32)
	if err != nil || uint32(want) != crc32.Checksum(text, castagnoli) {
		return change, false
	}
	return change, json.Unmarshal(text, &change) == nil
}

func appendKept(b []byte, change keptLine) []byte {
	text, _ := json.Marshal(change) //nolint:errchkjson // bytes and numbers cannot fail
	b = fmt.Appendf(b, "%08x %s\n", crc32.Checksum(text, castagnoli), text)
	return b
}

func (k *keptFile) apply(change keptLine) {
	key := string(change.Key)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.version++
	k.drop(key)
	if !change.Removed {
		k.all[key] = keptValue{change.Value, change.Expires}
		k.bytes += keptSize(key, change.Value)
	}
}

func keptSize(key string, value []byte) int { return len(key) + len(value) + keptOverhead }

// drop removes a value, if there is one. It is called with mu held.
func (k *keptFile) drop(key string) {
	if v, found := k.all[key]; found {
		delete(k.all, key)
		k.bytes -= keptSize(key, v.value)
	}
}

// sweep removes the values that have expired.
func (k *keptFile) sweep(now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.changes = 0
	for key, v := range k.all {
		if !now.Before(v.expires) {
			k.drop(key)
		}
	}
}

// find returns the values that have not expired and whose keys begin with prefix.
func (k *keptFile) find(prefix string, now time.Time) map[string][]byte {
	k.mu.RLock()
	defer k.mu.RUnlock()
	found := map[string][]byte{}
	for key, v := range k.all {
		if strings.HasPrefix(key, prefix) && now.Before(v.expires) {
			found[key] = bytes.Clone(v.value)
		}
	}
	return found
}

// keep makes a change durable, unless it changes nothing. It returns an error if there is no
// capacity for it.
func (k *keptFile) keep(c keptLine, now time.Time) error {
	if k.changes++; k.changes > sweepAfter+len(k.all)/2 || k.isFull(c) {
		k.sweep(now)
	}
	if _, found := k.all[string(c.Key)]; !found && c.Removed {
		return nil
	}
	if k.isFull(c) {
		return eventlog.ErrBusFull
	}
	return k.change(c)
}

// isFull reports whether there is no capacity for a change.
func (k *keptFile) isFull(c keptLine) bool {
	if c.Removed {
		return false
	}
	old, found := k.all[string(c.Key)]
	bytes := k.bytes + keptSize(string(c.Key), c.Value)
	if found {
		bytes -= keptSize(string(c.Key), old.value)
	}
	return bytes > maxKeptBytes || !found && len(k.all) >= maxKept
}

// change makes a change durable. If it fails, the file may have the change or not, and the
// next change rewrites the file.
func (k *keptFile) change(c keptLine) error {
	if !k.dir.Holds(k.lock) { // the directory has been replaced
		return ErrGone
	}
	if k.stale || k.file == nil || !k.dir.Holds(k.file) ||
		k.lines >= 2*len(k.all)+keptGarbage || k.size >= int64(3*k.bytes+keptGarbageBytes) {
		return k.rewrite(c)
	}
	line := appendKept(nil, c)
	_, err := k.file.WriteAt(line, k.size)
	if err == nil {
		err = k.file.Sync()
	}
	if err != nil {
		k.stale = true
		return err
	}
	k.size += int64(len(line))
	k.lines++
	k.apply(c)
	return nil
}

// rewrite replaces the file by one with the current values and one more change.
func (k *keptFile) rewrite(c keptLine) error {
	var content []byte
	lines := 1
	for key, v := range k.all {
		if key != string(c.Key) {
			content = appendKept(content, keptLine{Key: []byte(key), Value: v.value, Expires: v.expires})
			lines++
		}
	}
	content = appendKept(content, c)
	k.stale = true
	if k.file != nil { // Windows cannot replace an open file
		_ = k.file.Close() // every change was synced
		k.file = nil
	}
	if err := replaceFile(k.dir, keptName, content); err != nil {
		return err
	}
	f, err := k.dir.Edit(keptName)
	if err != nil {
		return err
	}
	k.file, k.size, k.lines, k.stale = f, int64(len(content)), lines, false
	k.apply(c)
	return nil
}

func (k *keptFile) close() error {
	if k.file == nil {
		return nil
	}
	return k.file.Close()
}
