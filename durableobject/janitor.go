package durableobject

import (
	"context"
	"errors"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// startTasks starts what has to be done from time to time, until Shutdown. Each task
// has a goroutine, so that a log which hangs in one holds up no other.
func (c *core) startTasks() {
	c.task("evicting objects", c.options.IdleTimeout/2, func(now time.Time) error {
		c.evict(now.Add(-c.options.IdleTimeout), false)
		return nil
	})
	if c.log == nil {
		return
	}
	c.task("moving cursors", c.retention/4, func(time.Time) error { return c.moveCursors() })
	if c.ownLog || c.options.TrimLog && c.shared == nil {
		c.task("trimming the event log", c.retention/2, func(now time.Time) error {
			return c.log.Trim(c.ctx, now.Add(-c.retention))
		})
	}
}

// minInterval keeps tiny intervals, which only tests have, from taking a processor.
const minInterval = 10 * time.Millisecond

// task runs do in intervals.
func (c *core) task(name string, interval time.Duration, do func(now time.Time) error) {
	c.users.Go(func() {
		ticker := time.NewTicker(max(interval, minInterval))
		defer ticker.Stop()
		for {
			select {
			case <-c.ctx.Done():
				return
			case <-ticker.C:
			}
			if err := try(func() error { return do(time.Now()) }); err != nil && !isClosing(err) {
				c.logger.Error("a task failed", "task", name, "err", err)
			}
		}
	})
}

func (c *core) moveCursors() error {
	c.mu.RLock()
	list := make([]*channel, 0, len(c.channels))
	for _, ch := range c.channels {
		list = append(list, ch)
	}
	c.mu.RUnlock()
	for _, ch := range list {
		if !ch.opened.succeeded() { // it is about to ask the log itself
			continue
		}
		if err := ch.events.MoveCursors(c.ctx); err != nil {
			return err
		}
	}
	return nil
}

// isClosing reports whether an error means only that the namespace or its log closes.
func isClosing(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, eventlog.ErrClosed)
}
