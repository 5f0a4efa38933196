package peer

import (
	"context"
	"errors"
	"fmt"
)

// ErrInputStopped is returned by [Input.Send] when no further events are wanted.
var ErrInputStopped = errors.New("the input is not wanted any more")

// Input sends the event stream that is the body of a request.
type Input struct {
	client *Client
	call   *pending
	start  func(*Input)
	done   chan struct{} // closed when nothing more is to be sent
	ended  bool          // done is closed; guarded by Client.mu
}

// inputEvent is an event on its way out.
type inputEvent struct {
	frame Frame
	sent  chan error // has room for the outcome
}

// DoInput is [Client.Do] for a request whose header announces an event stream. start
// is called with the input once the request is on its way, and must not wait. Events
// may be sent until the server aborts the input, answers with a plain response, or the
// call ends in any other way; a response that is an event stream does not end it. A
// failure to send an event leaves the call alone.
func (c *Client) DoInput(ctx context.Context, r *Request, start func(*Input)) (*Response, *Stream, error) {
	p := &pending{}
	p.input = &Input{client: c, call: p, start: start, done: make(chan struct{})}
	_, a := c.do(ctx, r, p)
	return a.response, a.stream, a.err
}

// Done is closed when no further events are wanted.
func (i *Input) Done() <-chan struct{} { return i.done }

// Send sends an event and returns when it is written: as no more than one event of an
// input waits, a socket that is slow slows down its inputs. The one of kind done or
// error is the last. The ID of e is ignored. After Done the error is
// [ErrInputStopped]; metadata that may not be sent is an error that leaves the input
// as it is. Send is called by one goroutine at a time.
func (i *Input) Send(ctx context.Context, e *Event) error {
	if err := e.Meta.Validate(); err != nil {
		return err
	}
	numbered := *e
	numbered.ID = i.call.id
	event := &inputEvent{Frame{Data: AppendEvent(nil, &numbered)}, make(chan error, 1)}
	i.client.mu.Lock()
	ended := i.ended
	if !ended {
		i.client.enqueue(outgoing{call: i.call, event: event})
	}
	i.client.mu.Unlock()
	if ended {
		return ErrInputStopped
	}
	select {
	case err := <-event.sent:
		if err != nil || e.ends() {
			i.client.endInput(i)
		}
		return err
	case <-i.done:
		return ErrInputStopped
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// end ends the input, which may be nil, with Client.mu held.
func (i *Input) end() {
	if i != nil && !i.ended {
		i.ended = true
		close(i.done)
	}
}

func (c *Client) endInput(i *Input) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i.end()
}

// stopInput ends the input of a call, whose answer is still to come.
func (c *Client) stopInput(id ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.calls[string(id)]; p != nil {
		p.input.end()
	}
}

// sendInput writes an event, unless it is not wanted any more.
func (c *Client) sendInput(p *pending, f Frame) error {
	c.mu.Lock()
	wanted := !p.input.ended && p.progress == begun
	c.mu.Unlock()
	if !wanted {
		return ErrInputStopped
	}
	if err := c.send(&p.sending, f); err != nil {
		return fmt.Errorf("send event: %w", err)
	}
	return nil
}
