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

// maxKeptRequest bounds the request that is kept for Authorize, besides its token, in bytes.
const maxKeptRequest = 32 << 10

// maxLoggedHost is how much of an origin or a host is logged, in bytes.
const maxLoggedHost = 256

// UpgradeOptions configures an UpgradeHandler. The zero value is fine. They are
// copied.
type UpgradeOptions struct {
	// OriginPatterns are hosts, as in path.Match ("*.example.com"), besides the
	// server's own from whose pages browsers may connect. A pattern with "://" is
	// compared with scheme and host. Requests from other origins are refused with
	// 403, before their token is read and before Authorize or an object is asked, and
	// logged at level Warn; those without an Origin header are not.
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
	// is open. Therefore a request is refused with 431 if its address and its header
	// together are larger than 32 KiB and three times Options.MaxTokenBytes.
	Authorize func(r *http.Request, p *token.Payload) error

	// Context returns the context whose values the socket's hooks and calls see, for a
	// request that may connect, for instance with the user that a middleware found.
	// Nil is a context without values. The request's own would do, but it keeps what
	// net/http has made for the request as long as the socket is open.
	Context func(r *http.Request) context.Context
}

// UpgradeHandler returns the HTTP handler that clients open their WebSocket on:
// oRPC's upgradeDurableIteratorRequest. Mount it for all methods. The query has
// the client's id and a token, whose channel names the object; of several, the
// last counts.
//
// A request is refused with 426 if it is no upgrade, with 405 if its method is not GET, with
// 403 for its origin, with 401 without an id, a token or a valid token that was not revoked,
// with 400 if the id is longer than 256 bytes or the handshake is malformed, with 431 if it
// is too large to be kept for Authorize, by Authorize, with 503 while the token cannot be
// verified, the namespace shuts down or a log or a bus that nodes share is out of reach,
// with 500 if the object cannot be made, and with 501 if middleware hides the
// [http.Hijacker] of the ResponseWriter and has no Unwrap method as
// [http.ResponseController] knows it, which is logged at level Error. No object is made for
// a request whose origin or token is refused. The URL contains the token: keep it out of
// access logs.
//
// Pages see no status. A client that offers the subprotocol "durable-iterator" is
// therefore refused, except for its origin, by a WebSocket that is opened and closed with
// 4000 plus the status, within a second and for at most 256 clients at once. It may
// offer its token as a second subprotocol, "token." and the token in base64url without
// padding, in place of the one in the URL. The TypeScript client in client/js does
// both, and package client with TokenInSubprotocol; oRPC's own offers no subprotocol.
//
// The handler returns when the socket is open, and the namespace serves it from then on.
// UpgradeHandler panics on an origin pattern that is malformed.
func UpgradeHandler[H any](ns *Namespace[H], o *UpgradeOptions) http.Handler {
	u := &upgrader{class: ns.class}
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
		ReadLimit:      u.class.options.MaxMessageBytes,
		MessageTimeout: u.class.options.MessageTimeout,
		StallTimeout:   u.class.options.StallTimeout,
		OriginPatterns: u.options.OriginPatterns,
		AnyOrigin:      u.options.AnyOrigin,
		Subprotocols:   []string{subprotocol},
	}
	return u
}

// upgrader implements UpgradeHandler.
type upgrader struct {
	class   *class
	options UpgradeOptions
	accept  socket.Options
}

func (u *upgrader) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := socket.CheckHandshake(w.Header(), r, u.accept); err != nil {
		if err.Status == http.StatusForbidden {
			u.logOrigin(r)
		}
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

// logOrigin logs the origin of a page that may not connect, and the host that the page
// asked for. The page itself sees nothing but a WebSocket that does not open, so the log
// names the option.
func (u *upgrader) logOrigin(r *http.Request) {
	short := func(text string) string { // it waits to be logged
		return strings.Clone(text[:min(len(text), maxLoggedHost)])
	}
	u.class.logger.WarnContext(r.Context(), "origin refused: it is not in UpgradeOptions.OriginPatterns",
		"origin", short(r.Header.Get("Origin")), "host", short(r.Host))
}

// admit returns the id and the payload of a request that may connect. A token that is
// offered among the subprotocols is used instead of that of the query.
func (u *upgrader) admit(r *http.Request, offered string) (id string, p *token.Payload, refusal *rpc.Error) {
	query := r.URL.Query()
	id, tok := lastOf(query["id"]), cmp.Or(offered, lastOf(query["token"]))
	switch {
	case id == "":
		return "", nil, statusError(http.StatusUnauthorized, "ID is required")
	case len(id) > maxIDBytes:
		return "", nil, statusError(http.StatusBadRequest, "ID is too long")
	case tok == "":
		return "", nil, statusError(http.StatusUnauthorized, "Token is required")
	}
	t := ticket{token: tok}
	if u.options.Authorize != nil {
		limit := u.class.options.MaxTokenBytes
		if len(tok) <= limit && sizeToKeep(r) > maxKeptRequest+3*limit { // a token may be escaped
			return "", nil, statusError(http.StatusRequestHeaderFieldsTooLarge, "Request Header Fields Too Large")
		}
		t.authorize = func(p *token.Payload) error { return u.options.Authorize(r, p) }
	}
	p, refusal = u.class.admit(r.Context(), t)
	return strings.Clone(id), p, refusal // or it would keep the URL
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
		return c.failed(r.Context(), "UpgradeOptions.Context failed", p.Channel, err)
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
	if subjectErr != nil { // known before, for Disconnect, and reported in its place
		return c.failed(r.Context(), "Options.Subject failed", p.Channel, subjectErr)
	}
	ws.ch, ws.ctx, ws.authorize = ch, values, u.options.authorizer(r)
	ws.opened = uint32(time.Since(c.start) / time.Second)
	ws.peer = c.peers.New(ws.ctx, ws.newCallState, ws.send)
	ws.outbox.Open(&ws.conn, c.options.MaxLagBytes)
	if !c.enter() {
		return statusError(http.StatusServiceUnavailable, "Shutting down")
	}
	defer func() {
		if !served {
			c.users.Done()
		}
	}()
	if err := ws.conn.Accept(w, r, c.pool, (*endpoint)(ws), u.accept); err != nil { // Accept has answered
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
		return statusError(http.StatusServiceUnavailable, "Shutting down")
	case errors.Is(err, eventlog.ErrUnavailable):
		c.logger.WarnContext(ctx, "event log unavailable", "channel", channel, "err", err)
		return statusError(http.StatusServiceUnavailable, "Try again later")
	default:
		return c.failed(ctx, "opening a channel failed", channel, err)
	}
}

// values returns the context that the contexts of a socket's hooks and calls derive from.
func (u *upgrader) values(r *http.Request) (_ context.Context, err error) {
	if u.options.Context == nil {
		return context.Background(), nil
	}
	defer bridge.RecoverTo(&err)
	return context.WithoutCancel(u.options.Context(r)), nil // which panics on nil
}

// serve adds the socket to its channel and its namespace, and starts to read it.
func (ws *Websocket) serve() {
	away := ws.set.add(ws)
	ws.ch.events.Join(&ws.reader, (*endpoint)(ws), ws.Token().Tags, ws.recipient)
	if away != nil {
		ws.conn.Close(away.code, away.reason)
	}
	if p := ws.core().members; p != nil {
		p.arrive(ws)
	}
	ws.closeRevoked() // its token may have been since it was admitted
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
func (o *UpgradeOptions) authorizer(r *http.Request) func(context.Context, *token.Payload) error {
	if o.Authorize == nil {
		return nil
	}
	kept := copyToKeep(r)
	return func(ctx context.Context, p *token.Payload) error {
		return o.Authorize(kept.WithContext(updateContext{ctx, kept.Context()}), p)
	}
}

// sizeToKeep returns how many bytes of a request its copy refers to: all of its first line,
// since the values of its path are parts of that, and its header.
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

// copyToKeep returns a copy of a request without body and token. What has the token is
// left out before the copy is made: the values of a copied header share memory.
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

// withoutToken returns a query without the pairs that have a token, and without those that
// url.ParseQuery ignores. What is left stays as it is: escaped anew it could be larger.
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

// updateContext is the context of a call, with the values of the request that opened
// the socket, where a middleware may have put the session.
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
