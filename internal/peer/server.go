package peer

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"sync"
)

// DefaultMaxInFlight is the default of ServerOptions.MaxInFlight.
const DefaultMaxInFlight = 256

// ServerOptions are the options of [NewServer]. Handle, Send and Panic are
// required.
type ServerOptions struct {
	// Handle runs one request, on a goroutine of its own. It answers through
	// the call. The context ends when the client aborts the request (the cause
	// is [ErrAborted]), when the server is closed ([ErrClosed]), and when the
	// call is over.
	Handle func(ctx context.Context, r *Request, c *Call)

	// Send writes one frame. It must be safe for concurrent use. Its context is
	// what [Call.Respond] or [Call.Event] was given, and that of [NewServer] for
	// frames that the server sends by itself.
	Send func(ctx context.Context, f Frame) error

	// Panic is told what Handle has panicked with. The call ends without an answer.
	Panic func(r *Request, v any)

	// BadRequest makes the answer to a request that cannot be read, if it has
	// an id. Nil means a response with status 400 and no body.
	BadRequest func(err *DecodeError) *Response

	// Busy makes the answer to a request beyond MaxInFlight. Nil means a
	// response with status 429 and no body.
	Busy func(r *Request) *Response

	// MaxInFlight bounds the calls whose handler runs or that are held. Zero
	// means [DefaultMaxInFlight].
	MaxInFlight int

	// InputLimit bounds the unread events of each request that is an event stream.
	InputLimit Limit
}

// Server runs the requests of one socket. Create it with [NewServer]. Its
// methods are safe for concurrent use.
type Server struct {
	o        ServerOptions
	ctx      context.Context //nolint:containedctx // the life of the socket, from which sends and handlers derive
	handlers sync.WaitGroup

	// mu guards what follows and the state of every call. Invariants: a call is
	// in calls exactly while its over is nil; inFlight counts the calls whose
	// handler runs or that are not over; once closed is set, calls is empty and
	// stays so.
	mu       sync.Mutex
	calls    map[string]*Call
	inFlight int
	closed   bool
}

// NewServer returns a server for a socket whose life is ctx. It panics if a
// required option is missing.
func NewServer(ctx context.Context, o ServerOptions) *Server {
	if o.Handle == nil || o.Send == nil || o.Panic == nil {
		panic("peer: new server: Handle, Send and Panic are required")
	}
	if o.BadRequest == nil {
		o.BadRequest = func(*DecodeError) *Response { return &Response{Status: http.StatusBadRequest} }
	}
	if o.Busy == nil {
		o.Busy = func(*Request) *Response { return &Response{Status: http.StatusTooManyRequests} }
	}
	o.MaxInFlight = cmp.Or(o.MaxInFlight, DefaultMaxInFlight)
	return &Server{o: o, ctx: ctx, calls: make(map[string]*Call)}
}

// Receive takes a frame from the client. It is called by the reader of the
// socket, one frame after another, and never waits for a handler. It sends the
// answers to unreadable and surplus requests itself, so that a client that
// makes too many is slowed down by its own socket.
//
// A second request with an id in use, and events and aborts for an id that is
// not in use, are ignored. A frame that cannot be read and has no answer gives
// a *[DecodeError]; the server stays usable. Other errors are those of Send,
// and [ErrClosed].
func (s *Server) Receive(f Frame) error {
	m, err := DecodeRequest(f)
	if err != nil {
		return s.refuse(err)
	}
	switch m := m.(type) {
	case *Request:
		return s.start(m)
	case *Event:
		if c := s.call(m.ID); c != nil && c.input != nil && !c.input.push(m) {
			return s.sendAbort(m.ID)
		}
	case *Abort:
		if c := s.call(m.ID); c != nil {
			c.end(ErrAborted)
		}
	}
	return nil
}

func (s *Server) call(id ID) *Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[string(id)]
}

func (s *Server) start(r *Request) error {
	s.mu.Lock()
	switch {
	case s.closed:
		s.mu.Unlock()
		return ErrClosed
	case s.calls[string(r.ID)] != nil:
		s.mu.Unlock()
		return nil
	case s.inFlight >= s.o.MaxInFlight:
		s.mu.Unlock()
		return s.send(r.ID, s.o.Busy(r))
	}
	defer s.mu.Unlock()
	ctx, cancel := context.WithCancelCause(s.ctx)
	c := &Call{server: s, id: r.ID, cancel: cancel, running: true}
	if IsEventStream(r.Header) {
		c.input = newQueue(s.o.InputLimit)
	}
	s.calls[string(r.ID)] = c
	s.inFlight++
	s.handlers.Add(1)
	go s.run(ctx, r, c)
	return nil
}

func (s *Server) run(ctx context.Context, r *Request, c *Call) {
	defer s.handlers.Done()
	growStack()
	defer c.returned()
	defer func() {
		if v := recover(); v != nil {
			c.Finish()
			s.o.Panic(r, v)
		}
	}()
	s.o.Handle(ctx, r, c)
}

// refuse deals with a frame that could not be read.
func (s *Server) refuse(err error) error {
	bad, ok := errors.AsType[*DecodeError](err)
	if !ok || bad.ID == nil {
		return err
	}
	c := s.call(bad.ID)
	if c != nil && c.input != nil && bad.Event {
		c.input.fail(err)
	}
	if c != nil || bad.Event {
		return err
	}
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	if closed {
		return ErrClosed
	}
	return s.send(bad.ID, s.o.BadRequest(bad))
}

// send writes a response that belongs to no call.
func (s *Server) send(id ID, r *Response) error {
	f, err := encodeAnswer(id, r)
	if err != nil {
		return err
	}
	return s.o.Send(s.ctx, f)
}

func (s *Server) sendAbort(id ID) error {
	return s.o.Send(s.ctx, Frame{Data: AppendAbort(nil, id)})
}

// encodeAnswer encodes r under this id without changing r.
func encodeAnswer(id ID, r *Response) (Frame, error) {
	answer := *r
	answer.ID = id
	return EncodeResponse(&answer)
}

// Close ends all calls and their contexts with [ErrClosed]. Nothing is sent for
// them any more.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	calls := make([]*Call, 0, len(s.calls))
	for _, c := range s.calls {
		calls = append(calls, c)
	}
	s.mu.Unlock()
	for _, c := range calls {
		c.end(ErrClosed)
	}
}

// Wait joins the handlers. It is called after [Server.Close].
func (s *Server) Wait() { s.handlers.Wait() }
