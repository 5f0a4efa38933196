package durableobject

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"sync"
	"time"

	"github.com/go-orpc/durable-iterator/rpc"
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

// acquire gives the channel, pinned. The caller releases it.
func (c *core) acquire(ctx context.Context, name string) (*channel, error) {
	ch, err := c.pin(name)
	if err != nil {
		return nil, err
	}
	if err := ch.opened.do(ctx, func() error { return ch.events.Open(ctx) }); err != nil {
		ch.release()
		return nil, fmt.Errorf("open channel: %w", err)
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
	err := ch.hubOnce.do(ctx, func() (err error) {
		defer recoverTo(&err)
		ch.hub, err = ch.core.newHub(ctx, ch.name)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("make the object of channel %q: %w", ch.name, err)
	}
	return ch.hub, nil
}

// made gives the hub, nil if there is none yet.
func (ch *channel) made() any {
	ch.hubOnce.mu.Lock()
	defer ch.hubOnce.mu.Unlock()
	if !ch.hubOnce.done {
		return nil
	}
	return ch.hub
}

// evict drops the channels that have been idle since before, all of them if force
// is set, and tells their hubs.
func (c *core) evict(before time.Time, force bool) {
	var gone []*channel
	c.mu.Lock()
	for name, ch := range c.channels {
		if !force && ch.touched.Load() > before.UnixNano() {
			continue
		}
		if ch.pins.CompareAndSwap(0, evicted) || force {
			delete(c.channels, name)
			gone = append(gone, ch)
		}
	}
	c.mu.Unlock()
	for _, ch := range gone {
		if hub := ch.made(); hub != nil {
			c.guard("OnEvicted", ch.name, func() { c.hooksOf(hub).OnEvicted(c.ctx) })
		}
	}
}

// guard runs a hook whose panic must not take the process down.
func (c *core) guard(hook, channel string, fn func()) {
	var err error
	func() {
		defer recoverTo(&err)
		fn()
	}()
	if err != nil {
		c.logger.Error("hook panicked", "hook", hook, "channel", channel, "err", err)
	}
}

// recoverTo turns a panic of user code into an error.
func recoverTo(err *error) {
	if v := recover(); v != nil {
		*err = &rpc.PanicError{Value: v, Stack: debug.Stack()}
	}
}
