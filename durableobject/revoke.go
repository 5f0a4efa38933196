package durableobject

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-orpc/durable-iterator/internal/socket"
)

// ErrCloseCode is returned by Disconnect for an invalid close code.
var ErrCloseCode = errors.New("close code cannot be sent")

// disconnection is a request to the nodes to close sockets.
type disconnection struct {
	Who    Who    `json:"who"`
	Code   int    `json:"code"`
	Reason string `json:"reason"`
}

// connectNodes registers the handlers of messages and questions of other nodes.
func (c *class) connectNodes() {
	c.nodes.kept.obey = c.obey
	c.nodes.handlers[kindRevoked] = func(from string, data json.RawMessage) {
		r := &revocation{}
		if c.nodes.decode(kindRevoked, from, data, r) { // otherwise it is read from the bus
			c.nodes.soon(func() { c.obey(r) })
		}
	}
	c.questions.handlers["disconnect"] = func(data json.RawMessage) (any, error) {
		var d disconnection
		if err := json.Unmarshal(data, &d); err != nil {
			return nil, err
		}
		return c.sockets.closeMatching(&d.Who, d.Code, d.Reason), nil
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
	err = c.questions.ask(ctx, "disconnect", disconnection{w.key(), code, reason}, func(data json.RawMessage) error {
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
		ttl := until.Sub(now) + c.revocations.slack()
		if err := c.nodes.bus.Keep(keeping, prefixRevoked+r.keptKey(), text, ttl); err != nil {
			return fmt.Errorf("store: %w", err)
		}
		if shorter := (revocation{Who: r.Who, Until: known}); !known.IsZero() && known.Before(r.Until) {
			_ = c.nodes.bus.Keep(keeping, prefixRevoked+shorter.keptKey(), nil, 0) // or it expires
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
