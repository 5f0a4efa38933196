package durableobject

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

// ticket is a token to be admitted, with conditions in addition to the rules of the namespace. It
// is used for the token that opens a socket and for tokens that replace it.
type ticket struct {
	token     string
	fits      func(*token.Payload) *rpc.Error // nil means that all payloads are accepted
	authorize func(*token.Payload) error      // nil allows all
}

// admit decides whether a token is accepted. It checks its size, then the signature and the claims,
// once, then the channel, revocations and the conditions of the socket, and calls the application
// last. Failures for which the token is not the reason are logged.
func (c *core) admit(ctx context.Context, t ticket) (*token.Payload, *rpc.Error) {
	if len(t.token) > c.options.MaxTokenBytes {
		c.refuse(ctx, RefusedSize, fmt.Errorf("the token has %d bytes, more than Options.MaxTokenBytes, which is %d",
			len(t.token), c.options.MaxTokenBytes))
		return nil, rpc.Errorf(rpc.CodeUnauthorized, "Invalid Token")
	}
	p, refusal := c.verify(ctx, t.token)
	if refusal != nil {
		return nil, refusal
	}
	if refusal := c.checkChannel(ctx, p); refusal != nil {
		return nil, refusal
	}
	if refusal := c.checkRevoked(ctx, p); refusal != nil {
		return nil, refusal
	}
	if t.fits != nil {
		if refusal := t.fits(p); refusal != nil {
			return nil, refusal
		}
	}
	if t.authorize != nil {
		if refusal := c.authorize(ctx, p, t.authorize); refusal != nil {
			return nil, refusal
		}
	}
	return p, nil
}

// verify verifies a token. It distinguishes an invalid token from a failure of the verifier: a
// client with an invalid token fetches another one or ends, otherwise it tries again.
func (c *core) verify(ctx context.Context, tok string) (*token.Payload, *rpc.Error) {
	var p *token.Payload
	err := try(func() (err error) {
		p, err = c.options.Verifier.Verify(ctx, tok)
		return err
	})
	if err == nil && p == nil {
		err = errors.New("the verifier returned no payload")
	}
	if err == nil && p.Expired(time.Now()) {
		err = token.ErrExpired
	}
	switch {
	case err == nil:
		return p, nil
	case isRefusal(err):
		return nil, c.refuseToken(ctx, tok, err)
	case errors.Is(ctx.Err(), context.Canceled): // the client has disconnected
		c.logger.DebugContext(ctx, "token not verified", "err", err)
	default:
		c.logger.ErrorContext(ctx, "verifying a token failed", details(err)...)
	}
	c.refusals.add(RefusedUnavailable)
	return nil, rpc.Errorf(rpc.CodeServiceUnavailable, "Token cannot be verified")
}

// isRefusal reports whether the error of a verifier means that the token is invalid.
func isRefusal(err error) bool {
	return slices.ContainsFunc([]error{token.ErrMalformed, token.ErrSignature, token.ErrExpired, token.ErrClaims},
		func(refusal error) bool { return errors.Is(err, refusal) })
}

func (c *core) checkChannel(ctx context.Context, p *token.Payload) *rpc.Error {
	if c.options.Channels == nil {
		return nil
	}
	allowed := false
	err := try(func() error {
		allowed = c.options.Channels(p.Channel)
		return nil
	})
	switch {
	case err != nil:
		return c.refuseFailed(ctx, "Options.Channels failed", p.Channel, err)
	case !allowed:
		c.refuse(ctx, RefusedChannel, errors.New("Options.Channels returned false"), "channel", shorten(p.Channel))
		return rpc.Errorf(rpc.CodeUnauthorized, "Invalid Token")
	}
	return nil
}

// checkRevoked refuses a token that was revoked, and every token while this node may not know
// all revocations.
func (c *core) checkRevoked(ctx context.Context, p *token.Payload) *rpc.Error {
	if err := c.nodes.ready(ctx); err != nil {
		message := "revocations are not known"
		if errors.Is(err, eventlog.ErrClosed) {
			message = "the bus, or the log that it belongs to, was closed before the namespace: close it after Namespace.Shutdown"
		}
		c.logger.WarnContext(ctx, message, "channel", p.Channel, "err", err) //nolint:sloglint // both are constant
		c.refusals.add(RefusedUnavailable)
		return rpc.Errorf(rpc.CodeServiceUnavailable, "Try again later")
	}
	subject := ""
	if c.revocations.bySubject() {
		r, err := c.recipient("", p)
		if err != nil {
			return c.refuseFailed(ctx, "Options.Subject failed", p.Channel, err)
		}
		subject = r.Subject
	}
	if c.revocations.match(subject, p, time.Now()) {
		c.refuse(ctx, RefusedRevoked, errors.New("the token was revoked"), "channel", shorten(p.Channel))
		return rpc.Errorf(rpc.CodeUnauthorized, "Token revoked")
	}
	return nil
}

// authorize calls the application's Authorize, which refuses the token by returning an error.
func (c *core) authorize(ctx context.Context, p *token.Payload, ask func(*token.Payload) error) *rpc.Error {
	err := try(func() error { return ask(p) })
	if err == nil {
		return nil
	}
	if _, panicked := errors.AsType[*rpc.PanicError](err); panicked {
		return c.refuseFailed(ctx, "Authorize failed", p.Channel, err)
	}
	e, ok := errors.AsType[*rpc.Error](err)
	if !ok {
		c.refuse(ctx, RefusedAuthorize, err, "channel", shorten(p.Channel))
		return rpc.Errorf(rpc.CodeForbidden, "Forbidden")
	}
	if e == nil {
		return c.refuseFailed(ctx, "Authorize failed", p.Channel, errors.New("a nil *rpc.Error was returned"))
	}
	if status := cmp.Or(e.Status, e.Code.Status()); status < 400 || status > 599 {
		return c.refuseFailed(ctx, "Authorize failed", p.Channel, fmt.Errorf("status %d does not refuse: %w", status, err))
	}
	c.refuse(ctx, RefusedAuthorize, err, "channel", shorten(p.Channel))
	return rpc.ToError(e)
}

// recipient returns the recipient of a socket with this id and payload.
func (c *core) recipient(id string, p *token.Payload) (r Recipient, err error) {
	r.ID = id
	if c.options.Subject == nil {
		return r, nil
	}
	err = try(func() error {
		r.Subject = c.options.Subject(p)
		return nil
	})
	return r, err
}

// admitUpdate decides whether a token may replace that of an open socket.
func (ws *Websocket) admitUpdate(ctx context.Context, tok string) (*token.Payload, error) {
	t := ticket{token: tok, fits: func(p *token.Payload) *rpc.Error { return ws.fits(ctx, p) }}
	if ws.authorize != nil {
		t.authorize = func(p *token.Payload) error { return ws.authorize(ctx, p) }
	}
	p, refusal := ws.core().admit(ctx, t)
	if refusal != nil {
		return nil, refusal
	}
	return p, nil
}

// fits returns an error for a payload with another channel, tags or subject than the socket's.
func (ws *Websocket) fits(ctx context.Context, p *token.Payload) *rpc.Error {
	old := ws.Token()
	switch {
	case p.Channel != old.Channel:
		return ws.refuseUpdate(ctx, p, "Updated token must have the same channel with the original token")
	case !slices.Equal(p.Tags, old.Tags) || (p.Tags == nil) != (old.Tags == nil):
		return ws.refuseUpdate(ctx, p, "Updated token must have the exact same tags with the original token")
	}
	r, err := ws.core().recipient(ws.id, p)
	switch {
	case err != nil:
		return ws.core().refuseFailed(ctx, "Options.Subject failed", p.Channel, err)
	case r != ws.recipient:
		return ws.refuseUpdate(ctx, p, "Updated token must have the same subject with the original token")
	}
	return nil
}

// refuseUpdate refuses a token that may not replace that of the socket.
func (ws *Websocket) refuseUpdate(ctx context.Context, p *token.Payload, message string) *rpc.Error {
	ws.core().refuse(ctx, RefusedUpdate, errors.New(message), "channel", shorten(p.Channel))
	return &rpc.Error{Code: rpc.CodeUnauthorized, Message: message}
}
