package durableobject

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/go-orpc/durable-iterator/internal/fanout"
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

// subscription is a subscription of a socket, whose mu guards it.
type subscription struct {
	fanout.Subscription
	ws          *Websocket
	lastEventID string
	finish      func()             // frees the id
	ctx         context.Context    // of its call; nil once the hook has begun
	cancel      context.CancelFunc // ends the context of its hook; nil before that has begun
}

// subscribe answers the request for a subscription. After the answer the client is sent
// the events that it has missed, then what OnSubscribed sends, then live events.
func (ws *Websocket) subscribe(ctx context.Context, call *rpc.Call) (any, error) {
	s := &subscription{ws: ws, lastEventID: call.LastEventID}
	s.CursorEvents = call.Header.Get(headerExtension) == "1"
	head, err := ws.reader.Prepare(ctx, &s.Subscription, call.LastEventID)
	if err != nil {
		return nil, err
	}
	if s.CursorEvents {
		call.ResponseHeader.Set(headerResume, s.outcome())
		if ws.core().log != nil {
			call.ResponseHeader.Set(headerPosition, head.String())
		}
	}
	return rpc.Hibernation{
		Start: func(ctx context.Context, id json.RawMessage, finish func()) {
			s.ID, s.finish, s.ctx = peer.ID(id), finish, ctx
			ws.begin(s)
		},
		Ended: s.end,
	}, nil
}

// outcome returns how the resume went, as the response says it.
func (s *subscription) outcome() string {
	switch {
	case s.ws.core().log == nil:
		return "off"
	case s.lastEventID == "":
		return "none"
	case s.Truncated:
		return "truncated"
	default:
		return "complete"
	}
}

// begin makes s the socket's subscription, in place of an earlier one.
func (ws *Websocket) begin(s *subscription) {
	ws.mu.Lock()
	old := ws.sub
	ws.sub = s
	if old != nil {
		old.cancelHook()
	}
	replayed := ws.reader.Subscribe(&s.Subscription)
	if old != nil {
		done := peer.AppendEventRest(nil, peer.EventDone, []byte("{}"), nil)
		ws.queue(fanout.AppendFrame(nil, old.ID, done), 0)
	}
	if replayed {
		ws.startHook(s)
	}
	ws.mu.Unlock()
	if old != nil {
		old.finish()
	}
}

// end is called when the client has aborted the subscription, or the socket is gone.
func (s *subscription) end() {
	ws := s.ws
	ws.mu.Lock()
	defer ws.mu.Unlock()
	s.cancelHook()
	if ws.sub == s {
		if ws.left.Load() { // the events that come before these answers will not
			ws.answers = slices.DeleteFunc(ws.answers, func(a answer) bool { return !ws.reader.Passed(a.after) })
		}
		ws.sub = nil
		ws.reader.Unsubscribe(&s.Subscription)
	}
}

// cancelHook ends the context of the hook, which may not have begun.
func (s *subscription) cancelHook() {
	if s.cancel != nil {
		s.cancel()
	}
}

// startHook calls OnSubscribed on a goroutine of its own. It is called with mu held.
func (ws *Websocket) startHook(s *subscription) {
	c := ws.core()
	// The context of the call would keep account of the hook's for as long as it lives.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), c.options.HookTimeout)
	s.ctx, s.cancel = nil, cancel
	resume := Resume{LastEventID: s.lastEventID, Replayed: s.Replayed, Truncated: s.Truncated}
	c.users.Go(func() {
		late := time.AfterFunc(c.options.HookTimeout, func() { ws.reader.Release(&s.Subscription) })
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
		ws.reader.Release(&s.Subscription)
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
