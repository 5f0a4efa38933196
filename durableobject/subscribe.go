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

// Headers of a subscription that go beyond oRPC: see the package documentation.
const (
	headerExtension = "X-Durable-Iterator"
	headerPosition  = "X-Durable-Iterator-Position"
	headerResume    = "X-Durable-Iterator-Resume"
)

// Resume describes how a subscription continues an earlier one.
type Resume struct {
	// LastEventID is the last event id that the client has sent, or empty.
	LastEventID string
	// Replayed is the number of events that were sent to the client since then or, if it
	// sent no last event id, because of Options.Latest.
	Replayed int
	// Truncated is set if events for the client are missing, or may be. It is always set
	// without Options.ResumeRetention. If it is set, send a snapshot.
	Truncated bool
	// Position is the event id after which events are live. Missed events up to it were
	// sent, and all later ones that are for the client are sent when OnSubscribed has
	// returned. To begin with a state, load one that includes at least all events up to
	// Position, and send it: then nothing is lost. Events that the state already includes
	// may be sent too. Position is empty if no events are kept.
	Position string
}

// socketHooks are the hooks of a hub for its sockets.
type socketHooks interface {
	OnSubscribed(ctx context.Context, ws *Websocket, r Resume) error
	OnDisconnected(ctx context.Context, ws *Websocket)
}

// hooks returns the hooks of the socket's object, which always has them: see [Hub].
func (ws *Websocket) hooks() socketHooks {
	h, _ := ws.ch.hub.(socketHooks)
	return h
}

// subscribe answers the request for a subscription. After the answer the client is sent the
// missed events, then events of OnSubscribed, then live events.
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

// checkSubscribe refuses requests other than a POST of JSON, which is what clients send.
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

// outcome returns the value of the header that reports the result of the resume. kept reports
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
	ws.mu.Lock()
	old := ws.sub
	ws.sub = s
	if old != nil {
		old.cancelHook()
	}
	ws.heartbeat.begin(s.heartbeat, time.Since(ws.core().start))
	if s.heartbeat > 0 {
		ws.conn.VisitAt(time.Now().Add(s.heartbeat))
	}
	replayed := ws.reader.Subscribe(&s.Subscription)
	ws.core().counters.subscribed(s.lastEventID, s.Truncated) // before the hook, for which s is reset
	if old != nil {
		done := peer.AppendEventRest(nil, peer.EventDone, []byte("{}"), nil)
		// There is only one such frame for each subscription, whose answer has waited for room.
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

// end is called when the client has aborted s, or when the socket has closed.
func (ws *Websocket) end(s *subscription) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	s.cancelHook()
	if ws.sub == s {
		ws.sub = nil
		ws.stopLate()
		ws.heartbeat.stop()
		ws.reader.Unsubscribe(&s.Subscription)
	}
}

// startHook calls OnSubscribed on a new goroutine, after the hook of an earlier subscription of
// the socket has returned. If s is no longer the newest subscription then, its hook is not
// called. Events wait for the hook, but not longer than Options.HookTimeout. startHook is called
// with mu held.
func (ws *Websocket) startHook(s *subscription) {
	c := ws.core()
	if s.hookBy.IsZero() {
		s.hookBy = time.Now().Add(c.options.HookTimeout)
		if ws.late == nil {
			ws.late = time.AfterFunc(c.options.HookTimeout, ws.releaseLate)
		} else { // if each subscription had a timer, a client could create any number of them
			ws.late.Reset(c.options.HookTimeout)
		}
	}
	if ws.hooking {
		return // endHook calls again
	}
	ws.hooking = true
	// It is not a child of the call's context, which would keep it in memory.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), c.options.HookTimeout)
	s.ctx, s.cancel = nil, cancel
	resume := Resume{LastEventID: s.lastEventID, Replayed: s.Replayed, Truncated: s.Truncated, Position: s.position}
	s.lastEventID, s.position = "", "" // they may be as long as a message
	c.users.Go(func() {
		err := errEndedGoroutine
		defer func() { ws.hooked(s, err) }()
		err = c.hook("OnSubscribed", ws.ch.name, func() error { return ws.hooks().OnSubscribed(ctx, ws, resume) })
	})
}

// hooked releases the live events after a hook, or closes the socket if the hook of its newest
// subscription has failed.
func (ws *Websocket) hooked(s *subscription, err error) {
	current := ws.endHook(s)
	if err == nil || !current {
		ws.reader.Release(&s.Subscription)
		return
	}
	ws.conn.Close(statusInternalError, "Subscription failed")
	if !errors.Is(err, errEndedGoroutine) { // core.hook has logged that
		ws.core().logger.Error("subscription hook failed", details(err, "channel", ws.ch.name, "socket_id", ws.id)...)
	}
}

// endHook releases the context of a hook that has returned, and starts the hook of the newest
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

// stopLate stops the timer of releaseLate, so that an idle socket has none. It is called with
// mu held.
func (ws *Websocket) stopLate() {
	if ws.late != nil {
		ws.late.Stop()
		ws.late = nil
	}
}

// unavailable returns err or, if the log cannot be reached, an error that asks the client to
// try again.
func unavailable(err error) error {
	if !errors.Is(err, eventlog.ErrUnavailable) {
		return err
	}
	return (&rpc.Error{Code: rpc.CodeServiceUnavailable, Message: "Try again later"}).WithCause(err)
}
