package durableobject

import (
	"context"
	"errors"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/internal/socket"
)

// read adds frames of what is in the log. It is called by the owner of the
// write side, without locks. It reports false if the connection is ending.
func (ws *Websocket) read(b *socket.Batch, s *subscription) (ok bool) {
	from, limit, mayMiss := ws.span(s)
	p, after, err := ws.ch.page(from, limit, mayMiss)
	if err == nil {
		err = ws.takePage(b, s, p, after, limit)
	}
	if err != nil {
		ws.failRead(err)
	}
	return err == nil
}

// span says what to read next: behind from, up to limit; and whether it is no news
// to the client that records are missing there.
func (ws *Websocket) span(s *subscription) (from eventlog.Position, limit uint64, mayMiss bool) {
	newest, _ := ws.ch.newest()
	ws.mu.Lock()
	defer ws.mu.Unlock()
	from = s.from
	if s.cursor > 0 || s.phase == live {
		// Seqs run on over epochs, so the newest record's epoch will do.
		from = eventlog.Position{Epoch: newest.rec.Epoch, Seq: s.cursor}
	}
	if s.phase == replaying {
		return from, s.target, s.mayMiss()
	}
	if s.join == nil {
		s.join, s.target = newest, newest.rec.Seq
	}
	return from, s.target, false
}

// takePage adds the frames of a page that are behind after, up to limit. The error
// is ErrTrimmed if one of them is too old, which the client does not expect.
func (ws *Websocket) takePage(b *socket.Batch, s *subscription, p *page, after, limit uint64) error {
	horizon := ws.ch.horizon()
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.sub != s {
		return nil
	}
	i, end := p.between(after, limit)
	if i < end && p.everybody && string(p.id) == string(s.id) && !p.records[i].time.Before(horizon) {
		b.Shared = p.frames[p.start(i):p.records[end-1].stop]
		s.sent(p.records[end-1].seq, end-i)
		i = end
	}
	for ; i < end; i++ {
		r := &p.records[i]
		switch {
		case !r.includes(ws):
		case !r.time.Before(horizon):
			b.Own = appendEvent(b.Own, s.id, p.restOf(i))
			s.sent(r.seq, 1)
		case !s.mayMiss():
			return eventlog.ErrTrimmed
		}
		if len(b.Own) >= socket.BatchSize && i+1 < end {
			s.page, s.cursor = p, r.seq
			return nil
		}
	}
	s.page, s.cursor = p, max(s.cursor, min(p.last, limit))
	if s.cursor < limit {
		return p.err
	}
	s.page = nil
	if s.phase == replaying {
		ws.startHook(s)
	} else {
		s.goLive()
	}
	return nil
}

// failRead ends a socket that cannot be given what it lacks. The client comes back
// and is told what is missing.
func (ws *Websocket) failRead(err error) {
	if ws.left.Load() {
		return
	}
	if errors.Is(err, eventlog.ErrTrimmed) {
		ws.tooSlow()
		return
	}
	if !errors.Is(err, context.Canceled) {
		ws.core().logger.Error("reading the event log failed", "channel", ws.ch.name, "socket_id", ws.id, "err", err)
	}
	ws.conn.Close(statusInternalError, "Reading events failed")
}
