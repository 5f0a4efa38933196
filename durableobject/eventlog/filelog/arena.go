package filelog

import "github.com/go-orpc/durable-iterator/durableobject/eventlog"

const (
	// arenaRecords is how many records of a replay may share one allocation, and
	// arenaBytes how large one for their bytes may be. A single record that is kept
	// keeps no more than that.
	arenaRecords = 16
	arenaBytes   = 4 << 10
)

// arena allocates the records of one replay in groups, small ones first.
type arena struct {
	records []eventlog.Record
	bytes   []byte
	group   int
}

func (a *arena) record() *eventlog.Record {
	if len(a.records) == 0 {
		a.group = min(2*a.group+1, arenaRecords)
		a.records = make([]eventlog.Record, a.group)
	}
	r := &a.records[0]
	a.records = a.records[1:]
	return r
}

// clone returns a copy of b, never nil.
func (a *arena) clone(b []byte) []byte {
	if len(b) > arenaBytes/4 {
		return append(make([]byte, 0, len(b)), b...)
	}
	if len(b) > len(a.bytes) {
		a.bytes = make([]byte, max(len(b), arenaBytes*a.group/arenaRecords))
	}
	c := a.bytes[:len(b):len(b)]
	copy(c, b)
	a.bytes = a.bytes[len(b):]
	return c
}
