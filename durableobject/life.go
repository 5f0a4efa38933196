package durableobject

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"
)

// An object is made when its name is first used and evicted when it has been idle
// for a while. Whoever uses a channel holds a pin on it: a PublishEvent, a Get, a
// socket from its upgrade to its end. Making, pinning and evicting all look at
// the same map under core.mu, and a channel that was taken out of the map is
// pinned by nobody, so there is never more than one channel that sockets read.

// evicted as a count of pins keeps new users away.
const evicted = math.MinInt64 / 2

// once runs something until it succeeds, for one caller at a time; others wait
// as long as their context lets them.
type once struct {
	mu   sync.Mutex // guards the fields, and is not held while fn runs
	done bool
	busy chan struct{} // closed when the run that is under way ends
}

func (o *once) do(ctx context.Context, fn func() error) error {
	for {
		o.mu.Lock()
		if o.done {
			o.mu.Unlock()
			return nil
		}
		if o.busy == nil {
			o.busy = make(chan struct{})
			o.mu.Unlock()
			break
		}
		busy := o.busy
		o.mu.Unlock()
		select {
		case <-busy:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	err := errAborted // if fn panics
	defer func() {
		o.mu.Lock()
		o.done = err == nil
		close(o.busy)
		o.busy = nil
		o.mu.Unlock()
	}()
	err = fn()
	return err
}

var errAborted = errors.New("aborted")

// succeeded reports whether fn has run and did not fail. What fn has written can be
// read then.
func (o *once) succeeded() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.done
}

// acquire gives the channel, pinned. The caller releases it.
func (c *core) acquire(ctx context.Context, name string) (*channel, error) {
	ch, err := c.pin(name)
	if err != nil {
		return nil, err
	}
	open := func() error { return try(func() error { return ch.events.Open(ctx) }) }
	if err := ch.opened.do(ctx, open); err != nil {
		ch.release()
		return nil, fmt.Errorf("open channel: %w", err)
	}
	return ch, nil
}

// acquireHub returns the channel, pinned, with its hub made. The caller releases it.
func (c *core) acquireHub(ctx context.Context, name string) (*channel, error) {
	ch, err := c.acquire(ctx, name)
	if err != nil {
		return nil, err
	}
	if _, err := ch.withHub(ctx); err != nil {
		ch.release()
		return nil, err
	}
	return ch, nil
}

func (c *core) pin(name string) (*channel, error) {
	c.mu.RLock()
	ch, closing := c.channels[name], c.closing
	if ch != nil {
		ch.pins.Add(1)
	}
	c.mu.RUnlock()
	if ch != nil || closing {
		return ch, closedIf(ch == nil)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return nil, ErrClosed
	}
	if ch = c.channels[name]; ch == nil {
		ch = newChannel(c, name)
		c.channels[name] = ch
	}
	ch.pins.Add(1)
	return ch, nil
}

func closedIf(closed bool) error {
	if closed {
		return ErrClosed
	}
	return nil
}

func (ch *channel) release() {
	ch.touched.Store(time.Now().UnixNano())
	ch.pins.Add(-1)
}

// lookup gives the channel if it is in memory, without pinning it.
func (c *core) lookup(name string) *channel {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.channels[name]
}

// withHub makes the application's object of a pinned channel, once.
func (ch *channel) withHub(ctx context.Context) (any, error) {
	if err := ch.makeHub(ctx); err != nil {
		return nil, fmt.Errorf("make the object of channel %q: %w", ch.name, err)
	}
	return ch.hub, nil
}

// made gives the hub, nil if there is none yet.
func (ch *channel) made() any {
	if !ch.hubOnce.succeeded() {
		return nil
	}
	return ch.hub
}

// evict drops the channels that have been idle since before, all of them if force
// is set, and calls OnEvicted of each, on a goroutine of its own.
func (c *core) evict(before time.Time, force bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, ch := range c.channels {
		if !force && ch.touched.Load() > before.UnixNano() {
			continue
		}
		if ch.pins.CompareAndSwap(0, evicted) || force {
			delete(c.channels, name)
			c.unfollow(ch)
			if hub := ch.made(); hub != nil {
				c.evictions.Go(func() { c.onEvicted(name, hub) })
			}
		}
	}
}

func (c *core) onEvicted(channel string, hub any) {
	ctx, cancel := context.WithTimeout(context.Background(), c.options.HookTimeout)
	defer cancel()
	err := c.hook("OnEvicted", channel, func() error {
		hooksOf(hub).OnEvicted(ctx)
		return nil
	})
	if err != nil {
		c.logger.Error("a hook panicked", "hook", "OnEvicted", "channel", channel, "err", err)
	}
}
