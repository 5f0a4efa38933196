package durableobject

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/internal/fanout"
	"github.com/go-orpc/durable-iterator/internal/peer"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/transport"
)

// The headers of a subscription that go beyond oRPC: see the package
// documentation.
const (
	headerExtension = "X-Durable-Iterator"
	headerPosition  = "X-Durable-Iterator-Position"
	headerResume    = "X-Durable-Iterator-Resume"
)

// Resume describes how a subscription continues an earlier one.
type Resume struct {
	// LastEventID is the last event that the client reports to have seen, or empty
	// if it named none.
	LastEventID string
	// Replayed is the number of events that the client was sent since or, if it named
	// none, of those that Options.Latest let it begin with.
	Replayed int
	// Truncated is set if events for the client are gone, or may be: without
	// Options.ResumeRetention, always. Send a snapshot then.
	Truncated bool
	// Position is the event id after which the events are live: the client was sent those
	// up to it that it missed, and gets all later ones that are for it when OnSubscribed
	// has returned. To begin with a state, load one that holds at least everything up to
	// Position, and send it: then nothing is lost. An event that the state holds
	// already may come again. Position is empty if no events are kept.
	Position string
}

// socketHooks are the methods of a hub that the library calls while a socket is open or when
// it has ended.
type socketHooks interface {
	OnSubscribed(ctx context.Context, ws *Websocket, r Resume) error
	OnDisconnected(ctx context.Context, ws *Websocket)
}

// hooks returns the hooks of the socket's object. NewNamespace takes no object without them.
func (ws *Websocket) hooks() socketHooks {
	h, _ := ws.ch.hub.(socketHooks)
	return h
}

// subscribe answers the request for a subscription. After the answer the client is sent
// the events that it has missed, then what OnSubscribed sends, then live events.
func (ws *Websocket) subscribe(ctx context.Context, call *rpc.Call) (any, error) {
	if err := checkSubscribe(call); err != nil {
		return nil, err
	}
	s := &subscription{lastEventID: call.LastEventID, heartbeat: heartbeatOf(call.Header)}
	s.CursorEvents = call.Header.Get(headerExtension) == "1"
	begin, live, err := ws.reader.Prepare(ctx, &s.Subscription, call.LastEventID)
	if err != nil {
		return nil, unavailable(err)
	}
	kept := ws.core().log != nil
	if kept {
		s.position = live.String()
	}
	if s.CursorEvents {
		call.ResponseHeader.Set(headerResume, s.outcome(kept))
		if kept {
			call.ResponseHeader.Set(headerPosition, begin.String())
		}
	}
	return transport.Hibernation{
		Start: func(ctx context.Context, id json.RawMessage, finish func()) {
			s.ID, s.finish, s.ctx = peer.ID(id), finish, ctx
			ws.begin(s)
		},
		Ended: func() { ws.end(s) },
	}, nil
}

// checkSubscribe refuses every request but a POST of JSON, which is what clients send.
func checkSubscribe(call *rpc.Call) error {
	if call.Method != http.MethodPost {
		return &rpc.Error{Code: rpc.CodeMethodNotSupported}
	}
	media, _, _ := strings.Cut(call.Header.Get("Content-Type"), ";")
	media = strings.TrimSpace(media)
	other := media != "" && !strings.EqualFold(media, "application/json")
	if other || call.Header.Get("Content-Disposition") != "" {
		return &rpc.Error{Code: rpc.CodeUnsupportedMediaType}
	}
	return nil
}

// outcome returns the value of the header that reports how the resume went. kept reports
// whether events are kept.
func (s *subscription) outcome(kept bool) string {
	switch {
	case !kept:
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
	ws.core().counters.subscribed(s) // before its hook may begin, which takes what this reads
	ws.mu.Lock()
	old := ws.sub
	ws.sub = s
	if old != nil {
		old.cancelHook()
	}
	ws.startHeartbeat(s.heartbeat)
	replayed := ws.reader.Subscribe(&s.Subscription)
	if old != nil {
		done := peer.AppendEventRest(nil, peer.EventDone, []byte("{}"), nil)
		// There is one for each subscription, whose answer has waited for room.
		ws.outbox.Force(fanout.AppendFrame(nil, old.ID, done))
	}
	if replayed {
		ws.startHook(s)
	}
	ws.mu.Unlock()
	if old != nil {
		old.finish()
	}
}

// end is called when the client has aborted s, or the socket is gone.
func (ws *Websocket) end(s *subscription) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	s.cancelHook()
	if ws.sub == s {
		ws.sub = nil
		ws.stopLate()
		ws.heartbeat.interval.Store(0)
		ws.reader.Unsubscribe(&s.Subscription)
	}
}

// startHook calls OnSubscribed on a goroutine of its own, after the hook of an earlier
// subscription of the socket has returned. If s is no longer the newest then, its hook is
// not called. Events wait for the hook, but not longer than Options.HookTimeout. startHook
// is called with mu held.
func (ws *Websocket) startHook(s *subscription) {
	c := ws.core()
	if s.hookBy.IsZero() {
		s.hookBy = time.Now().Add(c.options.HookTimeout)
		if ws.late == nil {
			ws.late = time.AfterFunc(c.options.HookTimeout, ws.releaseLate)
		} else { // a client could make timers without end if each subscription had one
			ws.late.Reset(c.options.HookTimeout)
		}
	}
	if ws.hooking {
		return // endHook calls again
	}
	ws.hooking = true
	// Not a child of the call's context, which would refer to it for as long as it lives.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), c.options.HookTimeout)
	s.ctx, s.cancel = nil, cancel
	resume := Resume{LastEventID: s.lastEventID, Replayed: s.Replayed, Truncated: s.Truncated, Position: s.position}
	s.lastEventID, s.position = "", "" // which may be as long as a message
	c.users.Go(func() {
		err := errEndedGoroutine
		defer func() { ws.hooked(s, err) }()
		err = c.hook("OnSubscribed", ws.ch.name, func() error { return ws.hooks().OnSubscribed(ctx, ws, resume) })
	})
}

// hooked lets live events follow what a hook has sent, or closes the socket if the hook of its
// newest subscription has failed.
func (ws *Websocket) hooked(s *subscription, err error) {
	current := ws.endHook(s)
	if err == nil || !current {
		ws.reader.Release(&s.Subscription)
		return
	}
	ws.conn.Close(statusInternalError, "Subscription failed")
	if !errors.Is(err, errEndedGoroutine) { // which hook has logged
		ws.core().logger.Error("subscription hook failed", details(err, "channel", ws.ch.name, "socket_id", ws.id)...)
	}
}

// endHook frees the context of a hook that has returned, and starts the hook of the newest
// subscription if that is waiting. It reports whether s is still the socket's subscription.
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

// releaseLate releases the events if the hook of the newest subscription is late.
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

// unavailable makes err one that asks the client to try again if the log is out of reach.
func unavailable(err error) error {
	if !errors.Is(err, eventlog.ErrUnavailable) {
		return err
	}
	return (&rpc.Error{Code: rpc.CodeServiceUnavailable, Message: "Try again later"}).WithCause(err)
}
