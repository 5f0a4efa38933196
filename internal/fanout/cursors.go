package fanout

import (
	"context"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/internal/peer"
	"github.com/go-orpc/durable-iterator/internal/socket"
)

// MoveCursors reads the head of the log, and sends it to clients that have been sent nothing else
// recently, so that the position of a client does not become older than the retained records. It
// does nothing for a channel of a shared log that is not followed.
func (ch *Channel) MoveCursors(ctx context.Context) error {
	f := ch.openFeed()
	if ch.options.Shared != nil && f == nil {
		return nil
	}
	head, err := ch.head(ctx)
	if err != nil {
		return err
	}
	n := &node{rec: &eventlog.Record{Seq: head.Seq, Epoch: head.Epoch}}
	n.suffix = appendPositionedSuffix(nil, head, nil, nil)
	ch.tail.mu.Lock()
	defer ch.tail.mu.Unlock()
	if ch.feed != f { // the feed was lost meanwhile, so the head may be of another log
		return nil
	}
	ch.tail.seen = max(ch.tail.seen, head.Seq)
	ch.readers.announce(n)
	return nil
}

// openFeed returns the feed that delivers records, or nil if there is none.
func (ch *Channel) openFeed() *feed {
	ch.tail.mu.Lock()
	defer ch.tail.mu.Unlock()
	if ch.feed == nil || !ch.feed.started {
		return nil
	}
	return ch.feed
}

// bareSuffix is the suffix of an event without data and id.
var bareSuffix = peer.AppendEventRest(nil, peer.EventMessage, nil, nil)

// Heartbeat adds an event without data to b, for a client that has requested heartbeats and has
// nothing to read. If events are stored and the reader has read all of them, it is a cursor event.
// Heartbeat adds nothing if there is no subscription, if there is something to read, or if stop
// reports that the connection has something else to send.
func (ch *Channel) Heartbeat(r *Reader, b *socket.Batch, stop func() bool) {
	ch.tail.mu.Lock()
	defer ch.tail.mu.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	if stop() || r.state != current && r.state != held {
		return
	}
	suffix := bareSuffix
	if head, ok := ch.headOf(r); ok {
		r.cursor, r.lastSentSeq = head.Seq, head.Seq
		suffix = appendPositionedSuffix(nil, head, nil, nil)
	}
	b.Own = AppendFrame(b.Own, r.sub.ID, suffix)
}

// headOf returns the head of the log if the reader has read everything up to it. It is called with
// both locks held.
func (ch *Channel) headOf(r *Reader) (head eventlog.Position, ok bool) {
	head = eventlog.Position{Epoch: ch.tail.newest.rec.Epoch, Seq: ch.tail.seen}
	switch {
	case head.Epoch == "", r.state != current:
		return head, false
	case r.cursor > head.Seq: // it has resumed ahead of the tail
		return head, false
	default: // if its group has not been scanned yet, there may be a record for it
		return head, ch.readers.groups[r.writer].idle()
	}
}
