// Package keytable remembers the position in a log of each event that was published with an
// idempotency key.
package keytable

import (
	"crypto/sha256"
	"encoding/binary"
	"iter"
	"slices"
	"time"
)

// Digest is a hash of a channel and a key. It begins with its Channel.
type Digest [16]byte

// Channel is a short hash of a channel. Two channels rarely have the same.
type Channel [4]byte

// DigestOf returns the digest of a channel and a key. Other channels or keys have other
// digests.
func DigestOf(channel, key string) Digest {
	var short [256]byte
	b := binary.AppendUvarint(short[:0], uint64(len(channel)))
	b = append(b, channel...)
	of := sha256.Sum256(b)
	sum := sha256.Sum256(append(b, key...))
	d := Digest(sum[:len(Digest{})])
	copy(d[:len(Channel{})], of[:])
	return d
}

// Channel returns the channel of the digest.
func (d Digest) Channel() Channel { return Channel(d[:len(Channel{})]) }

// Entry is the position of the event of a key, and when it was stored, in nanoseconds on a
// clock of the log that never goes back.
type Entry struct {
	Epoch, Seq uint64
	At         int64
}

// Table maps digests to entries for a window of time. It keeps them in generations, each of
// which is dropped as a whole, so that expired entries need no scan and their memory is
// freed. A Table is not safe for concurrent use.
type Table struct {
	window   int64
	limit    int
	count    int
	channels map[Channel]int32 // number of entries of each channel
	// generations are in order of time. The entries of one were stored between its first
	// and its last.
	generations []generation
}

type generation struct {
	first, last int64
	entries     map[Digest]Entry
	channels    map[Channel]int32 // number of entries of each channel
}

// parts is the number of generations in a window. An entry takes memory for up to this part
// of the window after it has expired.
const parts = 8

// New returns an empty table that remembers keys for window, and has capacity for limit of
// them.
func New(window time.Duration, limit int) *Table {
	return &Table{window: int64(window), limit: limit, channels: map[Channel]int32{}}
}

// Len returns the number of keys in memory.
func (t *Table) Len() int { return t.count }

// share is the part of the capacity, one eighth, that is reserved for channels with fewer
// keys than that.
const share = 8

// HasPlace reports whether there is capacity for a new key, in addition to staged keys that
// will be added, of which stagedOf have the same channel. The last eighth of the capacity
// is for channels that have fewer keys than an eighth of it, so that a busy channel leaves
// some to the others. Expired keys count until Expire.
func (t *Table) HasPlace(d Digest, staged, stagedOf int) bool {
	free := t.limit - t.count - staged
	return free > t.limit/share || free > 0 && int(t.channels[d.Channel()])+stagedOf < t.limit/share
}

// Find returns the entry of a digest unless it has expired at the time now.
func (t *Table) Find(d Digest, now int64) (Entry, bool) {
	for _, g := range slices.Backward(t.generations) {
		if e, ok := g.entries[d]; ok {
			return e, now-e.At <= t.window
		}
	}
	return Entry{}, false
}

// Add adds an entry, even beyond the limit. Its time must not be before that of the
// previous entry.
func (t *Table) Add(d Digest, e Entry) {
	t.Expire(e.At)
	n := len(t.generations)
	if n == 0 || e.At-t.generations[n-1].first >= t.window/parts {
		t.generations = append(t.generations, generation{first: e.At, entries: map[Digest]Entry{}, channels: map[Channel]int32{}})
		n++
	}
	g := &t.generations[n-1]
	before := len(g.entries)
	g.entries[d], g.last = e, e.At
	if len(g.entries) > before {
		t.count++
		t.channels[d.Channel()]++
		g.channels[d.Channel()]++
	}
}

// Expire frees the memory of generations that have expired at the time now.
func (t *Table) Expire(now int64) {
	n := 0
	for n < len(t.generations) && now-t.generations[n].last > t.window {
		t.count -= len(t.generations[n].entries)
		for of, keys := range t.generations[n].channels {
			if t.channels[of] -= keys; t.channels[of] == 0 {
				delete(t.channels, of)
			}
		}
		n++
	}
	if n > 0 {
		t.generations = append([]generation(nil), t.generations[n:]...)
	}
}

// All yields the entries that have not expired at the time now, in no order.
func (t *Table) All(now int64) iter.Seq2[Digest, Entry] {
	return func(yield func(Digest, Entry) bool) {
		for _, g := range t.generations {
			for d, e := range g.entries {
				if now-e.At <= t.window && !yield(d, e) {
					return
				}
			}
		}
	}
}
