package peer

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
)

// ClientOptions are the options of [NewClient].
type ClientOptions struct {
	// Sequence makes the ids of requests. Nil means a sequence of the client's own.
	Sequence *Sequence

	// Context ends when the socket closes. Nil means a context that does not end.
	Context context.Context

	// Flush is called after send when nothing else waits to be sent: until then send
	// may hold back what was passed to it. It may be nil.
	Flush func()

	// StreamLimit bounds the unread events of each [Stream].
	StreamLimit Limit
}

// Client sends requests over one socket and matches the answers to them. Create it
// with [NewClient]. Its methods are safe for concurrent use.
type Client struct {
	send   func(context.Context, Frame) error
	flush  func()
	life   context.Context //nolint:containedctx // of the socket: what is sent derives from it
	ids    *Sequence
	limit  Limit
	sender sync.WaitGroup

	// mu guards what follows and the state of every call. Invariants: a call is
	// in calls until its answer, and if that is an event stream until the end
	// of the stream; the goroutine that removes a call, and no other, ends it; once
	// closed is set, calls is empty and stays so, and nothing is queued any more. queued is
	// signalled when queue is no longer empty, and when closed is set.
	mu        sync.Mutex
	calls     map[string]*pending
	queue     []outgoing
	withdrawn int  // requests that were taken out of the queue, or of the batch that is being sent
	sending   bool // sender is running
	queued    sync.Cond
	closed    error
}

// pending is a call from its request to its answer or the end of its stream.
type pending struct {
	id       ID
	observer *Observer     // nil: events go to a Stream
	input    *Input        // nil unless the request is an event stream
	sending  ValuesContext // of send
	answered chan struct{} // receives one element, when answer is set
	answer   answer        // written once, before that

	// Guarded by Client.mu.
	progress progress
	frame    Frame // of the request, while that is waiting
	replied  bool
	stream   *Stream // set with replied, if events go to a Stream
}

type answer struct {
	response *Response
	stream   *Stream
	err      error
}

// Observer is called for what arrives for one request, in order, as part of
// [Client.Receive], which waits for it. Nil functions are not called.
type Observer struct {
	// Response is called with the response, before the first event.
	Response func(*Response)

	// Event is called with each event, up to the one that ends the stream.
	Event func(*Event)

	// Unreadable is called for an event that cannot be read, in its place; the stream
	// goes on. If it is nil the stream breaks.
	Unreadable func(*DecodeError)

	// Failed is called when the stream breaks before its end. No call of Event
	// begins after it. If the reason is [Client.Close], one that runs at that
	// moment on the reader's goroutine goes on.
	Failed func(error)
}

// NewClient returns a client that writes frames with send. Nil options mean
// the defaults.
//
// Frames are sent one after another. The context of send has the values of the call's
// and ends with [ClientOptions.Context], not with the call: send has to return when the
// socket is closed or does not take the frame in time.
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

// Do sends a request under an id of its own and waits for the response. If the
// response announces an event stream, the stream is returned too and must be
// closed.
//
// The context governs the wait only. When it ends, Do returns its cause at once
// and the server is sent an abort, after the request. If it ends before the request was
// sent, nothing is. Other errors are those of send, a *[DecodeError] if the
// response cannot be read, and one that wraps [ErrClosed] if the client was
// closed. The request is not changed; its id is ignored.
func (c *Client) Do(ctx context.Context, r *Request) (*Response, *Stream, error) {
	_, a := c.do(ctx, r, &pending{})
	return a.response, a.stream, a.err
}

// DoFunc is [Client.Do] for a caller that handles what arrives on the
// reader's goroutine, without a queue in between. The observer has seen the
// response when DoFunc returns. Calling stop ends the stream and sends an abort
// if it is still open; no call of the observer begins after it.
func (c *Client) DoFunc(ctx context.Context, r *Request, o Observer) (response *Response, stop func(), err error) {
	p, a := c.do(ctx, r, &pending{observer: &o})
	return a.response, func() { c.stop(p) }, a.err
}

// do makes the call p, in which only observer and input are set.
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
	<-p.answered // it has come in the meantime
	return p, p.answer
}

// start puts the call into the table and queues its request.
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

// remove takes the call out of the table, with mu held. It reports whether it
// was in.
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

// Receive takes a frame from the server, whose memory it does not keep. It is called by
// the reader of the socket, one frame after another, and does not wait for anything but
// observers. Frames for calls that have ended are ignored. For a frame that cannot be
// read it returns a *[DecodeError], and fails the call that the frame belongs to; the
// client stays usable.
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

// Refuse takes the place of [Client.Receive] for a message that cannot be read. It
// fails the call that the message belongs to, as far as err is a *[DecodeError] that
// names one. The server may regard it as open, so it is sent an abort. A stream goes on
// if its observer takes unreadable events.
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
	case streaming && p.skips(bad): // also if it is cut before it shows that it is an event
		p.observer.Unreadable(bad)
	case streaming == bad.Event && c.stop(p):
		p.fail(err)
	}
}

// RefuseAll takes the place of [Client.Receive] for a message that may belong to any
// call. It fails all calls as Refuse does. Each observer that takes unreadable events is
// passed this one, and its stream goes on.
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

// skips reports whether the stream of p goes on after an event that cannot be read.
func (p *pending) skips(bad *DecodeError) bool {
	last := bad.Kind == EventDone || bad.Kind == EventError
	return !last && p.observer != nil && p.observer.Unreadable != nil
}

func (p *pending) reply(a answer) {
	p.answer = a
	p.answered <- struct{}{}
}

// fail ends a call that was taken out of the table before its end.
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

// Close ends all calls with an error that wraps [ErrClosed] and the cause,
// which may be nil. Streams still return what they hold before it. Nothing is
// sent for them, since the socket is closed or about to be. Later calls fail with the same
// error.
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

// Wait joins the goroutine that sends frames. It is called after [Client.Close], and
// returns when the last send has returned.
func (c *Client) Wait() { c.sender.Wait() }
