package host

import (
	"encoding/binary"
	"io"
)

// acks is a stream of counts, eight bytes each, most significant first.
type acks struct {
	body io.Reader
	seen int64
}

// wait reads until the count is at least n, and reports whether the stream reached it.
func (a *acks) wait(n int64) bool {
	var b [8]byte
	for a.seen < n {
		if _, err := io.ReadFull(a.body, b[:]); err != nil {
			return false
		}
		a.seen = int64(binary.BigEndian.Uint64(b[:]))
	}
	return true
}
