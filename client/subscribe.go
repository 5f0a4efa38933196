package client

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"time"

	"github.com/go-orpc/durable-iterator/rpc"
)

// slowLogInterval is the minimum time between two warnings that events are read too slowly.
const slowLogInterval = 10 * time.Second

var errSubscriptionEnded = errors.New("the server has ended the subscription")

// subscribe subscribes to the events after the last one that has arrived.
func (s *supervisor) subscribe(ctx context.Context) {
	conn := s.conn
	s.subscribing = true
	sub := &subscription{
		size: func() int { return conn.size }, newGap: s.gapOf(conn.cred),
		again: s.answered, retryHint: &s.retryHint,
	}
	sub.full = func() { s.post(func() { s.unsubscribe(ctx) }) }
	sub.ended = func(err error) { conn.Fail(s.redact(errors.Join(errSubscriptionEnded, err))) }
	sub.feed, sub.resumed, sub.lossy = s.buffer.attach(conn.reader, s.originalServer)
	header := http.Header{}
	maps.Copy(header, s.header)
	header.Set(headerExtension, "1")
	askHeartbeat(header, s.options.PingInterval)
	call := &rpc.Call{Path: []string{"subscribe"}, Input: rpc.Void{}, LastEventID: sub.resumed, Header: header}
	s.ops.Go(func() {
		waiting, cancel := context.WithTimeout(ctx, s.options.DialTimeout)
		defer cancel()
		stop, err := s.peer.Subscribe(waiting, call, sub.open, sub.event)
		if !s.post(func() { s.subscribed(ctx, conn, sub, stop, err) }) && err == nil {
			stop()
		}
	})
}

func (s *supervisor) subscribed(ctx context.Context, conn *connection, sub *subscription, stop func(), err error) {
	if ctx.Err() != nil {
		return // the socket is being closed
	}
	if err != nil {
		conn.Fail(s.redact(err)) // does nothing if the connection has ended
		return
	}
	s.answered, s.originalServer = true, !sub.extended
	if s.conn != conn {
		stop()
		return
	}
	s.stop, s.subscribing = stop, false
	if s.neverLive {
		s.answer = sub.header.Clone()
	}
	s.live(ctx)
	s.unsubscribe(ctx) // if the buffer is full already
}

// unsubscribe ends the subscription of a full buffer. The socket stays open for calls.
func (s *supervisor) unsubscribe(ctx context.Context) {
	if s.stop == nil || !s.buffer.isFull() {
		return
	}
	if s.slowLogged.IsZero() || time.Since(s.slowLogged) >= slowLogInterval {
		s.slowLogged = time.Now()
		s.options.Logger.WarnContext(ctx, "events are read too slowly", "id", s.id,
			"max_events", s.options.BufferSize, "max_bytes", s.options.BufferBytes)
	}
	s.stop()
	s.stop = nil
	s.resubscribe(ctx) // there may be room again
}

// resubscribe subscribes to the dropped events if the buffer has room again.
func (s *supervisor) resubscribe(ctx context.Context) {
	idle := s.state == StateLive && s.conn != nil && s.stop == nil && !s.subscribing
	if idle && s.buffer.isFull() && !s.buffer.paused() {
		s.subscribe(ctx)
	}
}
