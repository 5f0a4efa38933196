package peer

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
)

// ClientOptions configures [NewClient].
type ClientOptions struct {
	// Sequence makes the ids of requests. Nil means a new sequence.
	Sequence *Sequence

	// Context must end when the socket closes. Nil means [context.Background].
	Context context.Context

	// Flush is called after send when no other frame waits to be sent. Until then send may
	// hold back the frames that it was passed. It may be nil.
	Flush func()

	// StreamLimit bounds the unread events of each [Stream].
	StreamLimit Limit
}

// Client sends requests over one socket and matches the answers to them. Make it with
// [NewClient]. Its methods are safe for concurrent use.
type Client struct {
	send   func(context.Context, Frame) error
	flush  func()
	life   context.Context //nolint:containedctx // of the socket; the contexts of send derive from it
	ids    *Sequence
	limit  Limit
	sender sync.WaitGroup

	// mu guards the fields below and the state of every call. A call is in calls until its
	// answer arrives, and if that is an event stream until the stream ends. The goroutine
	// that removes a call, and no other, ends it. Once closed is set, calls is empty and
	// stays so, and nothing more is queued. queued is signalled when queue is no longer
	// empty, and when closed is set.
	mu        sync.Mutex
	calls     map[string]*pending
	queue     []outgoing
	withdrawn int  // requests that were taken out of the queue, or of the batch that is being sent
	sending   bool // sender is running
	queued    sync.Cond
	closed    error
}

// pending is a call between its request and its answer or the end of its stream.
type pending struct {
	id       ID
	observer *Observer     // nil: events go to a Stream
	input    *Input        // nil unless the request is an event stream
	sending  ValuesContext // passed to send
	answered chan struct{} // receives one element when answer is set
	answer   answer        // written once, before answered

	// Guarded by Client.mu.
	progress progress
	frame    Frame // of the request, while that waits
	replied  bool
	stream   *Stream // set with replied, if events go to a Stream
}

type answer struct {
	response *Response
	stream   *Stream
	err      error
}

// Observer is a set of functions that are called for what arrives for one request, in
// order. [Client.Receive] calls them and waits for them. Nil functions are not called.
type Observer struct {
	// Response is called with the response, before the first event.
	Response func(*Response)

	// Event is called with each event, up to the one that ends the stream.
	Event func(*Event)

	// Unreadable is called in place of Event for an event that cannot be read; the stream
	// continues. If it is nil the stream fails.
	Unreadable func(*DecodeError)

	// Failed is called when the stream fails before its end. Event is not called after it.
	// A call of Event that is running on the reader's goroutine when [Client.Close] makes
	// the stream fail continues.
	Failed func(error)
}

// NewClient returns a client that writes frames with send. Nil options mean the defaults; o
// is not kept.
//
// Frames are sent one after another. The context of send has the values of the call's
// context, but ends with [ClientOptions.Context] instead of the call: send must return when
// the socket is closed or does not take the frame in time.
func NewClient(send func(context.Context, Frame) error, o *ClientOptions) *Client {
	if o == nil {
		o = &ClientOptions{}
	}
	c := &Client{send: send, flush: o.Flush, life: o.Context, ids: o.Sequence, limit: o.StreamLimit, calls: make(map[string]*pending)}
	c.queued.L = &c.mu
	if c.flush == nil {
		c.flush = func() {}
	}
	if c.life == nil {
		c.life = context.Background()
	}
	if c.ids == nil {
		c.ids = new(Sequence)
	}
	return c
}

// Do sends a request with a new id and waits for the response. If the response announces an
// event stream, the stream is returned too and must be closed.
//
// ctx limits the wait only. When it ends, Do returns its cause at once and the server is
// sent an abort after the request. If it ends before the request was sent, nothing is sent.
// Other errors are those of send, a *[DecodeError] if the response cannot be read, and one
// that wraps [ErrClosed] if the client was closed. The request is not changed; its id is
// ignored.
func (c *Client) Do(ctx context.Context, r *Request) (*Response, *Stream, error) {
	_, a := c.do(ctx, r, &pending{})
	return a.response, a.stream, a.err
}

// DoFunc is [Client.Do] for a caller that handles what arrives on the reader's goroutine,
// without a queue. The observer has been called with the response when DoFunc returns. stop
// ends the stream and sends an abort if it is still open; the observer is not called after
// it.
func (c *Client) DoFunc(ctx context.Context, r *Request, o Observer) (response *Response, stop func(), err error) {
	p, a := c.do(ctx, r, &pending{observer: &o})
	return a.response, func() { c.stop(p) }, a.err
}

// do makes the call p, of which only observer and input may be set.
func (c *Client) do(ctx context.Context, r *Request, p *pending) (*pending, answer) {
	p.answered = make(chan struct{}, 1)
	p.sending = WithValues(c.life, ctx)
	if ctx.Err() != nil {
		return p, answer{err: context.Cause(ctx)}
	}
	p.id = c.ids.Next()
	numbered := *r
	numbered.ID = p.id
	var err error
	if p.frame, err = EncodeRequest(&numbered); err != nil {
		return p, answer{err: err}
	}
	if err := c.start(p); err != nil {
		return p, answer{err: err}
	}
	if p.input != nil {
		p.input.start(p.input)
	}
	select {
	case <-p.answered:
		return p, p.answer
	case <-ctx.Done():
	}
	if c.stop(p) {
		return p, answer{err: context.Cause(ctx)}
	}
	<-p.answered // the answer has arrived in the meantime
	return p, p.answer
}

// start adds the call to calls and queues its request.
func (c *Client) start(p *pending) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed != nil {
		return c.closed
	}
	c.calls[string(p.id)] = p
	c.enqueue(outgoing{call: p})
	return nil
}

// remove removes the call from calls and reports whether it was there. mu must be held.
func (c *Client) remove(p *pending) bool {
	if c.calls[string(p.id)] != p {
		return false
	}
	delete(c.calls, string(p.id))
	p.input.end()
	return true
}

// stop removes the call, and sends an abort if the request was sent. It reports whether
// the call was still open.
func (c *Client) stop(p *pending) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.remove(p) {
		return false
	}
	if !c.withdraw(p) {
		c.enqueue(outgoing{call: p, abort: true})
	}
	return true
}

// Busy reports whether an answer or an event of a [Stream] is expected. Open streams of
// [Client.DoFunc] do not count.
func (c *Client) Busy() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.calls { // few have observers
		if p.observer == nil || !p.replied {
			return true
		}
	}
	return false
}

// Receive handles a frame from the server, whose memory it does not keep. It must be called
// by the reader of the socket, one frame after another. It waits only for observers. Frames
// for calls that have ended are ignored. For a frame that cannot be read it returns a
// *[DecodeError], and fails the call that the frame belongs to; the client stays usable.
func (c *Client) Receive(f Frame) error {
	m, err := DecodeResponse(f.clone())
	if err != nil {
		c.Refuse(err)
		return err
	}
	switch m := m.(type) {
	case *Response:
		c.respond(m)
	case *Event:
		c.event(m)
	case *Abort:
		c.stopInput(m.ID)
	}
	return nil
}

func (c *Client) respond(r *Response) {
	stream := IsEventStream(r.Header)
	c.mu.Lock()
	p := c.calls[string(r.ID)]
	if p == nil || p.replied {
		c.mu.Unlock()
		return
	}
	p.replied = true
	switch {
	case !stream:
		c.remove(p)
	case p.observer == nil:
		p.stream = &Stream{client: c, call: p, queue: newQueue(c.limit)}
	}
	c.mu.Unlock()
	if p.observer != nil && p.observer.Response != nil {
		p.observer.Response(r)
	}
	p.reply(answer{response: r, stream: p.stream})
}

func (c *Client) event(e *Event) {
	c.mu.Lock()
	p := c.calls[string(e.ID)]
	if p == nil || !p.replied {
		c.mu.Unlock()
		return
	}
	if e.ends() {
		c.remove(p)
	}
	c.mu.Unlock()
	switch {
	case p.stream != nil:
		if !p.stream.queue.push(e) {
			c.stop(p)
		}
	case p.observer.Event != nil:
		p.observer.Event(e)
	}
}

// Refuse is called instead of [Client.Receive] for a message that cannot be read. It fails
// the call that the message belongs to, if err is a *[DecodeError] with an id. The server
// is sent an abort, since it may regard the call as open. A stream continues if its observer
// has Unreadable.
func (c *Client) Refuse(err error) {
	bad, ok := errors.AsType[*DecodeError](err)
	if !ok || bad.ID == nil {
		return
	}
	c.mu.Lock()
	p := c.calls[string(bad.ID)]
	streaming := p != nil && p.replied
	c.mu.Unlock()
	switch {
	case p == nil:
	case streaming && p.skips(bad): // even if the message is cut before it shows that it is an event
		p.observer.Unreadable(bad)
	case streaming == bad.Event && c.stop(p):
		p.fail(err)
	}
}

// RefuseAll is called instead of [Client.Receive] for a message that may belong to any
// call. It fails all calls as Refuse does, except streams whose observer has Unreadable:
// that is called, and the stream continues.
func (c *Client) RefuseAll(err error) {
	c.mu.Lock()
	calls := slices.Collect(maps.Values(c.calls))
	c.mu.Unlock()
	unknown := &DecodeError{Event: true, Err: err}
	for _, p := range calls {
		switch {
		case p.observer != nil && p.observer.Unreadable != nil:
			if c.isStreaming(p) {
				p.observer.Unreadable(unknown)
			}
		case c.stop(p):
			p.fail(err)
		}
	}
}

// isStreaming reports whether the call is open and its response has arrived.
func (c *Client) isStreaming(p *pending) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return p.replied && c.calls[string(p.id)] == p
}

// skips reports whether the stream of p continues after an event that cannot be read.
func (p *pending) skips(bad *DecodeError) bool {
	last := bad.Kind == EventDone || bad.Kind == EventError
	return !last && p.observer != nil && p.observer.Unreadable != nil
}

func (p *pending) reply(a answer) {
	p.answer = a
	p.answered <- struct{}{}
}

// fail ends a call that was removed from calls before its end.
func (p *pending) fail(err error) {
	switch {
	case !p.replied:
		p.reply(answer{err: err})
	case p.stream != nil:
		p.stream.queue.fail(err)
	case p.observer.Failed != nil:
		p.observer.Failed(err)
	}
}

// Close ends all calls with an error that wraps [ErrClosed] and the cause, which may be
// nil. Streams first return the events that they hold. No aborts are sent, since the socket
// is closed or about to be. Later calls fail with the same error.
func (c *Client) Close(cause error) {
	c.mu.Lock()
	if c.closed == nil {
		c.closed = closedError(cause)
	}
	calls, err := c.calls, c.closed
	c.calls = nil
	for _, p := range calls {
		c.withdraw(p)
		p.input.end()
	}
	c.queued.Signal()
	c.mu.Unlock()
	for _, p := range calls {
		p.fail(err)
	}
}

// Wait waits for the goroutine that sends frames to end. It must be called after
// [Client.Close].
func (c *Client) Wait() { c.sender.Wait() }
