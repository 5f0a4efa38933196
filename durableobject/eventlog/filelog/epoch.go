package filelog

import (
	"crypto/rand"
	"encoding/binary"
	"slices"
	"strconv"
)

// epoch is a stretch of the log's life between two openings that could not
// vouch for each other's ids. Its records have Seqs from first up to the next
// epoch's first.
type epoch struct {
	id    uint64
	text  string
	first uint64
}

func newEpoch(id, first uint64) epoch {
	return epoch{id: id, text: strconv.FormatUint(id, 36), first: first}
}

// epochs is the table of the epochs that positions may be of, oldest first.
type epochs []epoch

func (t epochs) current() epoch { return t[len(t)-1] }

// knows reports if the log kept every record that a position of this epoch up
// to seq can speak of; head is the newest Seq of the log.
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

// text returns the text of an epoch's id.
func (t epochs) text(id uint64) string {
	for _, e := range slices.Backward(t) {
		if e.id == id {
			return e.text
		}
	}
	return newEpoch(id, 0).text
}

// prune returns the table without epochs that ended before floor: no position
// of theirs can be complete. It never changes a table that readers may hold.
func (t epochs) prune(floor uint64) epochs {
	for len(t) > 1 && t[1].first <= floor {
		t = t[1:]
	}
	return t
}

// randomID returns a number that nobody can guess, and not 0.
func randomID() uint64 {
	for {
		var b [8]byte
		rand.Read(b[:]) // never fails
		if id := binary.LittleEndian.Uint64(b[:]); id != 0 {
			return id
		}
	}
}
