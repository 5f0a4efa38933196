package peer

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/go-orpc/durable-iterator/internal/goroutine"
)

// Server runs the requests of one socket. Create it with [NewServer] or
// [Servers.New]. Its methods are safe for concurrent use.
type Server struct {
	o         *ServerOptions
	ctx       context.Context //nolint:containedctx // the life of the socket, from which sends and handlers derive
	owner     any
	write     func(context.Context, Frame) error
	handlers  sync.WaitGroup
	decoding  turns // see Call.StartDecoding
	answering turns // see Call.StartAnswer

	// mu guards what follows and the state of every call.
	//
	//   - A call is in calls exactly while its over is nil, and in its lane while its
	//     handler has not begun, perhaps a little longer.
	//   - A call is in a lane only while others of the lane run. The first lane is for
	//     calls that are not urgent.
	//   - bytes is the sum of the costs of all calls and of the events in their
	//     inputs. freed is signalled when it falls, and when stopped is set.
	//   - Once stopped is set no handler begins, and the lanes are empty; once closed is
	//     set, so is calls.
	mu      sync.Mutex
	freed   sync.Cond
	calls   callTable
	lanes   [1 + MaxUrgent]lane
	streams int
	bytes   int
	stopped bool
}

// NewServer returns a server for a socket whose life is ctx. It panics if a
// required option is missing.
func NewServer(ctx context.Context, o ServerOptions) *Server {
	return NewServers(o).New(ctx, nil, o.Send)
}

// Receive takes a frame from the client, whose memory it does not keep. It is called by
// the reader of the socket, one frame after another. It sends the answer to an unreadable
// request itself.
//
// It does not wait for a handler unless requests, or events that are not read, hold more
// than [ServerOptions.MaxBytes] with this frame: then it waits until there is room, and
// the reader with it. A request without a free handler waits in memory instead, undecoded.
// An abort takes it out.
//
// A second request with an id in use, and events and aborts for an id that is
// not in use, are ignored. A frame that cannot be read and has no answer returns
// a *[DecodeError]; the server stays usable. Other errors are those of Send,
// and [ErrClosed].
func (s *Server) Receive(f Frame) error {
	run, err := s.Take(f.clone())
	if run != nil {
		go run()
	}
	return err
}

// Take is Receive for a caller that has a goroutine and the memory of the frame to spare:
// it does not start the handler of a request, but returns it as run, which has to be
// called once. There is none for other frames.
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

// decode keeps large frames from being decoded beside an input.
func (s *Server) decode(f Frame) (Message, error) {
	if len(f.Data) >= largeFrame {
		if err := s.decoding.take(s.ctx); err != nil {
			return nil, err
		}
		defer s.decoding.give()
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

// hold counts bytes that are going to be held, once there is room for them. It is called
// with mu held, which is free while it waits.
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

// freeHeld is called with mu held.
func (s *Server) freeHeld(cost int) {
	s.bytes -= cost
	s.freed.Signal() // the reader, if it waits
}

// occupy makes a call one whose handler runs, with mu held.
func (s *Server) occupy(c *Call) context.Context {
	ctx, cancel := context.WithCancelCause(s.ctx)
	c.cancel, c.running, c.occupies, c.frame = cancel, true, true, Frame{}
	c.lane.running++
	s.handlers.Add(1)
	return ctx
}

// vacate lets others run in place of the handler of c, with mu held.
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

// fill runs calls that wait, up to n of them and as many as may run, with mu held.
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

// runWaiting runs a request that has waited.
func (s *Server) runWaiting(ctx context.Context, f Frame, c *Call) {
	m, _ := s.decode(f)
	r, ok := m.(*Request)
	if !ok { // the server was stopped: a frame that has been decoded once can be again
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

// refuse deals with a frame that could not be read.
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

// Stop drops the requests whose handlers have not begun, and ends a Receive that waits:
// from then on it returns [ErrClosed] for requests. Handlers that run go on. It does not
// wait.
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
// is sent for them any more.
func (s *Server) Close() {
	s.Stop()
	s.mu.Lock()
	calls := slices.Clone(s.calls.list)
	s.mu.Unlock()
	for _, c := range calls {
		c.end(ErrClosed)
	}
}

// Wait joins the handlers. It is called after [Server.Close].
func (s *Server) Wait() { s.handlers.Wait() }
