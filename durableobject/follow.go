package durableobject

import (
	"context"
	"errors"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/rpc"
)

// Where nodes share a log, a channel follows it from its first socket until it is evicted.
// A log has one follower of a channel at a time, so a channel that was made anew waits for
// the one that was evicted.

// follow sees to it that the channel, which is pinned, gets the events of all nodes. The
// error wraps [eventlog.ErrUnavailable] if the log is out of reach.
func (ch *channel) follow(ctx context.Context) error {
	if ch.core.shared == nil {
		return nil
	}
	if gone := ch.core.leavingOf(ch.name); gone != nil {
		select {
		case <-gone:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return try(func() error { return ch.events.Follow(ctx) })
}

// leavingOf returns what is closed when the evicted channel of this name has ended its
// feed, nil if there is none.
func (c *core) leavingOf(name string) <-chan struct{} {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.leaving[name]
}

// unfollow ends the feed of a channel that is evicted, on a goroutine of its own. It is
// called with mu held.
func (c *core) unfollow(ch *channel) {
	if c.shared == nil {
		return
	}
	before, gone := c.leaving[ch.name], make(chan struct{})
	c.leaving[ch.name] = gone
	c.evictions.Go(func() {
		if before != nil { // it was evicted, made and evicted again
			<-before
		}
		if err := try(func() error { ch.events.Unfollow(); return nil }); err != nil {
			c.logger.Error("ending a feed failed", "channel", ch.name, "err", err)
		}
		c.mu.Lock()
		if c.leaving[ch.name] == gone {
			delete(c.leaving, ch.name)
		}
		c.mu.Unlock()
		close(gone)
	})
}

// unavailable makes an error of the log one that tells the client to try again, if that
// may help.
func unavailable(err error) error {
	if !errors.Is(err, eventlog.ErrUnavailable) {
		return err
	}
	return (&rpc.Error{Code: rpc.CodeServiceUnavailable, Message: "Try again later"}).WithCause(err)
}
