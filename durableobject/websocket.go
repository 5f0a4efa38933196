package durableobject

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/internal/peer"
	"github.com/go-orpc/durable-iterator/internal/socket"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

// Close codes that the library uses.
const (
	statusPolicyViolation = 1008 // the token has expired
	statusInternalError   = 1011 // OnSubscribed failed, or the log cannot be read
	statusServiceRestart  = 1012 // the namespace is shutting down
	statusTryAgainLater   = 1013 // the socket was too slow
)

// Websocket is one client's connection to an object: oRPC's
// DurableIteratorWebsocket. It is safe for concurrent use, and comparable.
type Websocket struct {
	ch        *channel
	group     *group // its channel's, from join on
	conn      socket.Conn
	peer      *rpc.ServerPeer
	ctx       context.Context // only for values: the peer ends the contexts of its calls
	left      atomic.Bool     // the connection has ended
	id        string
	tags      []string // of the token: they never change
	recipient Recipient
	authorize func(context.Context, *token.Payload) error // of later tokens; nil allows all
	payload   atomic.Pointer[token.Payload]
	attached  atomic.Value
	calls     runningCode

	// mu guards the subscription and the answers. It is held for a moment only.
	//
	//   - sub is nil, or the subscription that events go to.
	//   - answers are frames that wait to be written. The first write takes all
	//     that are due, in order; one that is not due waits for an event that was
	//     published before it.
	//   - waiting is the size of the answers.
	//   - room is closed, and set to nil, when answers have been taken. It is made by
	//     those who wait for that.
	mu      sync.Mutex
	sub     *subscription
	answers []answer
	waiting int
	room    chan struct{}
}

// answer is a frame that is written once the subscription has passed after.
type answer struct {
	frame []byte
	after uint64
}

// ID gives the id that the client chose when it connected. It is the same over
// its reconnections. Clients choose freely: two sockets may have one id, and
// whoever holds a token of the channel can take any id.
func (ws *Websocket) ID() string { return ws.id }

// Token gives the payload of the socket's current token. It is shared: do not
// change it.
func (ws *Websocket) Token() *token.Payload { return ws.payload.Load() }

// Channel gives the name of the object.
func (ws *Websocket) Channel() string { return ws.ch.name }

// Attach keeps a value of the application with the socket. Nil is not allowed.
func (ws *Websocket) Attach(v any) { ws.attached.Store(&v) }

// Attachment gives the value that was given to Attach, nil if there is none.
func (ws *Websocket) Attachment() any {
	if v, ok := ws.attached.Load().(*any); ok {
		return *v
	}
	return nil
}

// Close closes the socket with a WebSocket close code and a reason of at most 123
// bytes. It does not wait. A client of this library or of oRPC connects again
// after any code.
func (ws *Websocket) Close(code int, reason string) { ws.conn.Close(code, reason) }

// Send gives an event to this socket alone, without storing it and without an
// id: a snapshot in OnSubscribed, for instance, where it arrives behind what is
// replayed and before anything live. It does not wait for the client. The error
// is [ErrNotSubscribed] if the socket has no subscription, or one of encoding.
func (ws *Websocket) Send(ctx context.Context, event any) error {
	data, err := ws.core().encode(event)
	if err != nil {
		return fmt.Errorf("durableobject: send: %w", err)
	}
	rest := peer.AppendEventRest(nil, peer.EventMessage, data, nil)
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if err := ctx.Err(); err != nil { // looked at here, so that a hook cannot reach the next subscription
		return fmt.Errorf("durableobject: send: %w", err)
	}
	if ws.sub == nil {
		return fmt.Errorf("durableobject: send: %w", ErrNotSubscribed)
	}
	ws.queue(appendEvent(nil, ws.sub.id, rest), 0)
	return nil
}

func (ws *Websocket) core() *core { return ws.ch.core }

// Pull implements socket.Source: answers that are due, then events.
func (ws *Websocket) Pull(b *socket.Batch, wait bool) socket.More {
	if ws.expired() {
		return socket.None
	}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for {
		if b.Shared != nil || len(b.Own) >= socket.BatchSize {
			return ws.more()
		}
		ws.takeAnswers(b)
		switch s := ws.sub; {
		case !ws.wantsEvents():
			return socket.None
		case s.next != nil:
			ws.take(b, s)
		case ws.core().log == nil:
			ws.tooSlow()
			return socket.None
		case !wait:
			return socket.Slow
		default:
			ws.mu.Unlock()
			ok := ws.read(b, s)
			ws.mu.Lock()
			if !ok {
				return socket.None
			}
		}
	}
}

// tooSlow closes a socket that lacks what is nowhere kept any more.
func (ws *Websocket) tooSlow() {
	ws.core().logger.Warn("socket fell behind what is kept", "channel", ws.ch.name, "socket_id", ws.id)
	ws.conn.Close(statusTryAgainLater, "Too slow")
}

// wantsEvents tells whether there may be events to send, with mu held.
func (ws *Websocket) wantsEvents() bool {
	return ws.sub != nil && ws.sub.pending() && ws.sub.phase != hooking
}

// more tells what there is besides a batch that is full, with mu held.
func (ws *Websocket) more() socket.More {
	if ws.wantsEvents() || ws.answerIsDue() {
		return socket.Some
	}
	return socket.None
}

// queue adds an answer. It is called with mu held.
func (ws *Websocket) queue(frame []byte, after uint64) {
	ws.answers = append(ws.answers, answer{frame, after})
	ws.waiting += len(frame)
	if ws.waiting > ws.core().maxLagBytes && len(ws.answers) > 1 {
		ws.conn.Close(statusTryAgainLater, "Too slow")
		return
	}
	ws.conn.Wake()
}

func (ws *Websocket) takeAnswers(b *socket.Batch) {
	if len(ws.answers) == 0 {
		return
	}
	kept := ws.answers[:0]
	for _, a := range ws.answers {
		if ws.due(a) {
			b.Own = append(b.Own, a.frame...)
			ws.waiting -= len(a.frame)
		} else {
			kept = append(kept, a)
		}
	}
	clear(ws.answers[len(kept):])
	ws.answers = kept
	if ws.room != nil {
		close(ws.room)
		ws.room = nil
	}
	if len(kept) == 0 {
		ws.answers = nil // an idle socket keeps no buffer
	}
}

// due tells whether everything that was published before an answer was looked at.
func (ws *Websocket) due(a answer) bool {
	return ws.sub == nil || !ws.sub.pending() || a.after <= ws.sub.cursor
}

func (ws *Websocket) answerIsDue() bool {
	return len(ws.answers) > 0 && ws.due(ws.answers[0])
}

// meet is called for a record that may be for the socket, nil for none but those that
// its group was offered. The channel's mu is held.
func (ws *Websocket) meet(n *node) {
	for _, n := range [...]*node{ws.group.walking, ws.group.from, n} {
		if n != nil && ws.accept(n) {
			ws.conn.Wake()
			return
		}
	}
}

// accept reports whether the socket, which had nothing pending, has from n on. The
// channel's mu is held.
func (ws *Websocket) accept(n *node) bool {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	return ws.sub != nil && !ws.sub.pending() && ws.sub.accept(n)
}

// moveCursor tells a client that has nothing pending how far the log has come.
func (ws *Websocket) moveCursor(head eventlog.Position) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	s := ws.sub
	if s == nil || !s.moves || s.pending() || s.told >= head.Seq {
		return
	}
	s.told = head.Seq
	s.cursor = max(s.cursor, head.Seq)
	ws.queue(appendEvent(nil, s.id, appendPositioned(nil, head, nil, nil)), 0)
}

// expired closes a socket whose token is over.
func (ws *Websocket) expired() bool {
	if !ws.Token().Expired(time.Now()) {
		return false
	}
	ws.conn.Close(statusPolicyViolation, "Token expired")
	return true
}

// Visit implements socket.Source: it closes a socket whose token is over.
func (ws *Websocket) Visit(time.Time) (again time.Time) {
	if ws.expired() {
		return time.Time{}
	}
	return ws.Token().ExpiresAt.Add(time.Millisecond) // it is expired after that, not at it
}

// setToken makes p the socket's token, and has its end noticed.
func (ws *Websocket) setToken(p *token.Payload) {
	ws.payload.Store(p)
	ws.conn.VisitAt(p.ExpiresAt.Add(time.Millisecond))
}
