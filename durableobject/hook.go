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
	if s.late == nil {
		s.late = time.AfterFunc(c.options.HookTimeout, func() { ws.reader.Release(&s.Subscription) })
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
	if newest != nil && newest != s && newest.late != nil && newest.ctx != nil {
		ws.startHook(newest)
	}
	return newest == s
}

// cancelHook ends the context of the hook, which may not have begun.
func (s *subscription) cancelHook() {
	if s.late != nil {
		s.late.Stop()
	}
	if s.cancel != nil {
		s.cancel()
	}
}
