package peer

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// Call is a request that a [Server] runs: the handler answers through it. It
// is over after its last frame (a plain response, or the event that ends a
// stream), when the handler returns without [Call.Hold], when the client aborts
// it, and when the server is closed. Then its id is free, and what is sent for
// it gives an error.
//
// Respond and Event are called by one goroutine at a time, which decides their
// order. All other methods may be called from anywhere. A frame that is on its
// way at the moment of an abort may still go out.
type Call struct {
	server *Server
	id     ID
	input  *queue // nil unless the request is an event stream
	cancel context.CancelCauseFunc

	// Guarded by Server.mu. over is set once, and ended called once it is.
	running   bool // the handler has not returned
	held      bool
	responded bool
	streaming bool // the response was an event stream
	over      error
	ended     func()
}

// ID returns the id of the request.
func (c *Call) ID() ID { return c.id }

// Respond sends the response, once. Unless it announces an event stream, the
// call is over with it, while the context of the handler goes on until the
// handler returns. Send gets ctx. The ID of r is ignored. If r cannot be encoded
// nothing is sent and another response may follow; any other error is final.
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
		default:
			c.responded, c.streaming = true, stream
			if !stream {
				c.finish(ErrFinished)
			}
		}
	})
	return err
}

// Event sends an event of the stream that the response has announced. One of
// kind done or error ends the call. Send gets ctx. The ID of e is ignored.
// Metadata that may not be sent gives an error and leaves the stream as it is; a
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
	return c.send(ctx, Frame{Data: AppendEvent(make([]byte, 0, 128+eventSize(e)), &numbered)})
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
		return fmt.Errorf("peer: send: %w", err)
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

// CloseInput ends the event stream of the request and forgets what was not
// read; Next then returns [io.EOF]. The client is sent an abort unless the stream
// had ended. An error is that of Send and does not end the call. Without a
// stream nothing happens.
//
// A stream that is still open when the call is over is closed in the same way.
// The exception is a plain response, which tells the client to stop anyway.
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

// WhenOver has fn called, once, by whoever ends the call; at once if it is over. It is
// for calls that are held, and spares them a context that somebody waits for.
func (c *Call) WhenOver(fn func()) { c.update(func() { c.ended = fn }) }

// Finish ends the call without sending anything for it. A call that is over
// stays as it is.
func (c *Call) Finish() { c.end(ErrFinished) }

func (c *Call) end(reason error) { c.update(func() { c.finish(reason) }) }

// returned notes that the handler has returned.
func (c *Call) returned() {
	c.update(func() {
		if !c.held {
			c.finish(ErrFinished)
		}
		c.running = false
		if c.over != nil {
			c.server.inFlight--
		}
	})
}

// finish sets over, unless it is set, as part of update.
func (c *Call) finish(reason error) {
	if c.over != nil {
		return
	}
	c.over = reason
	c.server.forget(c)
	if !c.running {
		c.server.inFlight--
	}
}

// stopped reports, as part of update, whether somebody else has ended the call.
func (c *Call) stopped() bool {
	return errors.Is(c.over, ErrAborted) || errors.Is(c.over, ErrClosed)
}

// update changes the state of the call under the lock. If the call is over
// after that, and its handler has returned or has to be stopped, its context
// and its input end too.
func (c *Call) update(change func()) {
	c.server.mu.Lock()
	change()
	over := c.over
	ended := over != nil && (!c.running || c.stopped())
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
	c.cancel(over)
	if c.input != nil && c.input.fail(over) && abort {
		_ = c.server.sendAbort(c.id) // whoever could be told has returned
	}
}
