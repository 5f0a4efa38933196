package durableobject

import (
	"context"
	"fmt"
	"time"
)

// drain refuses new users of the namespace and closes its sockets.
func (c *class) drain() {
	c.mu.Lock()
	c.closing = true
	c.mu.Unlock()
	c.sockets.close(statusServiceRestart, "Service restart")
}

// shutdown waits for finish until ctx ends. When ctx ends, objects are evicted even if their users
// have not returned; the others are evicted halfway to its deadline, so that OnEvicted has time to
// save their state.
func (c *class) shutdown(ctx context.Context) error {
	c.drain()
	c.cancel()
	c.ending.Do(func() { go c.finish() })
	var half <-chan time.Time
	if deadline, ok := ctx.Deadline(); ok {
		timer := time.NewTimer(time.Until(deadline) / 2)
		defer timer.Stop()
		half = timer.C
	}
	for {
		select {
		case <-c.finished:
			return c.closeErr
		case <-half:
			c.hurry(false)
		case <-ctx.Done():
			cut := c.sockets.kill()
			left := c.describeRunning()
			c.hurry(true)
			return fmt.Errorf("durableobject: shutdown: %w; %d sockets cut off; still running: %s", context.Cause(ctx), cut, left)
		}
	}
}

// hurry makes finish evict objects before their users have returned: those without
// users, or all.
func (c *class) hurry(all bool) {
	select {
	case c.hurried <- all:
	default: // finish has not received an earlier request yet, or needs no more
	}
}

// finish ends everything in the order of dependencies. It waits until all code of the application
// has returned.
func (c *class) finish() {
	defer close(c.finished)
	c.await(c.users.Wait)
	if c.members != nil {
		c.await(c.members.close)
	}
	c.channels.evict(time.Now(), true)
	c.evictions.Wait()
	c.nodes.close()
	c.nodes.bus.wait()
	c.pool.Close()
	if c.ownLog {
		c.closeErr = c.log.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.options.HookTimeout)
	defer cancel()
	c.logs.Wait(ctx)
}

// await returns when wait has returned. Meanwhile it evicts objects if hurry is called.
func (c *class) await(wait func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		wait()
	}()
	for {
		select {
		case <-done:
			return
		case all := <-c.hurried:
			c.channels.evict(time.Now(), all)
		}
	}
}

// describeRunning returns a description of the application's code that is running.
func (c *class) describeRunning() string {
	counts := map[string]int{}
	c.hooks.count(counts)
	c.sockets.countCalls(counts)
	if c.guarded != nil {
		if n := c.guarded.running.Load(); n > 0 {
			counts["Options.Log"] = int(n)
		}
	}
	if n := c.nodes.bus.count(); n > 0 {
		counts["Options.Bus"] = n
	}
	return describe(counts)
}
