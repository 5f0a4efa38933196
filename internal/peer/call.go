package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// Call is a request that a [Server] runs: the handler answers through it. It
// ends with its last frame (a plain response, or the event that ends a
// stream), when the handler returns without [Call.Hold], when the client aborts
// it, and when the server is closed. Then its id is free, and sending for it
// returns an error.
//
// Respond and Event are called by one goroutine at a time, which decides their
// order. All other methods are safe for concurrent use. A frame that is being sent
// at the moment of an abort may still go out.
type Call struct {
	server *Server
	id     ID
	input  *queue // nil unless the request is an event stream that is taken
	lane   *lane

	// Guarded by Server.mu. over is the reason for which the call has ended, set once;
	// then ended is called.
	place     int   // in the table
	cost      int   // what is counted for it, 0 once the handler has returned
	frame     Frame // while it waits
	cancel    context.CancelCauseFunc
	running   bool // the handler has begun and not returned
	occupies  bool // the call counts as one that runs
	held      bool
	responded bool
	streaming bool // the response was an event stream
	counted   bool // as a stream
	over      error
	ended     func()
}

// ID returns the id of the request.
func (c *Call) ID() ID { return c.id }

// Owner returns the owner that was passed to [Servers.New] for the server of the call.
func (c *Call) Owner() any { return c.server.owner }

// StartDecoding waits until no other input of the socket is being decoded: one is at a
// time, so that a client cannot keep all processors busy. StopDecoding ends that. Without
// a turn it returns the cause of ctx, or [ErrClosed].
func (c *Call) StartDecoding(ctx context.Context) error { return c.server.decoding.take(ctx) }

// StopDecoding ends the turn that StartDecoding has begun.
func (c *Call) StopDecoding() { c.server.decoding.give() }

// StartAnswer waits until an answer may be encoded: a few of the socket's are at a time,
// until they have been sent, so that answers for which there is no room yet do not pile
// up. Nor do outputs: while some calls wait for that, no further handler of the socket
// begins. StopAnswer ends the turn. Without one it returns the cause of ctx, or [ErrClosed].
func (c *Call) StartAnswer(ctx context.Context) error {
	s := c.server
	if s.answering.tryTake() {
		return nil
	}
	s.mu.Lock()
	waits := c.occupies // a stream is not one of the calls that run
	if waits {
		c.lane.unanswered++
	}
	s.mu.Unlock()
	if waits {
		defer s.answered(c.lane)
	}
	return s.answering.take(ctx)
}

// StopAnswer ends the turn that StartAnswer has begun.
func (c *Call) StopAnswer() { c.server.answering.give() }

// Respond sends the response, once. Unless it announces an event stream, it ends
// the call; the context of the handler ends only when the handler returns. ctx is passed
// to Send. The ID of r is ignored. If r cannot be encoded, or is one stream too many
// ([ErrTooManyStreams]), nothing is sent and another response may follow; any other error
// is final.
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

// claimResponse frees the id of a plain response before the response is sent:
// the client may use it again as soon as it has the response.
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

// openStream counts the call as a stream, as part of update. It is no longer one of the
// calls that run, unless it is urgent: these run one after another. An urgent stream may
// exceed the limit by one, since the stream that it replaces may still be open.
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

// Event sends an event of the stream that the response has announced. One of
// kind done or error ends the call. ctx is passed to Send. The ID of e is ignored.
// Metadata that may not be sent is an error that leaves the stream as it is; a
// failure of Send ends the call.
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

// Next waits for the next event of a request that is an event stream, under
// the rules of [Stream.Next]. It returns [ErrNoStream] for any other request.
func (c *Call) Next(ctx context.Context) (*Event, error) {
	if c.input == nil {
		return nil, ErrNoStream
	}
	return c.input.next(ctx)
}

// CloseInput ends the event stream of the request and drops its unread events; Next
// then returns [io.EOF]. The client is sent an abort unless the stream
// had ended. An error is that of Send and does not end the call. Without a
// stream nothing happens.
//
// A stream that is still open when the call ends is closed in the same way, but
// without an abort after a plain response, upon which clients stop anyway.
func (c *Call) CloseInput() error {
	if c.input == nil || !c.input.drop(io.EOF) {
		return nil
	}
	return c.server.sendAbort(c.id)
}

// Hold keeps the call alive when its handler returns, for a stream whose events
// come from elsewhere. The call then ends with its last event, by
// [Call.Finish], by an abort or by [Server.Close], and so does its context.
// It is called by the handler.
func (c *Call) Hold() { c.update(func() { c.held = true }) }

// OnDone registers fn to run once when the call ends, or at once if it already has. It is
// for calls that are held, and saves them a goroutine that waits for their context.
func (c *Call) OnDone(fn func()) { c.update(func() { c.ended = fn }) }

// Finish ends the call without sending anything for it. A call that has ended
// stays as it is.
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

// finish sets over, unless it is set, as part of update.
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

// settle frees what a call without a running handler does not need any more, as part of
// update.
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

// stopped reports, as part of update, whether the call was ended by its client or its
// server.
func (c *Call) stopped() bool {
	return errors.Is(c.over, ErrAborted) || errors.Is(c.over, ErrClosed)
}

// update changes the state of the call under the lock. If the call has ended
// after that, and its handler has returned or has to be stopped, its context
// and its input end too.
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
	if cancel != nil { // it has begun
		cancel(over)
	}
	if c.input == nil {
		return
	}
	end := c.input.drop
	if running { // and may read what has come
		end = c.input.fail
	}
	if end(over) && abort {
		_ = c.server.sendAbort(c.id) // the handler has returned
	}
}
