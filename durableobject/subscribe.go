package durableobject

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/internal/peer"
	"github.com/go-orpc/durable-iterator/rpc"
)

// The headers of a subscription that go beyond oRPC: see the package
// documentation.
const (
	headerExtension = "X-Durable-Iterator"
	headerPosition  = "X-Durable-Iterator-Position"
	headerResume    = "X-Durable-Iterator-Resume"
)

// subscribe makes the socket's subscription: the answer goes out, then what the
// client has missed, then what OnSubscribed sends, then what is published.
func (ws *Websocket) subscribe(ctx context.Context, call *rpc.Call) (any, error) {
	join, head := ws.ch.newest()
	s := &subscription{
		ws:    ws,
		moves: call.Header.Get(headerExtension) == "1",
		join:  join, target: join.rec.Seq,
	}
	s.resume.LastEventID = call.LastEventID
	if call.LastEventID == "" {
		s.told = head.Seq // by the header; who resumes stays at its last event
	}
	resume, err := ws.plan(ctx, s)
	if err != nil {
		return nil, err
	}
	if s.moves {
		call.ResponseHeader.Set(headerResume, resume)
		if ws.core().log != nil {
			call.ResponseHeader.Set(headerPosition, head.String())
		}
	}
	return rpc.Hibernation{
		Start: func(ctx context.Context, id json.RawMessage, finish func()) {
			s.id, s.finish, s.ctx = peer.ID(id), finish, ctx
			ws.ch.voted(s.id)
			ws.begin(s)
		},
		Ended: s.end,
	}, nil
}

// plan finds out what the client has missed, and says so in a word.
func (ws *Websocket) plan(ctx context.Context, s *subscription) (resume string, err error) {
	last := s.resume.LastEventID
	switch {
	case ws.core().log == nil:
		s.phase = hooking
		s.resume.Truncated = last != ""
		return "off", nil
	case last == "":
		s.phase = hooking
		s.cursor = s.target
		return "none", nil
	}
	s.from = eventlog.PositionOf(last)
	replay, err := ws.core().log.After(ctx, ws.ch.name, s.from)
	if err != nil {
		return "", err
	}
	s.resume.Truncated = replay.Truncated
	// Where nothing is to be replayed, the log is not asked again: by then it may
	// have forgotten the channel, and not be sure any more.
	s.phase, s.cursor = hooking, s.target
	for first, err := range replay.Records {
		if err != nil && !errors.Is(err, eventlog.ErrTrimmed) {
			return "", err
		}
		// What is still stored but too old to be replayed is missing too, unless the
		// client asked for no more than what is retained.
		tooOld := err != nil || first.Time.Before(ws.ch.horizon())
		s.resume.Truncated = s.resume.Truncated || tooOld && !s.from.IsZero()
		s.phase, s.cursor = replaying, 0
		break
	}
	if s.resume.Truncated {
		return "truncated", nil
	}
	return "complete", nil
}

// begin makes s the socket's subscription, in place of an earlier one.
func (ws *Websocket) begin(s *subscription) {
	ws.mu.Lock()
	old := ws.sub
	ws.sub = s
	if old != nil {
		old.cancelHook()
		done := peer.AppendEventRest(nil, peer.EventDone, []byte("{}"), nil)
		ws.queue(appendEvent(nil, old.id, done), 0)
	}
	if s.phase == hooking {
		ws.startHook(s)
	}
	ws.mu.Unlock()
	if old != nil {
		old.finish()
	}
	ws.conn.Wake()
}

// end is called when the client has aborted the subscription, or the socket is gone.
func (s *subscription) end() {
	ws := s.ws
	ws.mu.Lock()
	defer ws.mu.Unlock()
	s.cancelHook()
	if ws.sub == s {
		if ws.left.Load() { // the events that come before these answers will not
			ws.answers = slices.DeleteFunc(ws.answers, func(a answer) bool { return !ws.due(a) })
		}
		ws.sub = nil
		ws.conn.Wake() // answers that waited for its events are due
	}
}

// startHook calls OnSubscribed on a goroutine of its own. It is called with mu held.
func (ws *Websocket) startHook(s *subscription) {
	c := ws.core()
	s.phase = hooking
	// The context of the call would keep account of the hook's for as long as it lives.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), c.options.HookTimeout)
	s.ctx, s.cancel = nil, cancel
	resume := s.resume
	c.users.Go(func() {
		late := time.AfterFunc(c.options.HookTimeout, func() { ws.goLive(s) })
		defer late.Stop()
		var err error
		func() {
			defer recoverTo(&err)
			err = c.hooksOf(ws.ch.hub).OnSubscribed(ctx, ws, resume)
		}()
		if current := ws.endHook(s); err != nil && current {
			c.logger.Error("subscription hook failed", "channel", ws.ch.name, "socket_id", ws.id, "err", err)
			ws.conn.Close(statusInternalError, "Subscription failed")
			return
		}
		ws.goLive(s)
	})
}

// endHook frees the context of the hook. It reports whether s is still the socket's
// subscription.
func (ws *Websocket) endHook(s *subscription) bool {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	s.cancelHook()
	s.cancel = nil
	return ws.sub == s
}

// goLive lets a subscription have what is published, if it waits for that.
func (ws *Websocket) goLive(s *subscription) {
	ws.mu.Lock()
	if s.phase == hooking {
		s.goLive()
	}
	ws.mu.Unlock()
	ws.conn.Wake()
}
