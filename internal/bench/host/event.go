package host

import (
	"encoding/json"
	"strings"
	"time"
)

// Event is a published event. A load generator computes its figures from it.
type Event struct {
	Seq int64  `json:"bseq"` // FirstSeq and on
	TS  int64  `json:"bts"`  // Unix nanoseconds, taken just before publishing
	Pad string `json:"pad"`
}

// FirstSeq is the first sequence number. It makes all of them have the same number of
// digits.
const FirstSeq = 1_000_000_000

// padding returns the padding that makes an event size bytes long.
func padding(size int) (string, error) {
	bare, err := json.Marshal(Event{Seq: FirstSeq, TS: time.Now().UnixNano()})
	return strings.Repeat("x", max(size-len(bare), 0)), err
}
