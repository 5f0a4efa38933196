package peer

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
)

// DefaultMaxInFlight is the default of ServerOptions.MaxInFlight.
const DefaultMaxInFlight = 256

// ServerOptions are the options of [NewServer] and [NewServers]. Handle, Panic and,
// for NewServer, Send are required.
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
	// an id. Nil means a response with status 400 and no body. Its context is that
	// of NewServer.
	BadRequest func(ctx context.Context, err *DecodeError) *Response

	// Busy makes the answer to a request beyond MaxInFlight. Nil means a
	// response with status 429 and no body. Its context is that of NewServer.
	Busy func(ctx context.Context, r *Request) *Response

	// MaxInFlight bounds the calls whose handler runs or that are held. Zero
	// means [DefaultMaxInFlight].
	MaxInFlight int

	// TakesEvents reports whether the events of a request that is an event stream are
	// kept for its handler. Nil takes none: they are ignored.
	TakesEvents func(r *Request) bool

	// InputLimit bounds the unread events of each request that is an event stream.
	InputLimit Limit
}

// Servers makes the servers of many sockets, which share their options.
type Servers struct{ o ServerOptions }

// NewServers keeps o, of which Send is not used. It panics if a required option is
// missing.
func NewServers(o ServerOptions) *Servers {
	if o.Handle == nil || o.Panic == nil {
		panic("peer: new server: Handle and Panic are required")
	}
	if o.BadRequest == nil {
		o.BadRequest = func(context.Context, *DecodeError) *Response { return &Response{Status: http.StatusBadRequest} }
	}
	if o.Busy == nil {
		o.Busy = func(context.Context, *Request) *Response { return &Response{Status: http.StatusTooManyRequests} }
	}
	o.MaxInFlight = cmp.Or(o.MaxInFlight, DefaultMaxInFlight)
	return &Servers{o}
}

// New returns a server for a socket whose life is ctx and that send writes to: see
// [ServerOptions.Send].
func (s *Servers) New(ctx context.Context, send func(context.Context, Frame) error) *Server {
	if send == nil {
		panic("peer: new server: Send is required")
	}
	return &Server{o: &s.o, ctx: ctx, write: send}
}

// Server runs the requests of one socket. Create it with [NewServer] or
// [Servers.New]. Its methods are safe for concurrent use.
type Server struct {
	o        *ServerOptions
	ctx      context.Context //nolint:containedctx // the life of the socket, from which sends and handlers derive
	write    func(context.Context, Frame) error
	handlers sync.WaitGroup

	// mu guards what follows and the state of every call. Invariants: a call is
	// in calls exactly while its over is nil; inFlight counts the calls whose
	// handler runs or that are not over; once closed is set, calls is empty and
	// stays so. An idle socket has one call or none, so calls is a list.
	mu       sync.Mutex
	calls    []*Call
	inFlight int
	closed   bool
}

// NewServer returns a server for a socket whose life is ctx. It panics if a
// required option is missing.
func NewServer(ctx context.Context, o ServerOptions) *Server { return NewServers(o).New(ctx, o.Send) }

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
	run, err := s.Take(f)
	if run != nil {
		go run()
	}
	return err
}

// Take is Receive for a caller that has a goroutine to spare: it does not start the
// handler of a request, but returns it as run, which has to be called once. There is
// none for other frames.
func (s *Server) Take(f Frame) (run func(), err error) {
	m, err := DecodeRequest(f)
	if err != nil {
		return nil, s.refuse(err)
	}
	switch m := m.(type) {
	case *Request:
		return s.start(m)
	case *Event:
		if c := s.call(m.ID); c != nil && c.input != nil && !c.input.push(m) {
			return nil, s.sendAbort(m.ID)
		}
	case *Abort:
		if c := s.call(m.ID); c != nil {
			c.end(ErrAborted)
		}
	}
	return run, nil
}

func (s *Server) call(id ID) *Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.find(id)
}

// find is called with mu held.
func (s *Server) find(id ID) *Call {
	for _, c := range s.calls {
		if string(c.id) == string(id) {
			return c
		}
	}
	return nil
}

// forget is called with mu held, for a call that is over.
func (s *Server) forget(c *Call) {
	i, last := slices.Index(s.calls, c), len(s.calls)-1
	s.calls[i], s.calls[last] = s.calls[last], nil
	s.calls = s.calls[:last]
}

func (s *Server) start(r *Request) (run func(), err error) {
	takesEvents := IsEventStream(r.Header) && s.o.TakesEvents != nil && s.o.TakesEvents(r)
	s.mu.Lock()
	switch {
	case s.closed:
		s.mu.Unlock()
		return nil, ErrClosed
	case s.find(r.ID) != nil:
		s.mu.Unlock()
		return run, nil
	case s.inFlight >= s.o.MaxInFlight:
		s.mu.Unlock()
		return nil, s.send(r.ID, s.o.Busy(s.ctx, r))
	}
	defer s.mu.Unlock()
	ctx, cancel := context.WithCancelCause(s.ctx)
	c := &Call{server: s, id: r.ID, cancel: cancel, running: true}
	if takesEvents {
		c.input = newQueue(s.o.InputLimit)
	}
	s.calls = append(s.calls, c)
	s.inFlight++
	s.handlers.Add(1)
	return func() { s.run(ctx, r, c) }, nil
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
	return s.send(bad.ID, s.o.BadRequest(s.ctx, bad))
}

// send writes a response that belongs to no call.
func (s *Server) send(id ID, r *Response) error {
	f, err := encodeAnswer(id, r)
	if err != nil {
		return err
	}
	return s.write(s.ctx, f)
}

func (s *Server) sendAbort(id ID) error {
	return s.write(s.ctx, Frame{Data: AppendAbort(nil, id)})
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
	calls := slices.Clone(s.calls)
	s.mu.Unlock()
	for _, c := range calls {
		c.end(ErrClosed)
	}
}

// Wait joins the handlers. It is called after [Server.Close].
func (s *Server) Wait() { s.handlers.Wait() }
