package durableobject

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/go-orpc/durable-iterator/internal/socket"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

// maxIDBytes is the length of the longest id that a client may choose.
const maxIDBytes = 256

// UpgradeOptions configures an UpgradeHandler. The zero value is fine.
type UpgradeOptions struct {
	// OriginPatterns are hosts, as in path.Match ("*.example.com"), besides the
	// server's own from whose pages browsers may connect. Requests from other
	// origins are refused with 403; those without an Origin header are not.
	OriginPatterns []string

	// AnyOrigin lets pages of all origins connect.
	AnyOrigin bool

	// Authorize is asked about each request whose token is good. An error refuses
	// it: an *rpc.Error with its status and message, any other with 403
	// "Forbidden". Nil allows all.
	Authorize func(r *http.Request, p *token.Payload) error

	// Context makes the context whose values the socket's hooks and calls see, of a
	// request that may connect, for instance with what a middleware found out about
	// it. Nil is one without values. The request's own would do, but it keeps what
	// net/http has made for the request as long as the socket is open.
	Context func(r *http.Request) context.Context
}

// UpgradeHandler gives the HTTP handler that clients open their WebSocket on:
// oRPC's upgradeDurableIteratorRequest. Mount it for all methods. The query has
// the client's id and a token, whose channel names the object; of several, the
// last counts.
//
// A request is refused with 426 if it is no upgrade, with 401 without an id, a
// token or a valid token, with 400 if the id is longer than 256 bytes, with 403
// for its origin or by Authorize, with 503 while the namespace shuts down, and
// with 500 if the object cannot be made. The URL has the token in it: keep it out
// of access logs.
//
// The handler returns when the socket is open, and the namespace takes care of it.
func UpgradeHandler[H any](ns *Namespace[H], o *UpgradeOptions) http.Handler {
	u := &upgrader{core: ns.core}
	if o != nil {
		u.options = *o
	}
	return u
}

type upgrader struct {
	core    *core
	options UpgradeOptions
}

func (u *upgrader) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id, payload, refusal := u.check(r)
	if refusal != nil {
		refuse(w, refusal)
		return
	}
	if err := u.open(w, r, id, payload); err != nil {
		refuse(w, err)
	}
}

// check gives the id and the payload of a request that may connect.
func (u *upgrader) check(r *http.Request) (id string, p *token.Payload, refusal *rpc.Error) {
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		return "", nil, text(http.StatusUpgradeRequired, "Expected WebSocket upgrade")
	}
	query := r.URL.Query()
	id, tok := last(query["id"]), last(query["token"])
	switch {
	case id == "":
		return "", nil, text(http.StatusUnauthorized, "ID is required")
	case len(id) > maxIDBytes:
		return "", nil, text(http.StatusBadRequest, "ID is too long")
	case tok == "":
		return "", nil, text(http.StatusUnauthorized, "Token is required")
	}
	p, err := u.core.verifier.Verify(r.Context(), tok)
	if err != nil {
		return "", nil, text(http.StatusUnauthorized, "Invalid Token")
	}
	if u.options.Authorize != nil {
		if err := u.options.Authorize(r, p); err != nil {
			if e, ok := errors.AsType[*rpc.Error](err); ok {
				return "", nil, rpc.ToError(e)
			}
			return "", nil, text(http.StatusForbidden, "Forbidden")
		}
	}
	return strings.Clone(id), p, nil // or it would keep the URL
}

// open upgrades the connection and starts to serve it.
func (u *upgrader) open(w http.ResponseWriter, r *http.Request, id string, p *token.Payload) *rpc.Error {
	c := u.core
	values := u.values(r) // before anything is held that user code could panic under
	ch, err := c.acquire(r.Context(), p.Channel)
	if err == nil {
		if _, err = ch.withHub(r.Context()); err != nil {
			ch.release()
		}
	}
	switch {
	case errors.Is(err, ErrClosed):
		return text(http.StatusServiceUnavailable, "Shutting down")
	case err != nil:
		c.logger.ErrorContext(r.Context(), "opening a channel failed", "channel", p.Channel, "err", err)
		return text(http.StatusInternalServerError, "Internal Server Error")
	}
	ws := &Websocket{ch: ch, id: id, recipient: c.recipient(id, p)}
	ws.ctx = context.WithValue(values, socketKey{}, ws)
	ws.payload.Store(p)
	ws.peer = c.peers.New(ws.ctx, ws.send)
	ws.outbox.Open(&ws.conn, c.maxLagBytes)
	if !c.enter() {
		ch.release()
		return text(http.StatusServiceUnavailable, "Shutting down")
	}
	err = ws.conn.Accept(w, r, c.pool, (*endpoint)(ws), socket.Options{
		ReadLimit:      c.options.MaxMessageBytes,
		MessageTimeout: c.options.MessageTimeout,
		StallTimeout:   c.options.StallTimeout,
		OriginPatterns: u.options.OriginPatterns,
		AnyOrigin:      u.options.AnyOrigin,
	})
	if err != nil { // the answer was given
		c.logger.DebugContext(r.Context(), "upgrade refused", "channel", p.Channel, "err", err)
		ch.release()
		c.users.Done()
		return nil
	}
	c.serve(ws)
	return nil
}

// values gives the context that those of a socket's hooks and calls derive from.
func (u *upgrader) values(r *http.Request) context.Context {
	if u.options.Context == nil {
		return context.Background()
	}
	return context.WithoutCancel(u.options.Context(r))
}

// enter counts a socket as a user before the client learns that it is open, so
// that shutdown waits for it. It reports false if that has begun.
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
	c.mu.Lock()
	delete(c.sockets, ws)
	c.mu.Unlock()
	c.guard("OnDisconnected", ws.ch.name, func() {
		c.hooksOf(ws.ch.hub).OnDisconnected(ws.ctx, ws)
	})
	ws.peer.Wait()
	ws.ch.release()
}

func (c *core) recipient(id string, p *token.Payload) Recipient {
	if c.subject == nil {
		return Recipient{ID: id}
	}
	return Recipient{Subject: c.subject(p), ID: id}
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
