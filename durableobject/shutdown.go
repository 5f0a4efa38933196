package durableobject

import (
	"context"
	"fmt"
	"time"
)

// drain closes the namespace for what is new, and its sockets.
func (c *core) drain() {
	c.mu.Lock()
	c.closing = true
	list := make([]*Websocket, 0, len(c.sockets))
	for ws := range c.sockets {
		list = append(list, ws)
	}
	c.mu.Unlock()
	for _, ws := range list {
		ws.conn.Close(statusServiceRestart, "Service restart")
	}
}

// shutdown waits for finish as long as ctx allows. An object whose users do not
// return is evicted all the same when ctx ends, and the others half-way there, so
// that OnEvicted has time to save what they hold.
func (c *core) shutdown(ctx context.Context) error {
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
			cut := c.cut()
			left := c.describe()
			c.hurry(true)
			return fmt.Errorf("durableobject: shutdown: %w; %d sockets cut off; still running: %s", context.Cause(ctx), cut, left)
		}
	}
}

// hurry has objects evicted before their users have returned: those without users,
// or all.
func (c *core) hurry(all bool) {
	select {
	case c.hurried <- all:
	default: // finish has not got around to the one before, or is past that
	}
}

// finish ends everything in the order in which one thing depends on another. It
// takes as long as code of the application does that has not returned.
func (c *core) finish() {
	defer close(c.finished)
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		c.users.Wait()
	}()
	for waiting := true; waiting; {
		select {
		case <-gone:
			waiting = false
		case all := <-c.hurried:
			c.evict(time.Now(), all)
		}
	}
	c.evict(time.Now(), true)
	c.evictions.Wait()
	c.pool.Close()
	if c.ownLog {
		c.closeErr = c.log.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.options.HookTimeout)
	defer cancel()
	c.logs.Wait(ctx)
}

// cut ends the connections that are left at once, and returns how many there were.
func (c *core) cut() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for ws := range c.sockets {
		if !ws.left.Load() {
			ws.conn.Kill()
			n++
		}
	}
	return n
}
