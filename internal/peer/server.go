package peer

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/go-orpc/durable-iterator/internal/goroutine"
)

// Server runs the requests of one socket. Make it with [NewServer] or [Servers.New]. Its
// methods are safe for concurrent use.
type Server struct {
	o         *ServerOptions
	ctx       context.Context //nolint:containedctx // of the socket; the contexts of sends and handlers derive from it
	owner     any
	write     func(context.Context, Frame) error
	handlers  sync.WaitGroup
	decoding  turns // see Call.StartDecoding
	answering turns // see Call.StartAnswer

	// mu guards the fields below and the state of every call.
	//
	//   - A call is in calls exactly while its over is nil, and in its lane while its
	//     handler has not begun, perhaps a little longer.
	//   - A call waits in a lane only while others of the lane run. The first lane is for
	//     calls that are not urgent.
	//   - bytes is the sum of the costs of all calls and of the events in their
	//     inputs. freed is signalled when it falls, and when stopped is set.
	//   - After stopped is set no handler begins, and the lanes are empty.
	mu      sync.Mutex
	freed   sync.Cond
	calls   callTable
	lanes   [1 + MaxUrgent]lane
	streams int
	bytes   int
	stopped bool
}

// NewServer returns a server for a socket. ctx must end when the socket closes. NewServer
// panics if a required option is missing.
func NewServer(ctx context.Context, o ServerOptions) *Server {
	return NewServers(o).New(ctx, nil, o.Send)
}

// Receive handles a frame from the client, whose memory it does not keep. It must be called
// by the reader of the socket, one frame after another. If a request cannot be read,
// Receive sends the answer itself.
//
// Receive does not wait for handlers, unless requests and unread events would hold more
// than [ServerOptions.MaxBytes] with this frame: it then waits until there is room. A
// request beyond MaxCalls waits in memory, undecoded, until a handler ends or an abort
// removes it.
//
// A second request with an id in use, and events and aborts for an id that is not in use,
// are ignored. For a frame that cannot be read and has no answer Receive returns a
// *[DecodeError]; the server stays usable. Other errors are those of Send, and [ErrClosed].
func (s *Server) Receive(f Frame) error {
	run, err := s.Take(f.clone())
	if run != nil {
		go run()
	}
	return err
}

// Take is Receive for a caller that can spare a goroutine and the memory of the frame. It
// does not start the handler of a request, but returns a function that runs it, which the
// caller must call once. run is nil for other frames.
func (s *Server) Take(f Frame) (run func(), err error) {
	m, err := s.decode(f)
	if err != nil {
		return nil, s.refuse(err)
	}
	switch m := m.(type) {
	case *Request:
		return s.start(m, f)
	case *Event:
		return nil, s.input(m)
	case *Abort:
		if c := s.call(m.ID); c != nil {
			c.end(ErrAborted)
		}
	}
	return run, nil
}

// decode decodes a frame. A large frame waits until no input is being decoded.
func (s *Server) decode(f Frame) (Message, error) {
	if len(f.Data) >= largeFrame {
		if err := s.decoding.take(s.ctx); err != nil {
			return nil, err
		}
		defer s.decoding.release()
	}
	return DecodeRequest(f)
}

func (s *Server) call(id ID) *Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls.find(id)
}

func (s *Server) start(r *Request, f Frame) (run func(), err error) {
	c := &Call{server: s, id: r.ID, cost: cap(f.Data) + headerSize(r.Header) + callOverhead, lane: &s.lanes[s.o.Urgent(r)]}
	if IsEventStream(r.Header) && s.o.TakesEvents(r) {
		c.input = newInput(s.free)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.calls.find(r.ID) != nil {
		return run, nil
	}
	if err := s.hold(c.cost); err != nil {
		return nil, err
	}
	s.calls.add(c)
	if c.lane.free() && c.lane.empty() {
		ctx := s.occupy(c)
		return func() { s.run(ctx, r, c) }, nil
	}
	c.frame = f
	c.lane.push(c)
	return run, nil
}

// input adds an event to the input of its call.
func (s *Server) input(e *Event) error {
	s.mu.Lock()
	c := s.calls.find(e.ID)
	if c == nil || c.input == nil {
		s.mu.Unlock()
		return nil
	}
	err := s.hold(e.cost())
	s.mu.Unlock()
	if err == nil {
		c.input.push(e)
	}
	return err
}

// hold waits until there is room for cost bytes and counts them. mu must be held; it is
// released while hold waits.
func (s *Server) hold(cost int) error {
	for !s.stopped && s.bytes > 0 && s.bytes+cost > s.o.MaxBytes {
		s.freed.Wait()
	}
	if s.stopped {
		return ErrClosed
	}
	s.bytes += cost
	return nil
}

func (s *Server) free(cost int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.freeHeld(cost)
}

// freeHeld is free for a caller that holds mu.
func (s *Server) freeHeld(cost int) {
	s.bytes -= cost
	s.freed.Signal() // the reader, if it waits
}

// occupy counts a call as running and returns the context of its handler. mu must be held.
func (s *Server) occupy(c *Call) context.Context {
	ctx, cancel := context.WithCancelCause(s.ctx)
	c.cancel, c.running, c.occupies, c.frame = cancel, true, true, Frame{}
	c.lane.running++
	s.handlers.Add(1)
	return ctx
}

// vacate stops counting c as running, and starts calls that wait for its place. mu must be
// held.
func (s *Server) vacate(c *Call) {
	if !c.occupies {
		return
	}
	c.occupies = false
	c.lane.running--
	s.fill(c.lane, 2)
}

// answered is called for a call that no longer waits for a turn to answer.
func (s *Server) answered(l *lane) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l.unanswered--
	s.fill(l, 1)
}

// fill starts up to n waiting calls, as many as may run. mu must be held.
func (s *Server) fill(l *lane, n int) {
	for ; n > 0 && !s.stopped && l.free(); n-- {
		c := l.pop()
		if c == nil {
			return
		}
		f := c.frame
		ctx := s.occupy(c)
		go s.runWaiting(ctx, f, c)
	}
}

// runWaiting decodes and runs a request that has waited.
func (s *Server) runWaiting(ctx context.Context, f Frame, c *Call) {
	m, _ := s.decode(f)
	r, ok := m.(*Request)
	if !ok { // the server was stopped; the frame itself has been decoded before
		c.returned()
		s.handlers.Done()
		return
	}
	s.run(ctx, r, c)
}

func (s *Server) run(ctx context.Context, r *Request, c *Call) {
	defer s.handlers.Done()
	goroutine.GrowStack() // unless the caller has
	defer c.returned()
	defer func() {
		if v := recover(); v != nil {
			c.Finish()
			s.o.Panic(r, v)
		}
	}()
	s.o.Handle(ctx, r, c)
}

// refuse handles a frame that could not be read, and answers it if it is a request.
func (s *Server) refuse(err error) error {
	bad, ok := errors.AsType[*DecodeError](err)
	if !ok || bad.ID == nil {
		return err
	}
	s.mu.Lock()
	c, stopped := s.calls.find(bad.ID), s.stopped
	s.mu.Unlock()
	if c != nil && c.input != nil && bad.Event {
		c.input.fail(err)
	}
	switch {
	case c != nil || bad.Event:
		return err
	case stopped:
		return ErrClosed
	}
	return s.send(bad.ID, s.o.BadRequest(s.ctx, bad))
}

// send sends a response that belongs to no call.
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

// encodeAnswer encodes r with the given id, without changing r.
func encodeAnswer(id ID, r *Response) (Frame, error) {
	answer := *r
	answer.ID = id
	return EncodeResponse(&answer)
}

// Stop drops the requests whose handlers have not begun, and makes Receive return
// [ErrClosed] for requests, even if it waits. Running handlers continue. Stop does not wait.
func (s *Server) Stop() {
	s.mu.Lock()
	s.stopped = true
	var dropped []*Call
	for i := range s.lanes {
		l := &s.lanes[i]
		for c := l.pop(); c != nil; c = l.pop() {
			dropped = append(dropped, c)
		}
	}
	s.freed.Broadcast()
	s.mu.Unlock()
	for _, c := range dropped {
		c.end(ErrClosed)
	}
	s.decoding.close()
	s.answering.close()
}

// Close stops the server and ends all calls and their contexts with [ErrClosed]. Nothing
// more is sent for them.
func (s *Server) Close() {
	s.Stop()
	s.mu.Lock()
	calls := slices.Clone(s.calls.list)
	s.mu.Unlock()
	for _, c := range calls {
		c.end(ErrClosed)
	}
}

// Wait waits for all handlers to return. It must be called after [Server.Close].
func (s *Server) Wait() { s.handlers.Wait() }
