package durableobject

import (
	"context"
	"time"
)

// startHook calls OnSubscribed on a goroutine of its own, once that for an earlier
// subscription of the socket has returned. If s is not the newest by then, its hook is
// not called. Events wait for the hook, but not longer than Options.HookTimeout. It is
// called with mu held.
func (ws *Websocket) startHook(s *subscription) {
	c := ws.core()
	if s.hookBy.IsZero() {
		s.hookBy = time.Now().Add(c.options.HookTimeout)
		if ws.late == nil {
			ws.late = time.AfterFunc(c.options.HookTimeout, ws.releaseLate)
		} else { // one that was made for each subscription would be the client's to make
			ws.late.Reset(c.options.HookTimeout)
		}
	}
	if ws.hooking {
		return // endHook calls again
	}
	ws.hooking = true
	// The context of the call would keep account of the hook's for as long as it lives.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), c.options.HookTimeout)
	s.ctx, s.cancel = nil, cancel
	resume := Resume{LastEventID: s.lastEventID, Replayed: s.Replayed, Truncated: s.Truncated}
	c.users.Go(func() {
		err := c.hook("OnSubscribed", ws.ch.name, func() error {
			return hooksOf(ws.ch.hub).OnSubscribed(ctx, ws, resume)
		})
		if current := ws.endHook(s); err != nil && current {
			ws.conn.Close(statusInternalError, "Subscription failed")
			c.logger.Error("subscription hook failed", "channel", ws.ch.name, "socket_id", ws.id, "err", err)
			return
		}
		ws.reader.Release(&s.Subscription)
	})
}

// endHook frees the context of a hook that has returned, and calls the hook of the newest
// subscription if that waits. It reports whether s is still the socket's subscription.
func (ws *Websocket) endHook(s *subscription) (current bool) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	s.cancelHook()
	s.cancel = nil
	ws.hooking = false
	newest := ws.sub
	if newest != nil && newest != s && !newest.hookBy.IsZero() {
		ws.startHook(newest)
	} else {
		ws.stopLate()
	}
	return newest == s
}

// releaseLate lets the events go on if the hook of the newest subscription is late.
func (ws *Websocket) releaseLate() {
	ws.mu.Lock()
	s := ws.sub
	late := s != nil && !s.hookBy.IsZero() && !time.Now().Before(s.hookBy)
	ws.mu.Unlock()
	if late {
		ws.reader.Release(&s.Subscription)
	}
}

// stopLate stops the timer of releaseLate, with mu held. An idle socket keeps none.
func (ws *Websocket) stopLate() {
	if ws.late != nil {
		ws.late.Stop()
		ws.late = nil
	}
}

// cancelHook ends the context of the hook, which may not have begun.
func (s *subscription) cancelHook() {
	if s.cancel != nil {
		s.cancel()
	}
}
