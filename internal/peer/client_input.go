package peer

import (
	"context"
	"errors"
	"fmt"
)

// ErrInputStopped is returned by [Input.Send] when no more events are needed.
var ErrInputStopped = errors.New("the input is no longer needed")

// Input sends the event stream that is the body of a request.
type Input struct {
	client *Client
	call   *pending
	start  func(*Input)
	done   chan struct{} // closed when no more events may be sent
	ended  bool          // done is closed; guarded by Client.mu
}

// inputEvent is an event that waits to be sent.
type inputEvent struct {
	frame Frame
	sent  chan error // has room for the result
}

// DoInput is [Client.Do] for a request whose header announces an event stream. start is
// called with the input when the request has been queued, and must not block. Events may be
// sent until the server aborts the input, answers with a plain response, or the call ends
// in any other way; a response that is an event stream does not end it. The call continues if
// an event cannot be sent.
func (c *Client) DoInput(ctx context.Context, r *Request, start func(*Input)) (*Response, *Stream, error) {
	p := &pending{}
	p.input = &Input{client: c, call: p, start: start, done: make(chan struct{})}
	_, a := c.do(ctx, r, p)
	return a.response, a.stream, a.err
}

// Done returns a channel that is closed when no more events are needed.
func (i *Input) Done() <-chan struct{} { return i.done }

// Send sends an event and returns when it has been written. As no more than one event of an
// input waits, a slow socket slows down its inputs. An event of kind done or error is the
// last. The ID of e is ignored. After Done is closed Send returns [ErrInputStopped]. If the
// metadata is not valid it returns an error and the input stays open. Send must be called
// by one goroutine at a time.
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

// end ends the input, which may be nil. Client.mu must be held.
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

// stopInput ends the input of a call that has not been answered.
func (c *Client) stopInput(id ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.calls[string(id)]; p != nil {
		p.input.end()
	}
}

// sendInput writes an event, unless the input has ended.
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
