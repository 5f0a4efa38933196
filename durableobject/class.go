package durableobject

import (
	"context"
	"errors"
	"sync"
	"time"
)

// class is the part of a Namespace that does not depend on its types.
type class struct {
	*core

	channels  channels
	sockets   sockets
	questions *questions

	// finish runs once, from the first Shutdown on, and closes finished. closeErr is
	// set before that.
	ending   sync.Once
	hurried  chan bool
	finished chan struct{}
	closeErr error
}

// newClass returns a class. Its tasks are not started yet.
func newClass(o *Options, newHub func(ctx context.Context, c *class, channel string) (any, error)) (*class, error) {
	common, err := newCore(o)
	if err != nil {
		return nil, err
	}
	c := &class{core: common, hurried: make(chan bool, 2), finished: make(chan struct{})}
	c.channels = channels{core: common, all: map[string]*liveChannel{}, leaving: map[string]chan struct{}{}}
	c.sockets = sockets{core: common, all: map[*Websocket]struct{}{}, opening: map[*Websocket]struct{}{}}
	c.questions = newQuestions(common.nodes)
	c.system, c.peers = newSystem(), c.newPeers()
	if c.members != nil {
		c.members.hooks.call = c.presenceHook
		c.members.connect()
	}
	c.newHub = func(ctx context.Context, channel string) (any, error) { return newHub(ctx, c, channel) }
	return c, nil
}

// presenceHook calls OnJoined or OnLeft of an object.
func (c *class) presenceHook(h hookCall) {
	name := "OnLeft"
	if h.joined {
		name = "OnJoined"
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.options.HookTimeout)
	defer cancel()
	ch, err := c.channels.acquireHub(ctx, h.channel)
	if err == nil {
		defer ch.release()
		err = c.hook(name, h.channel, func() error {
			hub, _ := ch.hub.(presenceHooks) // every hub has them: see Hub
			if h.joined {
				hub.OnJoined(ctx, h.member)
			} else {
				hub.OnLeft(ctx, h.member)
			}
			return nil
		})
	}
	if err != nil && !errors.Is(err, ErrClosed) {
		c.logger.Error("a hook failed", details(err, "hook", name, "channel", h.channel)...)
	}
}

// presenceHooks are the hooks of a hub for its members.
type presenceHooks interface {
	OnJoined(ctx context.Context, m Member)
	OnLeft(ctx context.Context, m Member)
}

// startTasks starts the periodic tasks, which run until Shutdown. Each task has a goroutine, so that
// a log that hangs in one of them does not delay the others.
func (c *class) startTasks() {
	retention := c.options.ResumeRetention
	c.task("evicting objects", c.options.IdleTimeout/2, func(now time.Time) error {
		c.channels.evict(now.Add(-c.options.IdleTimeout), false)
		c.revocations.sweep(now)
		return nil
	})
	if !c.nodes.alone {
		c.users.Go(func() { // announces this node to the others
			if err := c.nodes.sync(c.ctx); err != nil && !isClosing(err) {
				c.logger.Warn("the bus cannot be reached", "err", err)
			}
		})
		c.task("keeping in touch with other nodes", beatInterval, func(time.Time) error { return c.nodes.task(c.ctx) })
	}
	if c.log == nil {
		return
	}
	c.task("moving cursors", retention/4, func(time.Time) error { return c.channels.moveCursors(c.ctx) })
	if c.ownLog || c.options.TrimLog && c.shared == nil {
		c.task("trimming the event log", retention/2, func(now time.Time) error {
			return c.log.Trim(c.ctx, now.Add(-retention))
		})
	}
}

// minInterval is the minimum interval of a task. Only tests use shorter ones.
const minInterval = 10 * time.Millisecond

// task runs do periodically.
func (c *class) task(name string, interval time.Duration, do func(now time.Time) error) {
	c.users.Go(func() {
		ended := false
		defer func() {
			if !ended { // by a log of the application, with runtime.Goexit
				c.logger.Error("a task failed", "task", name, "err", errEndedGoroutine)
				c.task(name, interval, do)
			}
		}()
		ticker := time.NewTicker(max(interval, minInterval))
		defer ticker.Stop()
		for {
			select {
			case <-c.ctx.Done():
				ended = true
				return
			case <-ticker.C:
			}
			if err := try(func() error { return do(time.Now()) }); err != nil && !isClosing(err) {
				c.logger.Error("a task failed", details(err, "task", name)...)
			}
		}
	})
}
