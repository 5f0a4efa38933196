// Package keytable remembers where a log has stored the events that were published with
// an idempotency key.
package keytable

import (
	"crypto/sha256"
	"encoding/binary"
	"iter"
	"slices"
	"time"
)

// Digest stands for a channel and a key. It begins with its Channel.
type Digest [16]byte

// Channel stands for a channel, and seldom for another one as well.
type Channel [4]byte

// DigestOf returns the digest of a channel and a key. No other channel and key have it.
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

// Entry is where the event of a key was stored, and when, in nanoseconds on a clock of
// the log's that never goes back.
type Entry struct {
	Epoch, Seq uint64
	At         int64
}

// Table maps digests to entries for a window of time. It keeps them in generations, each
// of which is dropped as a whole, so that nothing is scanned and the memory is freed. A
// Table is not safe for concurrent use.
type Table struct {
	window   int64
	limit    int
	count    int
	channels map[Channel]int32 // how many of count each has
	// generations are in order of time, and the entries of one are of the time from its
	// first to its last.
	generations []generation
}

type generation struct {
	first, last int64
	entries     map[Digest]Entry
	channels    map[Channel]int32 // how many of entries each has
}

// parts is how many generations a window has. An entry takes memory for up to a part of
// the window after it has expired.
const parts = 8

// New returns an empty table that remembers keys for window, and has a place for limit
// of them.
func New(window time.Duration, limit int) *Table {
	return &Table{window: int64(window), limit: limit, channels: map[Channel]int32{}}
}

// Len returns how many keys take memory.
func (t *Table) Len() int { return t.count }

// share is the part of the places that is for channels with fewer keys than that.
const share = 8

// HasPlace reports whether there is a place for a new key, after staged others that are to
// be added, of which stagedOf have its channel. The last eighth of the places is for channels
// that have fewer keys than an eighth of all, so that a busy one leaves some to the others.
// What has expired takes a place until Expire.
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

// Add remembers an entry, whose time is not before that of the one before, also beyond
// the limit.
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
