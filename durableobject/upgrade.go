package durableobject

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/internal/bridge"
	"github.com/go-orpc/durable-iterator/internal/socket"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

// maxIDBytes is the length of the longest id that a client may choose.
const maxIDBytes = 256

// maxKeptRequest is the maximum size of a request that is kept for Authorize, without its token.
const maxKeptRequest = 32 << 10

// HandlerOptions configures an [NewHandler]. The zero value is usable. They are copied.
type HandlerOptions struct {
	// OriginPatterns lists the hosts, besides the server's own, whose pages may connect, as
	// patterns of path.Match ("*.example.com"). A pattern with "://" is compared with scheme
	// and host: it has no path, and no port that is the default of its scheme, because
	// browsers do not send these. Requests of pages of other origins are refused with 403 and
	// logged as described at Options.Logger, before their token is read and Authorize is
	// called. Requests without an Origin header are not refused.
	OriginPatterns []string

	// AnyOrigin allows pages of all origins to connect.
	AnyOrigin bool

	// Authorize is called for each request with a valid token, and for each valid token that
	// a client sends over an open socket to replace its own. If it returns an error, the
	// token is refused: with the status and message of an *rpc.Error, or with 403
	// "Forbidden" for any other error. A status outside 400 to 599 and a panic are logged and
	// result in 500. Nil allows all tokens.
	//
	// For a token that replaces another one, r is a copy of the request that opened the
	// socket, without its body and its token. Its context has the values of that request and
	// ends with the call. The copy is kept as long as the socket is open. Therefore a request
	// is refused with 431 if its address and header together are larger than 32 KiB plus
	// three times Options.MaxTokenBytes.
	Authorize func(r *http.Request, p *token.Payload) error

	// Context returns a context whose values are visible to the socket's hooks and calls, for
	// example the user that middleware has authenticated. It is called for each accepted
	// request; the cancellation of the context is ignored. Nil means a context without
	// values. It may return the request's own context, but that keeps the memory of the
	// request in use as long as the socket is open.
	Context func(r *http.Request) context.Context
}

// NewHandler returns an HTTP handler that accepts the WebSockets of clients. It is oRPC's
// upgradeDurableIteratorRequest. Mount it for all methods. The query of a request has the
// client's id and a token, whose channel is the name of the object; if there are several, the
// last one counts. If o is nil, the defaults are used.
//
// A request is refused with one of these statuses:
//
//	400  the id is longer than 256 bytes, or the handshake is malformed
//	401  the id or the token is missing, or the token is invalid or was revoked
//	403  pages of its origin may not connect
//	405  its method is not GET
//	426  it is not an upgrade
//	431  it is too large to be kept for Authorize
//	500  the object cannot be made
//	501  middleware hides the [http.Hijacker] of the ResponseWriter and has no Unwrap method
//	     as described at [http.ResponseController]; this is logged at level Error
//	503  the token cannot be verified at the moment, the namespace is shutting down, or a
//	     log or bus that nodes share cannot be reached
//
// Authorize may refuse it with other statuses. No object is created for a request whose origin
// or token is refused. The URL contains the token: keep it out of access logs.
//
// Browsers do not report the status to pages. If a client offers the subprotocol
// "durable-iterator", a refusal, except because of its origin, therefore opens the WebSocket and
// closes it with code 4000 plus the status, within a second and for at most 256 clients at once.
// Such a client may send its token in a second subprotocol, "token." followed by the token in
// base64url without padding, instead of in the URL. The TypeScript client in client/js does
// both, and so does package client with TokenInSubprotocol; oRPC's client offers no subprotocol.
//
// The handler returns when the socket is open; the namespace then serves it. NewHandler
// panics if an origin pattern is malformed or cannot match the
// origin of a page.
func NewHandler[H any](ns *Namespace[H], o *HandlerOptions) http.Handler {
	u := &upgrader{class: ns.class}
	if o != nil {
		u.options = *o
		u.options.OriginPatterns = slices.Clone(o.OriginPatterns)
	}
	for _, pattern := range u.options.OriginPatterns {
		if err := socket.CheckOriginPattern(pattern); err != nil {
			panic(fmt.Sprintf("durableobject: NewHandler: OriginPatterns: %v", err))
		}
	}
	u.accept = socket.Options{
		ReadLimit:      u.class.options.MaxMessageBytes,
		MessageTimeout: u.class.options.MessageTimeout,
		StallTimeout:   u.class.options.StallTimeout,
		OriginPatterns: u.options.OriginPatterns,
		AnyOrigin:      u.options.AnyOrigin,
		Subprotocols:   []string{subprotocol},
	}
	return u
}

// upgrader implements NewHandler.
type upgrader struct {
	class   *class
	options HandlerOptions
	accept  socket.Options
}

func (u *upgrader) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := socket.CheckHandshake(w.Header(), r, u.accept); err != nil {
		u.refuseHandshake(r, err)
		writeRefusal(w, statusError(err.Status, err.Message))
		return
	}
	ours, offered := offeredProtocols(r, u.class.options.MaxTokenBytes)
	id, payload, refusal := u.admit(r, offered)
	if refusal == nil {
		refusal = u.open(w, r, id, payload)
	}
	if refusal == nil {
		return
	}
	refusal = rpc.ToError(refusal) // with the status and message of its code
	if !ours || !u.class.refuseOpenly(w, r, u.accept, refusal) {
		writeRefusal(w, refusal)
	}
}

// refuseHandshake counts and logs a request that cannot open a WebSocket. A page of a foreign
// origin learns only that the WebSocket was not opened, so the log record names the option.
func (u *upgrader) refuseHandshake(r *http.Request, err *socket.HandshakeError) {
	if err.Status != http.StatusForbidden {
		u.class.refuse(r.Context(), RefusedHandshake, err)
		return
	}
	u.class.refuse(r.Context(), RefusedOrigin, errors.New("the origin is not in HandlerOptions.OriginPatterns"),
		"origin", shorten(r.Header.Get("Origin")), "host", shorten(r.Host))
}

// refuseRequest refuses a request without having verified its token.
func (u *upgrader) refuseRequest(r *http.Request, status int, message string) *rpc.Error {
	u.class.refuse(r.Context(), RefusedRequest, errors.New(message))
	return statusError(status, message)
}

// admit returns the id and the payload of a request that may connect. A token in the
// subprotocols takes precedence over one in the query.
func (u *upgrader) admit(r *http.Request, offered string) (id string, p *token.Payload, refusal *rpc.Error) {
	query := r.URL.Query()
	id, tok := lastOf(query["id"]), cmp.Or(offered, lastOf(query["token"]))
	switch {
	case id == "":
		return "", nil, u.refuseRequest(r, http.StatusUnauthorized, "ID is required")
	case len(id) > maxIDBytes:
		return "", nil, u.refuseRequest(r, http.StatusBadRequest, "ID is too long")
	case tok == "":
		return "", nil, u.refuseRequest(r, http.StatusUnauthorized, "Token is required")
	}
	t := ticket{token: tok}
	if u.options.Authorize != nil {
		limit := u.class.options.MaxTokenBytes
		if len(tok) <= limit && sizeToKeep(r) > maxKeptRequest+3*limit { // a token may be escaped
			return "", nil, u.refuseRequest(r, http.StatusRequestHeaderFieldsTooLarge, "Request Header Fields Too Large")
		}
		t.authorize = func(p *token.Payload) error { return u.options.Authorize(r, p) }
	}
	p, refusal = u.class.admit(r.Context(), t)
	return strings.Clone(id), p, refusal // without a copy the id would keep the URL in memory
}

// open upgrades the connection and starts to serve it. Unless the socket is served, it
// releases all that it has acquired.
func (u *upgrader) open(w http.ResponseWriter, r *http.Request, id string, p *token.Payload) *rpc.Error {
	c := u.class
	recipient, subjectErr := c.recipient(id, p)
	ws := &Websocket{set: &c.sockets, id: id, recipient: recipient}
	ws.payload.Store(p)
	c.sockets.expect(ws)
	served := false
	defer func() {
		if !served {
			c.sockets.forget(ws)
		}
	}()
	values, err := u.values(r)
	if err != nil {
		return c.refuseFailed(r.Context(), "HandlerOptions.Context failed", p.Channel, err)
	}
	ch, err := c.channels.acquireHub(r.Context(), p.Channel)
	if err != nil {
		return c.cannotOpen(r.Context(), p.Channel, err)
	}
	defer func() {
		if !served {
			ch.release()
		}
	}()
	if err := c.channels.follow(r.Context(), ch); err != nil {
		return c.cannotOpen(r.Context(), p.Channel, err)
	}
	if subjectErr != nil { // computed above for Disconnect, but reported here
		return c.refuseFailed(r.Context(), "Options.Subject failed", p.Channel, subjectErr)
	}
	ws.ch, ws.ctx, ws.authorize = ch, values, u.options.authorizer(r)
	ws.opened = uint32(c.second() / time.Second)
	ws.peer = c.peers.New(ws.ctx, ws.newCallState, ws.send)
	ws.outbox.Open(&ws.conn, c.options.MaxLagBytes)
	if !c.enter() {
		c.refusals.add(RefusedUnavailable)
		return statusError(http.StatusServiceUnavailable, "Shutting down")
	}
	defer func() {
		if !served {
			c.users.Done()
		}
	}()
	if err := ws.conn.Accept(w, r, c.pool, (*endpoint)(ws), u.accept); err != nil { // Accept has answered
		c.refusals.add(RefusedHandshake)
		c.logger.Log(r.Context(), socket.RefusalLevel(err), "upgrade refused", "channel", p.Channel, "err", err)
		return nil
	}
	served = true
	ws.serve()
	return nil
}

// cannotOpen returns the refusal of a client whose channel cannot be opened.
func (c *class) cannotOpen(ctx context.Context, channel string, err error) *rpc.Error {
	switch {
	case errors.Is(err, ErrClosed):
		c.refusals.add(RefusedUnavailable)
		return statusError(http.StatusServiceUnavailable, "Shutting down")
	case errors.Is(err, eventlog.ErrUnavailable):
		c.refusals.add(RefusedUnavailable)
		c.logger.WarnContext(ctx, "event log unavailable", "channel", channel, "err", err)
		return statusError(http.StatusServiceUnavailable, "Try again later")
	case errors.Is(err, eventlog.ErrClosed):
		return c.refuseFailed(ctx, "the log was closed before the namespace: close it after Namespace.Shutdown", channel, err)
	default:
		return c.refuseFailed(ctx, "opening a channel failed", channel, err)
	}
}

// values returns the parent of the contexts of a socket's hooks and calls.
func (u *upgrader) values(r *http.Request) (_ context.Context, err error) {
	if u.options.Context == nil {
		return context.Background(), nil
	}
	defer bridge.RecoverTo(&err)
	return context.WithoutCancel(u.options.Context(r)), nil // WithoutCancel panics on nil
}

// serve adds the socket to its channel and its namespace, and starts to read it.
func (ws *Websocket) serve() {
	away := ws.set.add(ws)
	ws.ch.events.Join(&ws.reader, (*endpoint)(ws), ws.Token().Tags, ws.recipient)
	if away != nil {
		ws.conn.Close(away.code, away.reason)
	}
	if p := ws.core().members; p != nil {
		p.arrive(ws.memberKey(), ws.Token())
	}
	ws.closeRevoked() // its token may have been revoked since it was admitted
	ws.conn.Serve((*endpoint)(ws))
}

func statusError(status int, message string) *rpc.Error {
	return &rpc.Error{Status: status, Message: message}
}

func writeRefusal(w http.ResponseWriter, e *rpc.Error) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(e.Status)
	_, _ = w.Write([]byte(e.Message))
}

func lastOf(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[len(values)-1]
}

// authorizer returns a function that calls Authorize for the later tokens of the socket
// that r opens, or nil without Authorize. It keeps a copy of r without body and token.
func (o *HandlerOptions) authorizer(r *http.Request) func(context.Context, *token.Payload) error {
	if o.Authorize == nil {
		return nil
	}
	kept := copyToKeep(r)
	return func(ctx context.Context, p *token.Payload) error {
		return o.Authorize(kept.WithContext(updateContext{ctx, kept.Context()}), p)
	}
}

// sizeToKeep returns the number of bytes that the copy of a request keeps in memory: its first
// line, because the values of its path are substrings of it, and its header.
func sizeToKeep(r *http.Request) int {
	size := max(len(r.RequestURI), len(r.URL.Path)+len(r.URL.RawQuery))
	for name, values := range r.Header {
		if name == headerSubprotocol {
			continue
		}
		for _, value := range values {
			size += len(name) + len(value)
		}
	}
	return size
}

// copyToKeep returns a copy of a request without body and token. Headers with the token are
// removed before the copy is made, because the values of a copied header share memory.
func copyToKeep(r *http.Request) *http.Request {
	bare := r.WithContext(context.WithoutCancel(r.Context()))
	bare.Body, bare.GetBody, bare.RequestURI = http.NoBody, nil, ""
	bare.Form, bare.PostForm, bare.MultipartForm = nil, nil, nil
	bare.Header = maps.Clone(r.Header)
	delete(bare.Header, headerSubprotocol)
	kept := bare.Clone(bare.Context())
	kept.URL.RawQuery = withoutToken(kept.URL.RawQuery)
	return kept
}

// withoutToken returns a query without the parameters that have a token and those that
// url.ParseQuery ignores. The others are not escaped again, which could make them longer.
func withoutToken(query string) string {
	var left []string
	for pair := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(name)
		if pair != "" && err == nil && name != "token" && !strings.Contains(pair, ";") {
			left = append(left, pair)
		}
	}
	return strings.Join(left, "&")
}

// updateContext is the context of a call that also has the values of the request that opened
// the socket, such as a session that middleware has added.
type updateContext struct {
	context.Context //nolint:containedctx // this is a context

	request context.Context
}

// Value returns the call's value, or that of the request.
func (c updateContext) Value(key any) any {
	if v := c.Context.Value(key); v != nil {
		return v
	}
	return c.request.Value(key)
}
