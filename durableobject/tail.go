package durableobject

import (
	"sync/atomic"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/internal/peer"
)

// node is a record in the tail of a channel, the list of what was published
// lately. A record is encoded once; every socket reads it from here.
//
// Nobody trims the list. A socket that still has something to send holds the
// node that comes next, an idle one holds none, and the channel holds the last.
// What is behind everybody is garbage. A socket that falls too far behind lets go
// of its node and reads on from the log, so that it does not keep the list alive.
type node struct {
	rec    *eventlog.Record
	rest   []byte // of its message: everything behind the subscription's id
	before uint64 // up to here the channel had been handed everything
	gap    bool   // the log has records between before and this one
	end    int64  // bytes that were published on the channel, up to this record
	next   atomic.Pointer[node]
}

// recordOverhead is what a record costs besides its payload, roughly.
const recordOverhead = 128

// appendRest appends what a record's message has behind the subscription's id.
// An event of a channel that keeps nothing has no epoch, and no id but what its
// publisher put into its metadata.
func appendRest(dst []byte, rec *eventlog.Record) []byte {
	if rec.Epoch == "" {
		return peer.AppendEventRest(dst, peer.EventMessage, rec.Data, rec.Meta)
	}
	return appendPositioned(dst, rec.Position(), rec.Data, rec.Meta)
}

// appendPositioned appends the rest of a message that has a position as its id.
// Without data it only moves the client's cursor.
func appendPositioned(dst []byte, at eventlog.Position, data, meta []byte) []byte {
	var buf [128]byte
	members := append(append(append(buf[:0], `"id":"`...), at.String()...), '"')
	if len(meta) > 0 {
		members = append(append(members, ','), meta...)
	}
	return peer.AppendEventRest(dst, peer.EventMessage, data, members)
}
