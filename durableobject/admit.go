package durableobject

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

// ticket is a token that asks for admission, with what it has to satisfy besides the
// rules of the namespace. It is the same for the token that opens a socket and for
// one that replaces it.
type ticket struct {
	token     string
	fits      func(*token.Payload) *rpc.Error // nil: any payload does
	authorize func(*token.Payload) error      // nil: everybody may
}

// admit decides whether a token is accepted: its size, before anything is done with
// it, then signature and claims, once, then the channel, what the socket demands,
// and last the application. A failure that is not the token's fault is logged.
func (c *core) admit(ctx context.Context, t ticket) (*token.Payload, *rpc.Error) {
	if len(t.token) > c.options.MaxTokenBytes {
		return nil, rpc.Errorf(rpc.CodeUnauthorized, "Invalid Token")
	}
	p, refusal := c.verify(ctx, t.token)
	if refusal != nil {
		return nil, refusal
	}
	if refusal := c.checkChannel(ctx, p); refusal != nil {
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

// verify tells a token that is refused from a verifier that fails: clients whose
// token is refused fetch another one or end, those of a broken verifier come back.
func (c *core) verify(ctx context.Context, tok string) (*token.Payload, *rpc.Error) {
	var p *token.Payload
	err := try(func() (err error) {
		p, err = c.verifier.Verify(ctx, tok)
		return err
	})
	if err == nil && p == nil {
		err = errors.New("the verifier returned no payload")
	}
	switch {
	case isRefusal(err), err == nil && p.Expired(time.Now()):
		return nil, rpc.Errorf(rpc.CodeUnauthorized, "Invalid Token")
	case err != nil && errors.Is(ctx.Err(), context.Canceled): // the client has gone
		c.logger.DebugContext(ctx, "token not verified", "err", err)
		return nil, rpc.Errorf(rpc.CodeServiceUnavailable, "Token cannot be verified")
	case err != nil:
		c.logger.ErrorContext(ctx, "verifying a token failed", "err", err)
		return nil, rpc.Errorf(rpc.CodeServiceUnavailable, "Token cannot be verified")
	}
	return p, nil
}

// isRefusal reports whether the error of a verifier is about the token.
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
		return c.failed(ctx, "Options.Channels failed", p.Channel, err)
	case !allowed:
		return rpc.Errorf(rpc.CodeUnauthorized, "Invalid Token")
	}
	return nil
}

// authorize asks the application, whose refusal may be an *rpc.Error.
func (c *core) authorize(ctx context.Context, p *token.Payload, ask func(*token.Payload) error) *rpc.Error {
	err := try(func() error { return ask(p) })
	if err == nil {
		return nil
	}
	if _, panicked := errors.AsType[*rpc.PanicError](err); panicked {
		return c.failed(ctx, "UpgradeOptions.Authorize failed", p.Channel, err)
	}
	e, ok := errors.AsType[*rpc.Error](err)
	if !ok {
		return rpc.Errorf(rpc.CodeForbidden, "Forbidden")
	}
	if e == nil {
		return c.failed(ctx, "UpgradeOptions.Authorize failed", p.Channel, errors.New("a nil *rpc.Error was returned"))
	}
	if status := cmp.Or(e.Status, e.Code.Status()); status < 400 || status > 599 {
		return c.failed(ctx, "UpgradeOptions.Authorize failed", p.Channel, fmt.Errorf("status %d does not refuse: %w", status, err))
	}
	return rpc.ToError(e)
}

// recipient returns who a socket with this id and payload is.
func (c *core) recipient(id string, p *token.Payload) (r Recipient, err error) {
	r.ID = id
	if c.subject == nil {
		return r, nil
	}
	err = try(func() error {
		r.Subject = c.subject(p)
		return nil
	})
	return r, err
}

// failed logs a failure of the application or the server and returns what the client
// is told of it.
func (c *core) failed(ctx context.Context, message, channel string, err error) *rpc.Error {
	c.logger.ErrorContext(ctx, message, "channel", channel, "err", err) //nolint:sloglint // each caller's is constant
	return rpc.Errorf(rpc.CodeInternalServerError, "Internal Server Error")
}

// admitUpdate decides on a token that is to replace that of an open socket.
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

// fits refuses a payload that would make the socket another one.
func (ws *Websocket) fits(ctx context.Context, p *token.Payload) *rpc.Error {
	old := ws.Token()
	switch {
	case p.Channel != old.Channel:
		return rpc.Errorf(rpc.CodeUnauthorized, "Updated token must have the same channel with the original token")
	case !slices.Equal(p.Tags, old.Tags) || (p.Tags == nil) != (old.Tags == nil):
		return rpc.Errorf(rpc.CodeUnauthorized, "Updated token must have the exact same tags with the original token")
	}
	r, err := ws.core().recipient(ws.id, p)
	switch {
	case err != nil:
		return ws.core().failed(ctx, "Options.Subject failed", p.Channel, err)
	case r != ws.recipient:
		return rpc.Errorf(rpc.CodeUnauthorized, "Updated token must have the same subject with the original token")
	}
	return nil
}

// authorizer returns what asks UpgradeOptions.Authorize about the tokens of a socket
// that r opens, after its first. It keeps a copy of r without body and token.
func (o *UpgradeOptions) authorizer(r *http.Request) func(context.Context, *token.Payload) error {
	if o.Authorize == nil {
		return nil
	}
	kept := r.Clone(context.WithoutCancel(r.Context()))
	kept.Body, kept.RequestURI = http.NoBody, ""
	query := kept.URL.Query()
	query.Del("token")
	kept.URL.RawQuery = query.Encode()
	kept.Header.Del("Sec-Websocket-Protocol")
	return func(ctx context.Context, p *token.Payload) error {
		return o.Authorize(kept.WithContext(updateContext{ctx, kept.Context()}), p)
	}
}

// updateContext is the context of a call, with the values of the request that opened
// the socket, as a middleware may have put the session there.
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
