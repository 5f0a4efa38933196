package eventlog

import (
	"crypto/rand"
	"strconv"
	"strings"
)

// Position is a point in a log. On the wire it is an event id, the string
// "<epoch>-<seq>"; see String and ParsePosition. The zero Position, "0", is before
// all records that are retained.
type Position struct {
	Epoch string
	Seq   uint64
}

// maxEpochLen is the length of the longest epoch that ParsePosition accepts. NewEpoch
// makes shorter ones; a store may use other epochs.
const maxEpochLen = 32

// unknownEpoch is the epoch of positions that are unknown to every log. ParsePosition does
// not accept it.
const unknownEpoch = "?"

// maxPositionLen is the length of the longest event id.
const maxPositionLen = maxEpochLen + len("-18446744073709551615")

// Position returns the position of the record, which is its event id.
func (r *Record) Position() Position { return Position{Epoch: r.Epoch, Seq: r.Seq} }

// String returns the event id "<epoch>-<seq>", and "0" for the zero Position.
func (p Position) String() string { return string(p.Append(nil)) }

// IsZero reports whether p is the zero Position, which is before all retained records.
func (p Position) IsZero() bool { return p == Position{} }

// Append appends the string that String returns to dst.
func (p Position) Append(dst []byte) []byte {
	if p.IsZero() {
		return append(dst, '0')
	}
	return strconv.AppendUint(append(append(dst, p.Epoch...), '-'), p.Seq, 10)
}

// ParsePosition parses an event id "<epoch>-<seq>". The epoch is 1 to 32 lower case
// letters and digits, the seq a decimal number of 64 bits without a sign or leading
// zeros, so that each position has one id. For any other string, including "0", ok is
// false.
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

// PositionOf returns the position for the last event id of a client. For "0" it is the zero
// Position, for an event id that of the event, and for any other string a position that is
// unknown to every log, so that the replay from it is truncated. This includes the empty
// string: if it means that there is no last event id, the caller must check for it first.
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

// NewEpoch returns a new epoch of 13 random lower case letters and digits. They have 65
// random bits, so that all epochs of all logs are different.
func NewEpoch() string {
	return strings.ToLower(rand.Text()[:13])
}
