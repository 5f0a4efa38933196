package fanout

import (
	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/internal/peer"
	"github.com/go-orpc/durable-iterator/internal/socket"
)

// bareSuffix is the suffix of an event without data and id.
var bareSuffix = peer.AppendEventRest(nil, peer.EventMessage, nil, nil)

// Heartbeat adds an event without data to b, for a client that has requested heartbeats and has
// nothing to read. If events are stored and the reader has read all of them, it is a cursor event.
// Heartbeat adds nothing if there is no subscription, if there is something to read, or if stop
// reports that the connection has something else to send.
func (r *Reader) Heartbeat(b *socket.Batch, stop func() bool) {
	t := r.history.tail
	t.mu.Lock()
	defer t.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	if stop() || r.state != current && r.state != held {
		return
	}
	suffix := bareSuffix
	if head, ok := r.headOf(t); ok {
		r.cursor, r.lastSentSeq = head.Seq, head.Seq
		suffix = appendPositionedSuffix(nil, head, nil, nil)
	}
	b.Own = AppendFrame(b.Own, r.sub.ID, suffix)
}

// headOf returns the head of the log if the reader has read everything up to it. It is called with
// both locks held.
func (r *Reader) headOf(t *tail) (head eventlog.Position, ok bool) {
	head = eventlog.Position{Epoch: t.newest.rec.Epoch, Seq: t.seen}
	switch {
	case head.Epoch == "", r.state != current:
		return head, false
	case r.cursor > head.Seq: // it has resumed ahead of the tail
		return head, false
	default: // if its group has not been scanned yet, there may be a record for it
		return head, r.history.readers.groups[r.writer].idle()
	}
}
