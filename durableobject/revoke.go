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
// reason, and returns how many the nodes have closed, those included that are admitted and
// not open yet. It does not keep clients from coming back, which most do at once: see
// [Namespace.Revoke]. Nodes that are connected by no bus, as with an eventlog.Shared that
// has none and without Options.Bus, are not asked. Codes are as in [Websocket.Close]. This
// library's clients take 4000 plus an HTTP status for a refusal with that status, and do not
// come back after 4403 and 4410. A reason longer than 123 bytes is cut.
//
// The error wraps [ErrWho] or [ErrCloseCode], and nothing is closed then. It wraps
// [ErrSilent] if a node did not answer within 600 ms, and is that of the bus or of ctx if
// the other nodes could not be asked; n counts those that have answered.
func (ns *Namespace[H]) Disconnect(ctx context.Context, w Who, code int, reason string) (n int, err error) {
	if n, err = ns.class.disconnect(ctx, w, code, reason); err != nil {
		return n, fmt.Errorf("durableobject: disconnect: %w", err)
	}
	return n, nil
}

// ErrCloseCode is returned by Disconnect for a close code that cannot be sent.
var ErrCloseCode = errors.New("durableobject: close code cannot be sent")

// Revoke refuses the tokens that match until a time, which need not be later than they
// expire: clients that connect with one, or send one over an open socket, get 401, and open
// sockets are closed with 1008 "Token expired". Clients then ask for a new token, which is
// where the application decides whether they get one. A revocation that was made before for
// the same selector is extended, never cut short, on this node or on another. A time that is
// more than 100 years ahead counts as 100 years.
//
// Revoke returns when the revocation is stored and in force on this node. The others obey
// within a second, or 2.5 s if a message is lost, and nodes that start later from the
// beginning. A node that has not reached the bus for 10 s accepts nobody, with 503. The
// revocation is kept by Options.Bus, or by the bus of Options.Log: a filelog.Log keeps it
// beside its segments. Without any it ends with the process, and no other node learns of it.
//
// The error wraps [ErrWho], [ErrTooManyRevocations], or is that of the bus, and the
// revocation may then be in force or not. It is an error if until has passed.
func (ns *Namespace[H]) Revoke(ctx context.Context, w Who, until time.Time) error {
	if err := ns.class.revoke(ctx, w, until); err != nil {
		return fmt.Errorf("durableobject: revoke: %w", err)
	}
	return nil
}

// disconnection is what the nodes are asked to do.
type disconnection struct {
	Who    Who    `json:"who"`
	Code   int    `json:"code"`
	Reason string `json:"reason"`
}

// connectNodes sets what other nodes may ask of this one.
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
		until = longest // a later one has no time to live that fits a Duration, and perhaps no JSON
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
	if known.IsZero() && c.revocations.isFull(now) { // else it takes the place of another
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
	c.nodes.send(message{Kind: kindRevoked, Data: text}) // a node that misses it reads what is kept
	return nil
}

// obey puts a revocation in force, and closes the sockets with tokens that it refuses.
func (c *class) obey(r *revocation) {
	if c.revocations.add(r, time.Now()) {
		c.sockets.closeMatching(&r.Who, statusPolicyViolation, reasonExpired)
	}
}

// closeMatching closes the sockets that match, and returns how many it has closed. Those that
// are being opened are closed as soon as they are open, and count.
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

// checkRevoked refuses a token that was revoked, and every token while this node may not
// know of revocations.
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
