package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// Call is a request that a [Server] runs. Its handler answers through it. It ends with its
// last frame (a plain response, or the event that ends a stream), when the handler returns
// without [Call.Hold], when the client aborts it, and when the server is closed. Its id may
// then be used again, and methods that send return an error.
//
// Respond and Event must be called by one goroutine at a time, which decides their order.
// All other methods are safe for concurrent use. A frame that is being sent during an abort
// may still arrive.
type Call struct {
	server *Server
	id     ID
	input  *queue // nil unless the request is an event stream that the handler reads
	lane   *lane

	// These are guarded by Server.mu. over is the reason for which the call has ended. It
	// is set once, and ended is then called.
	place     int   // in the table
	cost      int   // in bytes, 0 once the handler has returned
	frame     Frame // set while the call waits
	cancel    context.CancelCauseFunc
	running   bool // the handler has begun and not returned
	occupies  bool // the call counts as running in its lane
	held      bool
	responded bool
	streaming bool // the response was an event stream
	counted   bool // the call counts as a stream
	over      error
	ended     func()
}

// ID returns the id of the request.
func (c *Call) ID() ID { return c.id }

// Owner returns the owner that was passed to [Servers.New].
func (c *Call) Owner() any { return c.server.owner }

// StartDecoding waits until no other input of the socket is being decoded: only one is at a
// time, so that a client cannot keep all processors busy. The caller must call
// StopDecoding. If its turn has not come when ctx ends it returns the cause of ctx, and
// [ErrClosed] if the server is closed.
func (c *Call) StartDecoding(ctx context.Context) error { return c.server.decoding.take(ctx) }

// StopDecoding ends the turn that StartDecoding began.
func (c *Call) StopDecoding() { c.server.decoding.release() }

// StartAnswer waits until an answer may be encoded. Only a few answers of a socket are
// encoded and not yet sent, so that answers for which there is no room yet do not use up
// memory. The same holds for outputs: while some calls wait for their turn, no further
// handler of the socket begins. The caller must call StopAnswer. If its turn has not come
// when ctx ends it returns the cause of ctx, and [ErrClosed] if the server is closed.
func (c *Call) StartAnswer(ctx context.Context) error {
	s := c.server
	if s.answering.tryTake() {
		return nil
	}
	s.mu.Lock()
	waits := c.occupies // a stream does not count as running
	if waits {
		c.lane.unanswered++
	}
	s.mu.Unlock()
	if waits {
		defer s.answered(c.lane)
	}
	return s.answering.take(ctx)
}

// StopAnswer ends the turn that StartAnswer began.
func (c *Call) StopAnswer() { c.server.answering.release() }

// Respond sends the response. It ends the call, unless the response announces an event
// stream; the context of the handler ends only when the handler returns. ctx is passed to
// Send. The ID of r is ignored. If r cannot be encoded, or would be one stream too many
// ([ErrTooManyStreams]), nothing is sent and Respond may be called again; any other error
// is final. A second response is refused with [ErrResponded].
func (c *Call) Respond(ctx context.Context, r *Response) error {
	f, err := encodeAnswer(c.id, r)
	if err != nil {
		return err
	}
	if err := c.claimResponse(IsEventStream(r.Header)); err != nil {
		return err
	}
	return c.send(ctx, f)
}

// claimResponse frees the id of a plain response before the response is sent, since the
// client may use the id again as soon as it has the response. It returns an error if the
// call must not respond.
func (c *Call) claimResponse(stream bool) (err error) {
	c.update(func() {
		switch {
		case c.stopped():
			err = c.over
		case c.responded:
			err = ErrResponded
		case c.over != nil:
			err = c.over
		case stream:
			if err = c.openStream(); err == nil {
				c.responded, c.streaming = true, true
			}
		default:
			c.responded = true
			c.finish(ErrFinished)
		}
	})
	return err
}

// openStream counts the call as a stream, as part of update. The call then no longer counts
// as running in its lane, unless it is urgent: urgent calls run one after another. An
// urgent stream may exceed the limit by one, since the stream that it replaces may still be
// open.
func (c *Call) openStream() error {
	s, limit := c.server, c.server.o.MaxStreams
	urgent := c.lane != &s.lanes[0]
	if urgent {
		limit++
	}
	if s.streams >= limit {
		return ErrTooManyStreams
	}
	s.streams++
	c.counted = true
	if !urgent {
		s.vacate(c)
	}
	return nil
}

// Event sends an event of the stream that the response has announced. An event of kind done
// or error ends the call. ctx is passed to Send. The ID of e is ignored. If the metadata is
// not valid, Event returns an error and the stream stays open; if Send fails the call ends.
func (c *Call) Event(ctx context.Context, e *Event) error {
	if err := e.Meta.Validate(); err != nil {
		return err
	}
	if err := c.claimEvent(e.ends()); err != nil {
		return err
	}
	numbered := *e
	numbered.ID = c.id
	return c.send(ctx, Frame{Data: AppendEvent(make([]byte, 0, 128+len(e.Data)+e.Meta.size()), &numbered)})
}

func (c *Call) claimEvent(last bool) (err error) {
	c.update(func() {
		switch {
		case c.over != nil:
			err = c.over
		case !c.streaming:
			err = ErrNoStream
		case last:
			c.finish(ErrFinished)
		}
	})
	return err
}

func (c *Call) send(ctx context.Context, f Frame) error {
	if err := c.server.write(ctx, f); err != nil {
		c.end(ErrFinished)
		return fmt.Errorf("send: %w", err)
	}
	return nil
}

// Next waits for the next event of a request that is an event stream, as [Stream.Next]
// does. It returns [ErrNoStream] for any other request.
func (c *Call) Next(ctx context.Context) (*Event, error) {
	if c.input == nil {
		return nil, ErrNoStream
	}
	return c.input.next(ctx)
}

// CloseInput ends the event stream of the request and drops its unread events; Next then
// returns [io.EOF]. The client is sent an abort unless the stream had ended. If Send fails,
// CloseInput returns its error and the call continues. It does nothing if the request is not
// an event stream.
//
// A stream that is still open when the call ends is closed in the same way. After a plain
// response no abort is sent, since clients then stop anyway.
func (c *Call) CloseInput() error {
	if c.input == nil || !c.input.drop(io.EOF) {
		return nil
	}
	return c.server.sendAbort(c.id)
}

// Hold keeps the call open when its handler returns, for a stream whose events are sent by
// other goroutines. The call and its context then end with the last event, by
// [Call.Finish], by an abort or by [Server.Close]. Hold must be called by the handler.
func (c *Call) Hold() { c.update(func() { c.held = true }) }

// OnDone registers fn to run once when the call ends, or at once if it already has. It
// saves a held call a goroutine that waits for its context.
func (c *Call) OnDone(fn func()) { c.update(func() { c.ended = fn }) }

// Finish ends the call without sending anything. It does nothing if the call has ended.
func (c *Call) Finish() { c.end(ErrFinished) }

func (c *Call) end(reason error) { c.update(func() { c.finish(reason) }) }

// returned records that the handler has returned.
func (c *Call) returned() {
	c.update(func() {
		if !c.held {
			c.finish(ErrFinished)
		}
		c.running = false
	})
}

// finish ends the call, unless it has ended, as part of update.
func (c *Call) finish(reason error) {
	if c.over != nil {
		return
	}
	c.over = reason
	c.server.calls.remove(c)
	if c.cancel == nil { // it has not begun
		c.lane.drop()
	}
}

// settle frees what a call without a running handler no longer needs, as part of update.
func (c *Call) settle() {
	if c.running || c.over == nil && c.cancel == nil {
		return
	}
	s := c.server
	if c.cost > 0 {
		s.freeHeld(c.cost)
		c.cost, c.frame = 0, Frame{}
	}
	if c.over != nil || c.counted {
		s.vacate(c)
	}
	if c.over != nil && c.counted {
		c.counted = false
		s.streams--
	}
}

// stopped reports, as part of update, whether the client or the server has ended the call.
func (c *Call) stopped() bool {
	return errors.Is(c.over, ErrAborted) || errors.Is(c.over, ErrClosed)
}

// update calls change and settle with Server.mu held. If the call has then ended, and its
// handler has returned or has to be stopped, it also ends the call's context and input.
func (c *Call) update(change func()) {
	c.server.mu.Lock()
	change()
	c.settle()
	over, cancel, running := c.over, c.cancel, c.running
	ended := over != nil && (!running || c.stopped())
	abort := errors.Is(over, ErrFinished) && (c.streaming || !c.responded)
	var notify func()
	if over != nil {
		notify, c.ended = c.ended, nil
	}
	c.server.mu.Unlock()
	if notify != nil {
		defer notify()
	}
	if !ended {
		return
	}
	if cancel != nil { // its handler has begun
		cancel(over)
	}
	if c.input == nil {
		return
	}
	end := c.input.drop
	if running { // it may still read the events that have arrived
		end = c.input.fail
	}
	if end(over) && abort {
		_ = c.server.sendAbort(c.id) // a failure is not reported: the handler has returned
	}
}
