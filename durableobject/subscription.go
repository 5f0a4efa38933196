package durableobject

import (
	"context"
	"errors"

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
//   - In phase replaying, the records up to target are read from the log.
//   - In phase live there is nothing pending, and next is nil; or next is the
//     first node that was not looked at; or behind is set, and what follows
//     cursor is read from the log, up to join.
//   - join is a node of the tail, at target or later, from which on the tail has
//     everything. Nil is none: the subscription was too slow to keep it.
type subscription struct {
	id     peer.ID
	finish func()          // frees the id
	moves  bool            // the client understands events that only move its cursor
	ctx    context.Context // of its hook; ends with the subscription
	cancel context.CancelFunc

	phase  phase
	from   eventlog.Position // where the replay begins, until the first record
	cursor uint64
	target uint64
	told   uint64 // the last position that the client was given
	next   *node
	behind bool
	join   *node
	resume Resume
}

// pending tells whether there may be something that the socket has yet to get.
func (s *subscription) pending() bool { return s.phase != live || s.behind || s.next != nil }

// accept makes the first record from n on that was not looked at the next one of a
// subscription that has nothing pending, and reports whether there is one. The
// channel's mu is held.
func (s *subscription) accept(n *node) bool {
	if s.pending() {
		return false
	}
	if n = n.behind(s.cursor); n == nil {
		return false
	}
	s.cursor, s.next = max(s.cursor, n.before), n
	return true
}

// lag is how much of the tail the subscription keeps alive.
func (s *subscription) lag(newest *node) int64 {
	switch {
	case s.next != nil:
		return newest.end - s.next.end
	case s.join != nil:
		return newest.end - s.join.end
	}
	return 0
}

// letGo gives up the place in the tail: what comes is read from the log.
func (s *subscription) letGo() {
	if s.next != nil {
		s.next, s.behind = nil, true
	}
	s.join = nil
}

// goLive begins to take what is published. What came since join is in the tail,
// or, if the tail was let go, in the log.
func (s *subscription) goLive() {
	s.phase = live
	if s.join == nil {
		s.behind = true
		return
	}
	s.next, s.join = s.join.next.Load(), nil
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

// appendEvent appends the frame of an event, given what follows the id.
func appendEvent(dst []byte, id peer.ID, rest []byte) []byte {
	size := len(`{"i":`) + len(id) + len(rest)
	if id == nil {
		size = len(rest) // "{" in place of ","
	}
	return peer.JoinEvent(socket.AppendHeader(dst, false, size), id, rest)
}

// read adds frames of what is in the log. It is called by the owner of the
// write side, without locks, and begins anew each time: a log finds a position fast.
// It reports false if the connection is ending.
func (ws *Websocket) read(b *socket.Batch, s *subscription) (ok bool) {
	from, limit, join := ws.span(s)
	replay, err := ws.ch.core.log.After(ws.ctx, ws.ch.name, from)
	if err != nil {
		ws.failRead(err)
		return false
	}
	if replay.Truncated && !ws.mayMiss(s) {
		ws.failRead(eventlog.ErrTrimmed)
		return false
	}
	horizon := ws.ch.horizon()
	for rec, err := range replay.Records {
		if err != nil {
			ws.failRead(err)
			return false
		}
		if rec.Seq > limit {
			break
		}
		wanted := rec.Includes(ws.tags, ws.recipient)
		if wanted && rec.Time.Before(horizon) {
			if !ws.mayMiss(s) {
				ws.failRead(eventlog.ErrTrimmed)
				return false
			}
			wanted = false
		}
		if wanted {
			b.Own = appendEvent(b.Own, s.id, appendRest(nil, rec))
		}
		if !ws.passed(s, rec, wanted) || len(b.Own) >= socket.BatchSize {
			return true
		}
	}
	ws.caughtUp(s, limit, join)
	return true
}

// span says what to read next: behind from, up to limit.
func (ws *Websocket) span(s *subscription) (from eventlog.Position, limit uint64, join *node) {
	newest, _ := ws.ch.newest()
	ws.mu.Lock()
	defer ws.mu.Unlock()
	from = s.from
	if s.cursor > 0 || s.phase == live {
		// Seqs run on over epochs, so the newest record's epoch will do.
		from = eventlog.Position{Epoch: newest.rec.Epoch, Seq: s.cursor}
	}
	if s.phase == replaying {
		return from, s.target, s.join
	}
	if s.join == nil {
		s.join = newest
	}
	return from, s.join.rec.Seq, s.join
}

// mayMiss tells whether it is no news to the client that records are missing: it was
// told so, and has been sent nothing since.
func (ws *Websocket) mayMiss(s *subscription) bool {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	return s.phase == replaying && s.resume.Truncated && s.resume.Replayed == 0
}

// passed moves the cursor over a record that was read. It reports whether the
// subscription is still the socket's.
func (ws *Websocket) passed(s *subscription, rec *eventlog.Record, sent bool) bool {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	s.cursor = rec.Seq
	if sent {
		s.told = rec.Seq
		if s.phase == replaying {
			s.resume.Replayed++
		}
	}
	return ws.sub == s
}

// caughtUp ends reading from the log at limit. If the place in the tail was let go
// meanwhile, there is more to read.
func (ws *Websocket) caughtUp(s *subscription, limit uint64, join *node) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	s.cursor = max(s.cursor, limit)
	switch {
	case ws.sub != s:
	case s.phase == replaying:
		ws.startHook(s)
	case s.join == join:
		s.behind = false
		s.goLive()
	}
}

// failRead ends a socket that cannot be given what it lacks. The client comes back
// and is told what is missing.
func (ws *Websocket) failRead(err error) {
	if ws.ctx.Err() != nil {
		return
	}
	if errors.Is(err, eventlog.ErrTrimmed) {
		ws.core().logger.Warn("socket fell behind what is retained", "channel", ws.ch.name, "socket_id", ws.id)
		ws.conn.Close(statusTryAgainLater, "Too slow")
		return
	}
	if !errors.Is(err, context.Canceled) {
		ws.core().logger.Error("reading the event log failed", "channel", ws.ch.name, "socket_id", ws.id, "err", err)
	}
	ws.conn.Close(statusInternalError, "Reading events failed")
}
