package durableobject

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/internal/fanout"
	"github.com/go-orpc/durable-iterator/internal/socket"
)

// endpoint is a Websocket as used by its connection and its reader of events. It implements
// [socket.Source], [socket.Handler] and [fanout.Sink].
type endpoint Websocket

// Pull implements [socket.Source]. It adds answers that are due, then events, or a heartbeat if
// there is neither.
func (e *endpoint) Pull(b *socket.Batch, wait bool) socket.More {
	ws := (*Websocket)(e)
	if ws.expired() {
		return socket.None
	}
	before := len(b.Own)
	more := ws.pull(b, wait)
	if ws.heartbeat.runs() {
		ws.pullHeartbeat(b, before, more)
	}
	return more
}

// pullHeartbeat adds a heartbeat to b if one is due and there was nothing to send: more is the result of
// pull, and before the length of b.Own before it.
func (ws *Websocket) pullHeartbeat(b *socket.Batch, before int, more socket.More) {
	if more == socket.None && len(b.Own) == before && b.Shared == nil && ws.heartbeat.due.Load() {
		ws.ch.events.Heartbeat(&ws.reader, b, func() bool { return !ws.outbox.Empty() })
	}
	if len(b.Own) > before || b.Shared != nil {
		ws.heartbeat.sent(time.Since(ws.core().start))
	}
}

func (ws *Websocket) pull(b *socket.Batch, wait bool) socket.More {
	passed := ws.reader.Passed
	for {
		added := ws.outbox.Added() // read before answers are taken, so that later ones stop Read
		ws.outbox.Take(b, passed)
		if b.Shared != nil || len(b.Own) >= socket.BatchSize {
			return socket.Some
		}
		more := ws.read(b, wait, func() bool { return ws.outbox.Added() != added })
		switch {
		case more == socket.Some && b.Shared == nil && len(b.Own) < socket.BatchSize: // stopped
		case ws.outbox.Empty():
			return more
		case b.Shared != nil:
			return socket.Some
		default:
			// Answers may be due after these events. There may be more than fit.
			if ws.outbox.Take(b, passed); b.Shared != nil || len(b.Own) >= socket.BatchSize {
				return socket.Some
			}
			return more
		}
	}
}

// read reads events. It stops waiting for the log when the socket closes; otherwise a client could, by
// opening and closing connections, make any number of readers wait for a slow log.
func (ws *Websocket) read(b *socket.Batch, wait bool, stop func() bool) socket.More {
	c := ws.core()
	more := ws.reader.Read(c.ctx, b, false, stop)
	switch {
	case more != socket.WouldBlock || !wait:
		return more
	case c.ownLog: // it is in memory, so reading does not wait
		return ws.reader.Read(c.ctx, b, true, stop)
	}
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	ws.stopReading.Store(&cancel)
	if ws.closing.Load() {
		cancel()
	}
	return ws.reader.Read(ctx, b, true, stop)
}

// Visit implements [socket.Source]. It closes a socket whose token has expired, and makes a heartbeat
// due.
func (e *endpoint) Visit(now time.Time) (again time.Time) {
	ws := (*Websocket)(e)
	if ws.expired() {
		return time.Time{}
	}
	again = ws.Token().ExpiresAt.Add(time.Millisecond) // it is expired after that, not at it
	due, next := ws.heartbeat.visit(now.Sub(ws.core().start))
	if due {
		ws.conn.Wake()
	}
	if beat := ws.core().start.Add(next); next > 0 && beat.Before(again) {
		return beat
	}
	return again
}

// Receive implements [socket.Handler].
func (e *endpoint) Receive(message []byte, binary bool) (run func()) {
	ws := (*Websocket)(e)
	if ws.expired() {
		return nil
	}
	run, err := ws.peer.Take(message, binary)
	if err != nil {
		ws.core().logger.Debug("bad message", "channel", ws.ch.name, "socket_id", ws.id, "err", err)
	}
	return run
}

// Closing implements [socket.Handler].
func (e *endpoint) Closing() {
	e.closing.Store(true)
	if stop := e.stopReading.Load(); stop != nil {
		(*stop)()
	}
	e.outbox.Close()
	e.peer.Stop()
}

// Ended implements [socket.Handler]. It removes the socket from its channel and its namespace.
func (e *endpoint) Ended(int) {
	ws := (*Websocket)(e)
	c := ws.core()
	defer c.users.Done()
	ws.left.Store(true)
	c.counters.closed(ws.conn.CloseCode())
	ws.outbox.Discard() // these answers wait for events that will not be sent
	ws.peer.Close()
	ws.ch.events.Leave(&ws.reader)
	defer ws.leave() // also if the hook ends its goroutine
	err := c.hook("OnDisconnected", ws.ch.name, func() error {
		ws.hooks().OnDisconnected(ws.ctx, ws)
		return nil
	})
	if err != nil {
		c.logger.Error("a hook panicked", details(err, "hook", "OnDisconnected", "channel", ws.ch.name)...)
	}
}

// leave removes a socket that has ended from its channel and its namespace.
func (ws *Websocket) leave() {
	if p := ws.core().members; p != nil {
		p.leave(ws.memberKey(), ws.set.sentAway(ws))
	}
	ws.peer.Wait()
	ws.set.remove(ws)
	ws.ch.release()
}

// Writer implements [fanout.Sink].
func (e *endpoint) Writer() int { return e.conn.Writer() }

// Wake implements [fanout.Sink].
func (e *endpoint) Wake() { e.conn.Wake() }

// Flush implements [fanout.Sink].
func (e *endpoint) Flush(flush func(*socket.Conn)) { flush(&e.conn) }

// Replayed implements [fanout.Sink]. It starts the hook.
func (e *endpoint) Replayed(sub *fanout.Subscription) {
	ws := (*Websocket)(e)
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.sub != nil && &ws.sub.Subscription == sub {
		ws.startHook(ws.sub)
	}
}

// Fail implements [fanout.Sink]. It closes the socket. When the client reconnects, the response
// reports whether events are missing.
func (e *endpoint) Fail(err error) {
	ws := (*Websocket)(e)
	switch {
	case ws.left.Load():
	case errors.Is(err, fanout.ErrLost):
		ws.core().logger.Debug("feed of the channel lost", "channel", ws.ch.name, "socket_id", ws.id, "err", err)
		ws.conn.Close(statusServiceRestart, "Service restart")
	case errors.Is(err, eventlog.ErrUnavailable):
		ws.core().logger.Warn("event log unavailable", "channel", ws.ch.name, "socket_id", ws.id, "err", err)
		ws.conn.Close(statusTryAgainLater, "Try again later")
	case errors.Is(err, fanout.ErrTooSlow):
		ws.core().logger.Warn("socket lags behind the events that are kept", "channel", ws.ch.name, "socket_id", ws.id)
		ws.conn.Close(statusTryAgainLater, "Too slow")
	default:
		if !errors.Is(err, context.Canceled) {
			ws.core().logger.Error("reading the event log failed", "channel", ws.ch.name, "socket_id", ws.id, "err", err)
		}
		ws.conn.Close(statusInternalError, "Reading events failed")
	}
}

// websocketsOf returns the sockets of a channel with one of the tags, or all of them if tags is nil.
func websocketsOf(ch *liveChannel, tags []string) []*Websocket {
	sinks := ch.events.Sinks(tags)
	list := make([]*Websocket, 0, len(sinks))
	for _, sink := range sinks {
		if e, ok := sink.(*endpoint); ok {
			list = append(list, (*Websocket)(e))
		}
	}
	return list
}

// websockets returns the sockets of a channel with one of the tags, or all of them if
// there are no tags.
func (c *channels) websockets(name string, tags []string) iter.Seq[*Websocket] {
	if len(tags) == 0 {
		tags = nil // all
	}
	return func(yield func(*Websocket) bool) {
		ch := c.lookup(name)
		if ch == nil {
			return
		}
		for _, ws := range websocketsOf(ch, tags) {
			if !yield(ws) {
				return
			}
		}
	}
}
