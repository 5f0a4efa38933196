package peer

import (
	"strconv"
	"sync/atomic"
)

// Sequence counts the ids of requests: 1, 2, … in base 36. The zero value is
// ready for use. One sequence may serve many clients, one after another or at
// once, so that an iterator never uses an id twice over all its connections.
type Sequence struct{ last atomic.Uint64 }

// Next returns the next id. It is safe for concurrent use.
func (s *Sequence) Next() ID {
	id := append(make(ID, 0, 16), '"')
	id = strconv.AppendUint(id, s.last.Add(1), 36)
	return append(id, '"')
}
