package durableobject

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-orpc/durable-iterator/internal/socket"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

// Disconnect closes the sockets that match, on all nodes, with a WebSocket close code and a
// reason, and returns their number, including sockets that were admitted but are not open yet.
// It does not prevent clients from reconnecting, which most do at once: see
// [Namespace.Revoke]. Without Options.Bus and a log that has a bus, only the sockets of this
// node are closed. Valid codes are those of [Websocket.Close]. Clients of this library treat
// 4000 plus an HTTP status as a refusal with that status, and do not reconnect after 4403 and
// 4410. A reason longer than 123 bytes is truncated.
//
// If the error wraps [ErrWho] or [ErrCloseCode], nothing was closed. It wraps [ErrSilent] if a
// node did not answer within 600 ms, or is that of the bus or of ctx if the other nodes could
// not be asked; n then counts only the sockets of nodes that have answered.
func (ns *Namespace[H]) Disconnect(ctx context.Context, w Who, code int, reason string) (n int, err error) {
	if n, err = ns.class.disconnect(ctx, w, code, reason); err != nil {
		return n, fmt.Errorf("durableobject: disconnect: %w", err)
	}
	return n, nil
}

// ErrCloseCode is returned by Disconnect for an invalid close code.
var ErrCloseCode = errors.New("durableobject: close code cannot be sent")

// Revoke refuses the tokens that match until a time, which does not have to be later than
// their expiry. Clients that connect with such a token, or send one over an open socket, are
// refused with 401, and open sockets are closed with code 1008, "Token expired". Clients then
// request a new token, and the application decides whether they get one. An earlier revocation
// with the same selector is extended, never shortened, on all nodes. A time that is more than
// 100 years in the future counts as 100 years.
//
// Revoke returns when the revocation is stored and in force on this node. Other nodes apply it
// within a second, or 2.5 s if a message is lost; nodes that start later apply it from the
// beginning. A node that has not reached the bus for 10 s refuses all clients with 503. The
// revocation is stored by Options.Bus, or by the bus of Options.Log; a filelog.Log has one.
// Without a bus it is lost when the process exits, and other nodes do not apply it.
//
// The error wraps [ErrWho] or [ErrTooManyRevocations], or is that of the bus; in the last case
// the revocation may be in force or not. It is an error if until has passed.
func (ns *Namespace[H]) Revoke(ctx context.Context, w Who, until time.Time) error {
	if err := ns.class.revoke(ctx, w, until); err != nil {
		return fmt.Errorf("durableobject: revoke: %w", err)
	}
	return nil
}

// disconnection is a request to the nodes to close sockets.
type disconnection struct {
	Who    Who    `json:"who"`
	Code   int    `json:"code"`
	Reason string `json:"reason"`
}

// connectNodes registers the handlers of messages and questions of other nodes.
func (c *class) connectNodes() {
	c.nodes.onRevoked = c.obey
	c.nodes.handlers[kindRevoked] = func(_ string, data json.RawMessage) {
		r := &revocation{}
		if json.Unmarshal(data, r) == nil {
			c.nodes.soon(func() { c.obey(r) })
		}
	}
	c.nodes.onAsked["disconnect"] = func(data json.RawMessage) any {
		var d disconnection
		if json.Unmarshal(data, &d) != nil {
			return 0
		}
		return c.sockets.closeMatching(&d.Who, d.Code, d.Reason)
	}
}

func (c *class) disconnect(ctx context.Context, w Who, code int, reason string) (n int, err error) {
	if err := w.check(&c.options); err != nil {
		return 0, fmt.Errorf("%w: %w", ErrWho, err)
	}
	if !socket.MaySend(code) {
		return 0, fmt.Errorf("%w: %d", ErrCloseCode, code)
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	n = c.sockets.closeMatching(&w, code, reason)
	err = c.nodes.ask(ctx, "disconnect", disconnection{w.key(), code, reason}, func(data json.RawMessage) error {
		closed := 0
		err := json.Unmarshal(data, &closed)
		n += closed
		return err
	})
	return n, err
}

func (c *class) revoke(ctx context.Context, w Who, until time.Time) error {
	err := w.check(&c.options)
	if err == nil && w.ID != "" {
		err = errors.New("clients choose their ID")
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrWho, err)
	}
	now := time.Now()
	if longest := now.Add(maxRevoked); until.After(longest) {
		until = longest // a later time may not be expressible as a Duration or in JSON
	}
	r := &revocation{Who: w.key(), Until: until.UTC().Round(0)}
	text, err := json.Marshal(r)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrWho, err)
	case !until.After(now):
		return errors.New("the time has passed")
	case c.revocations.covers(r):
		return nil
	}
	known := c.revocations.until(r)
	if known.IsZero() && c.revocations.isFull(now) { // otherwise it replaces another one
		return ErrTooManyRevocations
	}
	if c.nodes.bus != nil {
		keeping, cancel := context.WithTimeout(ctx, busTimeout)
		defer cancel()
		err := try(func() error {
			ttl := until.Sub(now) + c.revocations.slack()
			if err := c.nodes.bus.Keep(keeping, prefixRevoked+r.keptKey(), text, ttl); err != nil {
				return err
			}
			if shorter := (revocation{Who: r.Who, Until: known}); !known.IsZero() && known.Before(r.Until) {
				_ = c.nodes.bus.Keep(keeping, prefixRevoked+shorter.keptKey(), nil, 0) // or it expires
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("store: %w", err)
		}
	}
	c.obey(r)
	c.nodes.send(message{Kind: kindRevoked, Data: text}) // a node that misses it reads it from the bus
	return nil
}

// obey puts a revocation in force and closes the sockets whose tokens it refuses.
func (c *class) obey(r *revocation) {
	if c.revocations.add(r, time.Now()) {
		c.sockets.closeMatching(&r.Who, statusPolicyViolation, reasonExpired)
	}
}

// closeMatching closes the sockets that match and returns their number. Sockets that are being
// opened are closed as soon as they are open; they are counted, too.
func (s *sockets) closeMatching(w *Who, code int, reason string) (n int) {
	var found []*Websocket
	s.core.mu.Lock()
	for ws := range s.all {
		if w.matches(ws.recipient, ws.Token()) {
			found = append(found, ws)
		}
	}
	for ws := range s.opening {
		if ws.sentAway == nil && w.matches(ws.recipient, ws.Token()) {
			ws.sentAway = &disconnection{Code: code, Reason: reason}
			n++
		}
	}
	s.core.mu.Unlock()
	for _, ws := range found {
		if ws.conn.Close(code, reason) {
			n++
		}
	}
	return n
}

// checkRevoked refuses a token that was revoked, and every token while this node may not know
// all revocations.
func (c *core) checkRevoked(ctx context.Context, p *token.Payload) *rpc.Error {
	if err := c.nodes.ready(ctx); err != nil {
		c.logger.WarnContext(ctx, "revocations are not known", "channel", p.Channel, "err", err)
		return rpc.Errorf(rpc.CodeServiceUnavailable, "Try again later")
	}
	subject := ""
	if c.revocations.bySubject() {
		r, err := c.recipient("", p)
		if err != nil {
			return c.failed(ctx, "Options.Subject failed", p.Channel, err)
		}
		subject = r.Subject
	}
	if c.revocations.match(subject, p, time.Now()) {
		return rpc.Errorf(rpc.CodeUnauthorized, "Token revoked")
	}
	return nil
}

// closeRevoked closes a socket whose token was revoked while it was being accepted.
func (ws *Websocket) closeRevoked() {
	if ws.core().revocations.match(ws.recipient.Subject, ws.Token(), time.Now()) {
		ws.conn.Close(statusPolicyViolation, reasonExpired)
	}
}
