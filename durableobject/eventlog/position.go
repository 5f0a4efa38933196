package eventlog

import (
	"crypto/rand"
	"strconv"
	"strings"
)

// Position is a point in a log. As an event id on the wire it is the string
// "<epoch>-<seq>", see String and ParsePosition. The zero Position, which is "0",
// is before everything that is retained.
type Position struct {
	Epoch string
	Seq   uint64
}

// maxEpochLen bounds the epochs that ParsePosition accepts. NewEpoch makes
// shorter ones; a store that takes its epochs from elsewhere has room.
const maxEpochLen = 32

// unknownEpoch is the epoch of positions that no log knows. ParsePosition does not
// accept it.
const unknownEpoch = "?"

// maxPositionLen is the length of the longest event id that is a position.
const maxPositionLen = maxEpochLen + len("-18446744073709551615")

// Position returns the position of the record, which is its event id.
func (r *Record) Position() Position { return Position{Epoch: r.Epoch, Seq: r.Seq} }

// String returns the event id "<epoch>-<seq>", and "0" for the zero Position.
func (p Position) String() string { return string(p.Append(nil)) }

// IsZero reports whether p is the zero Position, which asks for all that is retained.
func (p Position) IsZero() bool { return p == Position{} }

// Append appends what String returns.
func (p Position) Append(dst []byte) []byte {
	if p.IsZero() {
		return append(dst, '0')
	}
	return strconv.AppendUint(append(append(dst, p.Epoch...), '-'), p.Seq, 10)
}

// ParsePosition reads an event id "<epoch>-<seq>". The epoch is 1 to 32 lower
// case letters and digits, the seq a decimal number of 64 bits without sign and
// leading zeros, so that each position has one id. Anything else, also "0", is
// no event id of a log.
func ParsePosition(id string) (p Position, ok bool) {
	if len(id) > maxPositionLen {
		return Position{}, false
	}
	epoch, digits, ok := strings.Cut(id, "-")
	if !ok || !isEpoch(epoch) {
		return Position{}, false
	}
	seq, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || strconv.FormatUint(seq, 10) != digits {
		return Position{}, false
	}
	return Position{Epoch: epoch, Seq: seq}, true
}

// PositionOf returns the position that a last event id of a client asks for: for "0" the zero
// Position, for an event id its position, and for any other string a position that no
// log knows, so that the replay from it is truncated. That includes the empty string: a
// caller for whom it means that there is no last event id has to check first.
func PositionOf(lastEventID string) Position {
	if lastEventID == "0" {
		return Position{}
	}
	if p, ok := ParsePosition(lastEventID); ok {
		return p
	}
	return Position{Epoch: unknownEpoch}
}

func isEpoch(s string) bool {
	if len(s) == 0 || len(s) > maxEpochLen {
		return false
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// NewEpoch returns a new epoch: 13 random lower case letters and digits, 65 bits,
// so that no two logs share one, and no log begins the same one twice.
func NewEpoch() string {
	return strings.ToLower(rand.Text()[:13])
}
