package durableobject

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/internal/socket"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

// maxIDBytes is the length of the longest id that a client may choose.
const maxIDBytes = 256

// UpgradeOptions configures an UpgradeHandler. The zero value is fine. They are
// copied.
type UpgradeOptions struct {
	// OriginPatterns are hosts, as in path.Match ("*.example.com"), besides the
	// server's own from whose pages browsers may connect. A pattern with "://" is
	// compared with scheme and host. Requests from other origins are refused with
	// 403; those without an Origin header are not.
	OriginPatterns []string

	// AnyOrigin lets pages of all origins connect.
	AnyOrigin bool

	// Authorize is called for each request whose token is good, and for each token
	// that a client sends over an open socket to replace its own. An error refuses
	// the token: an *rpc.Error with its status and message, any other with 403
	// "Forbidden". A status outside 400 to 599 and a panic are logged and answered
	// with 500. Nil allows all.
	//
	// For a token that replaces another one, r is a copy of the request that opened
	// the socket, without its body and its token. Its context has the values of
	// that request and ends with the call. The copy is kept as long as the socket
	// is open.
	Authorize func(r *http.Request, p *token.Payload) error

	// Context makes the context whose values the socket's hooks and calls see, of a
	// request that may connect, for instance with what a middleware found out about
	// it. Nil is one without values. The request's own would do, but it keeps what
	// net/http has made for the request as long as the socket is open.
	Context func(r *http.Request) context.Context
}

// UpgradeHandler returns the HTTP handler that clients open their WebSocket on:
// oRPC's upgradeDurableIteratorRequest. Mount it for all methods. The query has
// the client's id and a token, whose channel names the object; of several, the
// last counts.
//
// A request is refused with 426 if it is no upgrade, with 405 if its method is not
// GET, with 403 for its origin, with 401 without an id, a token or a valid token,
// with 400 if the id is longer than 256 bytes or the handshake is malformed, by
// Authorize, with 503 while the token cannot be verified, the namespace shuts down or a
// log that nodes share is out of reach, with 500 if the object cannot be made, and with 501 if middleware hides the
// [http.Hijacker] of the ResponseWriter and has no Unwrap method as
// [http.ResponseController] knows it, which is logged at level Error. No object is
// made for a request whose origin or token is refused. The URL has the token in it:
// keep it out of access logs.
//
// Pages see no status. A client that offers the subprotocol "durable-iterator" is
// therefore refused, but for its origin, by a WebSocket that is opened and closed with
// 4000 plus the status, within a second and for at most 256 clients at once. It may
// offer its token as a second subprotocol, "token." and the token in base64url without
// padding, in place of the one in the URL. The TypeScript client in client/js does
// both; oRPC's own offers no subprotocol.
//
// The handler returns when the socket is open, and the namespace takes care of it.
// UpgradeHandler panics on an origin pattern that is malformed.
func UpgradeHandler[H any](ns *Namespace[H], o *UpgradeOptions) http.Handler {
	u := &upgrader{core: ns.core}
	if o != nil {
		u.options = *o
		u.options.OriginPatterns = slices.Clone(o.OriginPatterns)
	}
	for _, pattern := range u.options.OriginPatterns {
		if err := socket.CheckOriginPattern(pattern); err != nil {
			panic(fmt.Sprintf("durableobject: UpgradeHandler: OriginPatterns: %v", err))
		}
	}
	u.accept = socket.Options{
		ReadLimit:      u.core.options.MaxMessageBytes,
		MessageTimeout: u.core.options.MessageTimeout,
		StallTimeout:   u.core.options.StallTimeout,
		OriginPatterns: u.options.OriginPatterns,
		AnyOrigin:      u.options.AnyOrigin,
		Subprotocols:   []string{subprotocol},
	}
	return u
}

type upgrader struct {
	core    *core
	options UpgradeOptions
	accept  socket.Options
}

func (u *upgrader) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := socket.CheckHandshake(w.Header(), r, u.accept); err != nil {
		refuse(w, text(err.Status, err.Message))
		return
	}
	ours, offered := offeredProtocols(r, u.core.options.MaxTokenBytes)
	id, payload, refusal := u.admit(r, offered)
	if refusal == nil {
		refusal = u.open(w, r, id, payload)
	}
	if refusal == nil {
		return
	}
	refusal = rpc.ToError(refusal) // with what its code says
	if !ours || !u.refuseOpenly(w, r, refusal) {
		refuse(w, refusal)
	}
}

// admit returns the id and the payload of a request that may connect. The token that is
// offered among the subprotocols, if there is one, counts before that of the query.
func (u *upgrader) admit(r *http.Request, offered string) (id string, p *token.Payload, refusal *rpc.Error) {
	query := r.URL.Query()
	id, tok := last(query["id"]), cmp.Or(offered, last(query["token"]))
	switch {
	case id == "":
		return "", nil, text(http.StatusUnauthorized, "ID is required")
	case len(id) > maxIDBytes:
		return "", nil, text(http.StatusBadRequest, "ID is too long")
	case tok == "":
		return "", nil, text(http.StatusUnauthorized, "Token is required")
	}
	t := ticket{token: tok}
	if u.options.Authorize != nil {
		t.authorize = func(p *token.Payload) error { return u.options.Authorize(r, p) }
	}
	p, refusal = u.core.admit(r.Context(), t)
	return strings.Clone(id), p, refusal // or it would keep the URL
}

// open upgrades the connection and starts to serve it. What it holds is released
// however it ends, unless the socket is served.
func (u *upgrader) open(w http.ResponseWriter, r *http.Request, id string, p *token.Payload) *rpc.Error {
	c := u.core
	values, err := u.values(r)
	if err != nil {
		return c.failed(r.Context(), "UpgradeOptions.Context failed", p.Channel, err)
	}
	ch, err := c.acquireHub(r.Context(), p.Channel)
	if err != nil {
		return c.cannotOpen(r.Context(), p.Channel, err)
	}
	served := false
	defer func() {
		if !served {
			ch.release()
		}
	}()
	if err := ch.follow(r.Context()); err != nil {
		return c.cannotOpen(r.Context(), p.Channel, err)
	}
	recipient, err := c.recipient(id, p)
	if err != nil {
		return c.failed(r.Context(), "Options.Subject failed", p.Channel, err)
	}
	ws := &Websocket{ch: ch, id: id, recipient: recipient, authorize: u.options.authorizer(r)}
	ws.ctx = values
	ws.payload.Store(p)
	ws.peer = c.peers.New(ws.ctx, ws.newCallState, ws.send)
	ws.outbox.Open(&ws.conn, c.maxLagBytes)
	if !c.enter() {
		return text(http.StatusServiceUnavailable, "Shutting down")
	}
	defer func() {
		if !served {
			c.users.Done()
		}
	}()
	if err := ws.conn.Accept(w, r, c.pool, (*endpoint)(ws), u.accept); err != nil { // the answer was given
		c.logger.Log(r.Context(), socket.RefusalLevel(err), "upgrade refused", "channel", p.Channel, "err", err)
		return nil
	}
	served = true
	c.serve(ws)
	return nil
}

// cannotOpen returns what a client is told if its channel cannot be opened.
func (c *core) cannotOpen(ctx context.Context, channel string, err error) *rpc.Error {
	switch {
	case errors.Is(err, ErrClosed):
		return text(http.StatusServiceUnavailable, "Shutting down")
	case errors.Is(err, eventlog.ErrUnavailable):
		c.logger.WarnContext(ctx, "event log unavailable", "channel", channel, "err", err)
		return text(http.StatusServiceUnavailable, "Try again later")
	default:
		return c.failed(ctx, "opening a channel failed", channel, err)
	}
}

// values returns the context that those of a socket's hooks and calls derive from.
func (u *upgrader) values(r *http.Request) (_ context.Context, err error) {
	if u.options.Context == nil {
		return context.Background(), nil
	}
	defer recoverTo(&err)
	return context.WithoutCancel(u.options.Context(r)), nil // which panics on nil
}

// enter counts a user that shutdown has to wait for: a socket, before the client
// learns that it is open, or a newHub. It reports false if shutdown has begun.
func (c *core) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closing {
		c.users.Add(1)
	}
	return !c.closing
}

// serve makes the socket one of the namespace and reads it until it ends.
func (c *core) serve(ws *Websocket) {
	c.mu.Lock()
	c.sockets[ws] = struct{}{}
	closing := c.closing
	c.mu.Unlock()
	ws.ch.events.Join(&ws.reader, (*endpoint)(ws), ws.Token().Tags, ws.recipient)
	if closing { // drain did not see it
		ws.conn.Close(statusServiceRestart, "Service restart")
	}
	ws.conn.Serve((*endpoint)(ws))
}

// leave takes a socket that has ended out of everything.
func (ws *Websocket) leave() {
	c := ws.core()
	ws.left.Store(true)
	ws.outbox.Discard() // the events that come before these answers will not
	ws.peer.Close()
	ws.ch.events.Leave(&ws.reader)
	err := c.hook("OnDisconnected", ws.ch.name, func() error {
		hooksOf(ws.ch.hub).OnDisconnected(ws.ctx, ws)
		return nil
	})
	if err != nil {
		c.logger.Error("a hook panicked", "hook", "OnDisconnected", "channel", ws.ch.name, "err", err)
	}
	ws.peer.Wait()
	c.mu.Lock()
	delete(c.sockets, ws)
	c.mu.Unlock()
	ws.ch.release()
}

func text(status int, message string) *rpc.Error { return &rpc.Error{Status: status, Message: message} }

func refuse(w http.ResponseWriter, e *rpc.Error) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(e.Status)
	_, _ = w.Write([]byte(e.Message))
}

func last(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[len(values)-1]
}
