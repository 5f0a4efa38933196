package durableobject

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-orpc/durable-iterator/internal/fanout"
	"github.com/go-orpc/durable-iterator/internal/peer"
	"github.com/go-orpc/durable-iterator/internal/socket"
	"github.com/go-orpc/durable-iterator/rpc/transport"
	"github.com/go-orpc/durable-iterator/token"
)

// Close codes that the library uses.
const (
	statusPolicyViolation = 1008 // the token has expired, or was revoked
	statusInternalError   = 1011 // OnSubscribed failed, or the log cannot be read
	statusServiceRestart  = 1012 // the namespace is shutting down, or lost the feed of a shared log
	statusTryAgainLater   = 1013 // the socket was too slow, or the log cannot be reached
)

// reasonExpired is the reason of statusPolicyViolation that makes clients fetch a new token.
const reasonExpired = "Token expired"

// closeFrame is the code and the reason that a socket is closed with.
type closeFrame struct {
	code   int
	reason string
}

// maxEventHead is the maximum size of the part of an event's frame before the suffix.
const maxEventHead = socket.MaxHeader + len(`{"i":`) + peer.MaxID

// Websocket is the connection of a client to an object. It is oRPC's DurableIteratorWebsocket.
// It is safe for concurrent use, and comparable.
type Websocket struct {
	ch        *liveChannel
	set       *sockets    // has it while it is open
	sentAway  *closeFrame // of Disconnect or Revoke; guarded by base.mu
	reader    fanout.Reader
	conn      socket.Conn
	peer      *transport.ServerPeer
	ctx       context.Context // for its values: the peer ends the contexts of its calls
	closing   atomic.Bool     // the connection is going to be closed
	left      atomic.Bool     // the connection has ended
	id        string
	recipient Recipient
	authorize func(context.Context, *token.Payload) error // of later tokens; nil allows all
	payload   atomic.Pointer[token.Payload]
	attached  atomic.Value
	calls     runningCode
	heartbeat heartbeat

	stopReading atomic.Pointer[context.CancelFunc] // ends the last read of the log

	outbox socket.Outbox

	// mu guards the subscription. It is held briefly.
	//
	//   - sub is the subscription that events are sent to, or nil.
	//   - hooking is set while OnSubscribed runs.
	//   - late is the timer of the newest hook that runs or waits, or nil.
	mu      sync.Mutex
	sub     *subscription
	hooking bool
	opened  uint32 // seconds after that of base.start; never changed, and here for its size
	late    *time.Timer
}

// subscription is the subscription of a socket, whose mu guards it.
type subscription struct {
	fanout.Subscription

	lastEventID string
	heartbeat   time.Duration      // requested by the client; 0 means none
	position    string             // Resume.Position for the hook; empty once it has begun
	finish      func()             // releases the id
	ctx         context.Context    // of its call; nil once the hook has begun
	cancel      context.CancelFunc // ends the context of its hook; nil before the hook has begun
	hookBy      time.Time          // deadline of its hook; zero before the replay has ended
}

// cancelHook ends the context of the hook, if that has begun.
func (s *subscription) cancelHook() {
	if s.cancel != nil {
		s.cancel()
	}
}

// ID returns the id that the client chose when it connected. A client keeps its id when it
// reconnects. Several sockets may have the same id, and a client with a token for the channel
// can use any id.
func (ws *Websocket) ID() string { return ws.id }

// Token returns the payload of the socket's current token. It must not be changed.
func (ws *Websocket) Token() *token.Payload { return ws.payload.Load() }

// Channel returns the name of the object.
func (ws *Websocket) Channel() string { return ws.ch.name }

// Attach stores a value of the application with the socket, replacing an earlier one. If v is
// nil, the value is removed.
func (ws *Websocket) Attach(v any) { ws.attached.Store(&v) }

// Attachment returns the value that Attach has stored, or nil if there is none.
func (ws *Websocket) Attachment() any {
	if v, ok := ws.attached.Load().(*any); ok {
		return *v
	}
	return nil
}

// Close closes the socket with a WebSocket close code and a reason. It does not wait. Clients
// reconnect afterwards; those of this library do not after 4403 and 4410: see
// [Namespace.Disconnect].
//
// Valid codes are 1000 to 1003, 1007 to 1014, and 3000 to 4999. For any other code, Close sends
// 1011 and logs a warning. A reason longer than 123 bytes is truncated between two characters.
func (ws *Websocket) Close(code int, reason string) {
	sent := code
	if !socket.MaySend(code) {
		sent = statusInternalError
	}
	ws.conn.Close(sent, reason)
	if sent != code {
		ws.core().logger.Warn("close code cannot be sent", "channel", ws.ch.name, "socket_id", ws.id, "code", code)
	}
}

// Send sends an event only to this socket. The event is not stored and has no id. An event that
// OnSubscribed sends, for example a snapshot, arrives after the replayed events and before live
// ones. While more than half of [Options].MaxLagBytes waits for the client to read, Send
// waits too. The error wraps [ErrNotSubscribed] if the socket has no subscription or is closing,
// the cause of ctx if that ends first, or the error of encoding the event.
//
// The type of the event is not checked. It should be that of the object's events: a client that
// cannot decode it has a gap at that place, of an event that it can never read.
func (ws *Websocket) Send(ctx context.Context, event any) error {
	if err := ws.sendEvent(ctx, event); err != nil {
		return fmt.Errorf("durableobject: send: %w", err)
	}
	return nil
}

func (ws *Websocket) sendEvent(ctx context.Context, event any) error {
	data, err := ws.core().encode(event)
	if err != nil {
		return err
	}
	suffix := peer.AppendEventRest(nil, peer.EventMessage, data, nil)
	frame := make([]byte, 0, maxEventHead+len(suffix))
	if err := ws.outbox.Reserve(ctx, cap(frame)); err != nil {
		if errors.Is(err, socket.ErrClosed) {
			err = ErrNotSubscribed
		}
		return err
	}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	// With mu held, so that a hook does not send to the next subscription.
	if err = context.Cause(ctx); err == nil && ws.sub == nil {
		err = ErrNotSubscribed
	}
	if err != nil {
		ws.outbox.Release(cap(frame))
		return err
	}
	if ws.outbox.Add(fanout.AppendFrame(frame, ws.sub.ID, suffix)) != nil {
		return ErrNotSubscribed
	}
	return nil
}

func (ws *Websocket) core() *core { return ws.ch.core }

// memberKey names the member whose socket it is.
func (ws *Websocket) memberKey() memberKey { return memberKey{ws.ch.name, ws.recipient} }

// expired closes a socket whose token has expired, and reports whether it did.
func (ws *Websocket) expired() bool {
	if !ws.Token().Expired(time.Now()) {
		return false
	}
	ws.conn.Close(statusPolicyViolation, reasonExpired)
	return true
}

// closeRevoked closes a socket whose token was revoked while it was being accepted.
func (ws *Websocket) closeRevoked() {
	if ws.core().revocations.match(ws.recipient.Subject, ws.Token(), time.Now()) {
		ws.set.sendAway(ws, &closeFrame{statusPolicyViolation, reasonExpired})
		ws.conn.Close(statusPolicyViolation, reasonExpired)
	}
}

// sockets has the sockets of a namespace that are open, or whose calls and hooks have not all
// returned, and those that were admitted but are not open yet, so that Disconnect misses none.
// The maps are guarded by base.mu.
type sockets struct {
	core    *core
	all     map[*Websocket]struct{}
	opening map[*Websocket]struct{}
}

// expect adds a socket that was admitted. The caller must then call add or forget.
func (s *sockets) expect(ws *Websocket) {
	s.core.mu.Lock()
	defer s.core.mu.Unlock()
	s.opening[ws] = struct{}{}
}

func (s *sockets) forget(ws *Websocket) {
	s.core.mu.Lock()
	defer s.core.mu.Unlock()
	delete(s.opening, ws)
}

// add adds an open socket. If it must be closed at once, because Shutdown has begun or
// Disconnect matched it while it was being opened, add returns the close code and reason.
func (s *sockets) add(ws *Websocket) (away *closeFrame) {
	s.core.mu.Lock()
	defer s.core.mu.Unlock()
	delete(s.opening, ws)
	s.all[ws] = struct{}{}
	if s.core.closing { // drain may have run before it was added
		return &closeFrame{statusServiceRestart, "Service restart"}
	}
	return ws.sentAway
}

// sendAway notes that a socket is closed because of a revocation.
func (s *sockets) sendAway(ws *Websocket, away *closeFrame) {
	s.core.mu.Lock()
	defer s.core.mu.Unlock()
	ws.sentAway = away
}

// sentAway reports whether Disconnect or Revoke has closed the socket.
func (s *sockets) sentAway(ws *Websocket) bool {
	s.core.mu.RLock()
	defer s.core.mu.RUnlock()
	return ws.sentAway != nil
}

func (s *sockets) remove(ws *Websocket) {
	s.core.mu.Lock()
	defer s.core.mu.Unlock()
	delete(s.all, ws)
}

// list returns the open sockets. They are closed without base.mu, because that writes to them.
func (s *sockets) list() []*Websocket {
	s.core.mu.RLock()
	defer s.core.mu.RUnlock()
	return slices.Collect(maps.Keys(s.all))
}

// close closes all sockets.
func (s *sockets) close(code int, reason string) {
	for _, ws := range s.list() {
		ws.conn.Close(code, reason)
	}
}

// kill ends the connections that are still open, at once, and returns their number.
func (s *sockets) kill() (n int) {
	for _, ws := range s.list() {
		if !ws.left.Load() {
			ws.conn.Kill()
			n++
		}
	}
	return n
}

// countCalls adds the number of running calls to counts, by method and channel.
func (s *sockets) countCalls(counts map[string]int) {
	for _, ws := range s.list() {
		ws.calls.count(counts)
	}
}

// closeMatching closes the sockets that match and returns their number. Sockets that are being
// opened are closed as soon as they are open; they are counted, too. The members that match leave
// the list of presence without the grace.
func (s *sockets) closeMatching(w *Who, code int, reason string) (n int) {
	var found []*Websocket
	away := &closeFrame{code, reason}
	s.core.mu.Lock()
	for ws := range s.all {
		if w.matches(ws.recipient, ws.Token()) {
			ws.sentAway = away
			found = append(found, ws)
		}
	}
	for ws := range s.opening {
		if ws.sentAway == nil && w.matches(ws.recipient, ws.Token()) {
			ws.sentAway = away
			n++
		}
	}
	s.core.mu.Unlock()
	for _, ws := range found {
		if ws.conn.Close(code, reason) {
			n++
		}
	}
	if p := s.core.members; p != nil {
		p.sendAway(w)
	}
	return n
}
