package client

import (
	"context"
	"errors"
	"maps"
	"net/http"

	"github.com/go-orpc/durable-iterator/rpc"
)

var errSubscriptionEnded = errors.New("the server has ended the subscription")

// subscribe asks for events behind the last one that has arrived.
func (s *supervisor) subscribe(ctx context.Context) {
	conn := s.conn
	s.subscribing = true
	sub := &subscription{
		buffer: s.buffer, size: func() int { return conn.size }, newGap: s.gapOf(conn.cred),
		again: s.answered, retry: &s.pause,
	}
	sub.full = func() { s.post(func() { s.unsubscribe(ctx) }) }
	sub.ended = func(err error) { conn.Fail(errors.Join(errSubscriptionEnded, err)) }
	sub.resumed, sub.lossy = s.buffer.attach(sub, s.legacy)
	header := http.Header{}
	maps.Copy(header, s.header)
	header.Set(headerExtension, "1")
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
		return // the socket is closed in good order
	}
	if err != nil {
		conn.Fail(err) // no news if that is why
		return
	}
	s.answered, s.legacy = true, !sub.extended
	if s.conn != conn {
		stop()
		return
	}
	s.stop, s.subscribing = stop, false
	if s.first {
		s.answer = sub.header.Clone()
	}
	s.live(ctx)
	s.unsubscribe(ctx) // if that was too much already
}

// unsubscribe stops events that the buffer has no room for. The socket stays, and calls
// go on.
func (s *supervisor) unsubscribe(ctx context.Context) {
	if s.stop == nil || !s.buffer.isFull() {
		return
	}
	s.options.Logger.WarnContext(ctx, "events are read too slowly", "id", s.id, "max_events", s.options.BufferSize, "max_bytes", s.options.BufferBytes)
	s.stop()
	s.stop = nil
	s.resubscribe(ctx) // if they were read meanwhile
}

// resubscribe asks for the events that there was no room for.
func (s *supervisor) resubscribe(ctx context.Context) {
	idle := s.state == StateLive && s.conn != nil && s.stop == nil && !s.subscribing
	if idle && s.buffer.isFull() && !s.buffer.paused() {
		s.subscribe(ctx)
	}
}
