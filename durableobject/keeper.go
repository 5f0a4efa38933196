package durableobject

import (
	"context"
	"errors"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// keep does what has to be done from time to time, until Shutdown.
func (c *core) keep() {
	chores := []*chore{{every: c.options.IdleTimeout / 2, do: func(now time.Time) {
		c.evict(now.Add(-c.options.IdleTimeout), false)
	}}}
	if c.log != nil {
		chores = append(chores,
			&chore{every: c.retention / 4, do: func(time.Time) { c.moveCursors() }},
			&chore{every: c.retention / 2, do: c.trim})
	}
	start := time.Now()
	for _, ch := range chores {
		ch.every = max(ch.every, minChore)
		ch.due = start.Add(ch.every)
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-timer.C:
		}
		now := time.Now()
		next := now.Add(time.Hour)
		for _, ch := range chores {
			if !now.Before(ch.due) {
				ch.do(now)
				ch.due = now.Add(ch.every)
			}
			if ch.due.Before(next) {
				next = ch.due
			}
		}
		timer.Reset(time.Until(next))
	}
}

// minChore keeps tiny intervals, which only tests have, from taking a processor.
const minChore = 10 * time.Millisecond

type chore struct {
	every time.Duration
	due   time.Time
	do    func(now time.Time)
}

func (c *core) moveCursors() {
	c.mu.RLock()
	list := make([]*channel, 0, len(c.channels))
	for _, ch := range c.channels {
		list = append(list, ch)
	}
	c.mu.RUnlock()
	for _, ch := range list {
		if err := ch.events.MoveCursors(c.ctx); err != nil {
			if !ending(err) {
				c.logger.Error("moving cursors failed", "channel", ch.name, "err", err)
			}
			return
		}
	}
}

func (c *core) trim(now time.Time) {
	if err := c.log.Trim(c.ctx, now.Add(-c.retention)); err != nil && !ending(err) {
		c.logger.Error("trimming the event log failed", "err", err)
	}
}

// ending tells an error that only says that the namespace or its log is closing.
func ending(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, eventlog.ErrClosed)
}
