package durableobject

import (
	"context"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/internal/peer"
	"github.com/go-orpc/durable-iterator/internal/socket"
)

// phase is how far a subscription has come.
type phase int

const (
	replaying phase = iota // reads what it missed from the log
	hooking                // waits for OnSubscribed
	live                   // gets what is published
)

// subscription is a socket's place in its channel. The socket's mu guards it.
//
//   - Every record up to cursor was looked at; those that are for the socket were
//     handed to the connection, in order, each once.
//   - In phase replaying, or with behind, the records up to target are read from the
//     log.
//   - In phase live there is nothing pending, and next is nil; or next is the
//     first node that was not looked at; or behind is set, and what follows
//     cursor is read from the log.
//   - join is the node of the tail behind which live events are, from when target
//     is known until then.
type subscription struct {
	ws     *Websocket
	id     peer.ID
	finish func()             // frees the id
	ctx    context.Context    // of its call; nil once the hook has begun
	cancel context.CancelFunc // ends the context of its hook; nil before that has begun

	moves  bool // the client understands events that only move its cursor
	behind bool
	phase  phase
	from   eventlog.Position // where the replay begins, until the first record
	cursor uint64
	target uint64
	told   uint64 // the last position that the client was given
	next   *node
	join   *node
	page   *page // which is read now: kept for those who come to it
	resume Resume
}

// pending tells whether there may be something that the socket has yet to get.
func (s *subscription) pending() bool { return s.phase != live || s.behind || s.next != nil }

// cancelHook ends the context of the hook, which may not have begun.
func (s *subscription) cancelHook() {
	if s.cancel != nil {
		s.cancel()
	}
}

// accept makes the first record from n on that was not looked at the next one of a
// subscription that has nothing pending, and reports whether there is one. The
// channel's mu is held.
func (s *subscription) accept(n *node) bool {
	if n = n.behind(s.cursor); n == nil {
		return false
	}
	s.cursor, s.next = max(s.cursor, n.before), n
	return true
}

// goLive begins to take what is published: it came behind join.
func (s *subscription) goLive() {
	s.phase, s.behind = live, false
	s.next, s.join = s.join.next.Load(), nil
}

// sent notes that n records of the log were handed to the connection, the last of
// them with this Seq.
func (s *subscription) sent(seq uint64, n int) {
	s.told = seq
	if s.phase == replaying {
		s.resume.Replayed += n
	}
}

// mayMiss reports whether the replay may begin after records that are gone: the client
// was told that some are missing, or asked for what is retained, and was sent nothing yet.
func (s *subscription) mayMiss() bool {
	return s.phase == replaying && (s.resume.Truncated || s.from.IsZero()) && s.resume.Replayed == 0
}

// take adds frames of what is in the tail.
func (ws *Websocket) take(b *socket.Batch, s *subscription) {
	for s.next != nil && len(b.Own) < socket.BatchSize {
		n := s.next
		switch {
		case n.gap:
			s.next, s.behind = nil, true
			return
		case n.chunk != nil && string(n.chunk.id) == string(s.id):
			b.Shared, n = n.chunk.from(n)
			s.told = n.rec.Seq
		case n.rec.Includes(ws.tags, ws.recipient):
			b.Own = appendEvent(b.Own, s.id, n.rest)
			s.told = n.rec.Seq
		}
		s.cursor, s.next = n.rec.Seq, n.next.Load()
		if b.Shared != nil || ws.answerIsDue() {
			return
		}
	}
}
