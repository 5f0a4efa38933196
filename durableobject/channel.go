package durableobject

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/go-orpc/durable-iterator/internal/fanout"
)

// liveChannel is the part of an object that does not depend on its types: the events of a channel
// and the sockets that read them. It is created when its name is first used and evicted when it has
// been idle for a while. Its users pin it: a PublishEvent, a Get, and a socket from its upgrade
// until it is closed. Creating, pinning and evicting use the same map with base.mu held, and a
// channel that was removed from the map has no pins, so sockets never read from two channels with
// the same name.
type liveChannel struct {
	core   *core
	name   string
	events *fanout.Channel

	pins    atomic.Int64 // number of users
	touched atomic.Int64 // time at which the last user left, in Unix nanoseconds
	opened  once         // of the channel
	maker   maker        // of the hub
	hub     any          // the application's object, once maker has succeeded
}

// evictedPins as a count of pins keeps new users away.
const evictedPins = math.MinInt64 / 2

// release ends the use of a channel by one user.
func (ch *liveChannel) release() {
	ch.touched.Store(time.Now().UnixNano())
	ch.pins.Add(-1)
}

// makeHub creates the application's object of a pinned channel, once.
func (ch *liveChannel) makeHub(ctx context.Context) error {
	err := ch.maker.make(ctx, ch.name, func(ctx context.Context) error {
		if !ch.core.enter() { // Shutdown must wait for it and then call OnEvicted
			return ErrClosed
		}
		defer ch.core.users.Done()
		return ch.core.hook("newHub", ch.name, func() (err error) {
			ch.hub, err = ch.core.newHub(ctx, ch.name)
			return err
		})
	})
	if err != nil {
		return fmt.Errorf("make the object of channel %q: %w", ch.name, err)
	}
	return nil
}

// onEvicted calls OnEvicted of the hub.
func (ch *liveChannel) onEvicted() {
	hub, ok := ch.hub.(interface{ OnEvicted(ctx context.Context) })
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), ch.core.options.HookTimeout)
	defer cancel()
	err := ch.core.hook("OnEvicted", ch.name, func() error {
		hub.OnEvicted(ctx)
		return nil
	})
	if err != nil {
		ch.core.logger.Error("a hook panicked", details(err, "hook", "OnEvicted", "channel", ch.name)...)
	}
}

// channels has the channels of a namespace that are in memory.
type channels struct {
	core *core
	all  map[string]*liveChannel // guarded by base.mu

	// leaving has the evicted channels that still follow a shared log. Its values are closed
	// when they have stopped. It is guarded by base.mu.
	leaving map[string]chan struct{}
}

// acquire returns the channel, pinned. The caller must release it.
func (c *channels) acquire(ctx context.Context, name string) (*liveChannel, error) {
	ch, err := c.pin(name)
	if err != nil {
		return nil, err
	}
	opened := false
	defer func() {
		if !opened { // also if the log ends its goroutine
			ch.release()
		}
	}()
	if err := ch.opened.do(ctx, func() error { return ch.events.Open(ctx) }); err != nil {
		return nil, fmt.Errorf("open channel: %w", err)
	}
	opened = true
	return ch, nil
}

// acquireHub returns the channel, pinned, with its hub made. The caller must release it.
func (c *channels) acquireHub(ctx context.Context, name string) (*liveChannel, error) {
	ch, err := c.acquire(ctx, name)
	if err != nil {
		return nil, err
	}
	made := false
	defer func() {
		if !made { // also if newHub ends its goroutine, as the functions of a test may
			ch.release()
		}
	}()
	if err := ch.makeHub(ctx); err != nil {
		return nil, err
	}
	made = true
	return ch, nil
}

func (c *channels) pin(name string) (*liveChannel, error) {
	c.core.mu.RLock()
	ch, closing := c.all[name], c.core.closing
	if ch != nil {
		ch.pins.Add(1)
	}
	c.core.mu.RUnlock()
	switch {
	case ch != nil:
		return ch, nil
	case closing:
		return nil, ErrClosed
	}
	c.core.mu.Lock()
	defer c.core.mu.Unlock()
	if c.core.closing {
		return nil, ErrClosed
	}
	if ch = c.all[name]; ch == nil {
		ch = &liveChannel{core: c.core, name: name, events: fanout.New(&c.core.events, name)}
		c.all[name] = ch
	}
	ch.pins.Add(1)
	return ch, nil
}

// lookup returns the channel without pinning it, or nil if it is not in memory.
func (c *channels) lookup(name string) *liveChannel {
	c.core.mu.RLock()
	defer c.core.mu.RUnlock()
	return c.all[name]
}

// evict drops the channels that have been idle since before, or all of them if force is set, and
// calls OnEvicted of each on a separate goroutine.
func (c *channels) evict(before time.Time, force bool) {
	c.core.mu.Lock()
	defer c.core.mu.Unlock()
	for name, ch := range c.all {
		if !force && ch.touched.Load() > before.UnixNano() {
			continue
		}
		if ch.pins.CompareAndSwap(0, evictedPins) || force {
			delete(c.all, name)
			c.unfollow(ch)
			c.core.counters.evicted.Add(ch.events.Published())
			if ch.maker.once.succeeded() {
				c.core.evictions.Go(ch.onEvicted)
			}
		}
	}
}

// headTimeout is the timeout of reading the head of one channel's log to move cursors.
const headTimeout = 10 * time.Second

// moveCursors sends cursor events in the channels that are open. A channel whose log fails or hangs
// does not keep it from the others. The error is that of the first one.
func (c *channels) moveCursors(ctx context.Context) error {
	c.core.mu.RLock()
	list := make([]*liveChannel, 0, len(c.all))
	for _, ch := range c.all {
		list = append(list, ch)
	}
	c.core.mu.RUnlock()
	var first error
	failed := 0
	for _, ch := range list {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := ch.moveCursors(ctx); err != nil {
			failed++
			first = cmp.Or(first, fmt.Errorf("channel %q: %w", ch.name, err))
		}
	}
	if failed > 1 {
		return fmt.Errorf("%d of %d channels failed: %w", failed, len(list), first)
	}
	return first
}

func (ch *liveChannel) moveCursors(ctx context.Context) error {
	if !ch.opened.succeeded() { // it will read the head of the log when it is opened
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, headTimeout)
	defer cancel()
	return ch.events.MoveCursors(ctx)
}

// follow makes a pinned channel receive the events of all nodes, if nodes share the log: a channel
// follows the log from its first socket until it is evicted. A log has one follower of a channel at
// a time, so a channel that was created again waits until the evicted one has stopped. The error
// wraps [eventlog.ErrUnavailable] if the log cannot be reached.
func (c *channels) follow(ctx context.Context, ch *liveChannel) error {
	if c.core.shared == nil {
		return nil
	}
	c.core.mu.RLock()
	gone := c.leaving[ch.name]
	c.core.mu.RUnlock()
	if gone != nil {
		select {
		case <-gone:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return ch.events.Follow(ctx)
}

// unfollow ends the feed of an evicted channel, on a separate goroutine. It is called with base.mu
// held.
func (c *channels) unfollow(ch *liveChannel) {
	if c.core.shared == nil {
		return
	}
	before, gone := c.leaving[ch.name], make(chan struct{})
	c.leaving[ch.name] = gone
	c.core.evictions.Go(func() {
		if before != nil { // the channel was evicted, created and evicted again
			<-before
		}
		ch.events.Unfollow()
		c.core.mu.Lock()
		if c.leaving[ch.name] == gone {
			delete(c.leaving, ch.name)
		}
		c.core.mu.Unlock()
		close(gone)
	})
}
