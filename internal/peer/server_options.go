package peer

import (
	"cmp"
	"context"
	"net/http"
)

// The defaults of [ServerOptions].
const (
	DefaultMaxCalls   = 256
	DefaultMaxStreams = 100
	DefaultMaxBytes   = 2 << 20
)

// MaxUrgent is the largest number that [ServerOptions.Urgent] may return.
const MaxUrgent = 2

const (
	// callOverhead is the number of bytes that a call costs in addition to its frame.
	callOverhead = 256
	// largeFrame is the size in bytes from which a frame is decoded only while no input of
	// the same socket is being decoded.
	largeFrame = 64 << 10
	// maxEncoded is the most answers of one socket that may be encoded and not yet sent.
	maxEncoded = 4
	// maxUnanswered is the number of calls that wait with their outputs to encode an
	// answer, at which no further handler of the socket begins.
	maxUnanswered = 4
)

// ServerOptions configures [NewServer] and [NewServers]. Handle, Panic and, for NewServer,
// Send are required.
type ServerOptions struct {
	// Handle runs one request, on a separate goroutine. It answers through the call. The
	// context ends when the client aborts the request (its cause is [ErrAborted]), when the
	// server is closed ([ErrClosed]), and when the call has ended.
	Handle func(ctx context.Context, r *Request, c *Call)

	// Send writes one frame. It must be safe for concurrent use. Its context is the one
	// passed to [Call.Respond] or [Call.Event], or that of [NewServer] for frames that the
	// server sends by itself. It may wait for a client that reads slowly, and must return
	// when the socket closes.
	Send func(ctx context.Context, f Frame) error

	// Panic is called with the value that Handle has panicked with. The call ends without
	// an answer.
	Panic func(r *Request, v any)

	// BadRequest returns the answer to a request that cannot be read but has an id. Its
	// context is that of NewServer. Nil means a response with status 400 and no body.
	BadRequest func(ctx context.Context, err *DecodeError) *Response

	// Urgent returns 1 to [MaxUrgent] for a request that must not wait for the client's
	// other calls, and 0 for any other. Urgent requests with the same number run one after
	// another. Nil means that none is urgent.
	Urgent func(r *Request) int

	// TakesEvents reports whether a request that announces an event stream has a handler
	// that reads it, with [Call.Next]. The events of other requests are dropped. Nil means
	// that no request has one.
	TakesEvents func(r *Request) bool

	// MaxCalls bounds the handlers that run at once, except those of urgent requests and of
	// open streams. Further requests wait. Zero means [DefaultMaxCalls].
	MaxCalls int

	// MaxStreams bounds the responses that are open event streams. For a further one
	// Respond returns [ErrTooManyStreams]. Zero means [DefaultMaxStreams].
	MaxStreams int

	// MaxBytes bounds the frames of requests from when they are received until their
	// handlers return, and the frames of unread events: see [Server.Receive]. Zero
	// means [DefaultMaxBytes].
	MaxBytes int
}

// Servers makes servers, one for each socket, that share their options.
type Servers struct{ o ServerOptions }

// NewServers returns a Servers with the given options, of which Send is not used. It panics
// if a required option is missing.
func NewServers(o ServerOptions) *Servers {
	if o.Handle == nil || o.Panic == nil {
		panic("peer: new server: Handle and Panic are required")
	}
	if o.BadRequest == nil {
		o.BadRequest = func(context.Context, *DecodeError) *Response { return &Response{Status: http.StatusBadRequest} }
	}
	if o.Urgent == nil {
		o.Urgent = func(*Request) int { return 0 }
	}
	if o.TakesEvents == nil {
		o.TakesEvents = func(*Request) bool { return false }
	}
	o.MaxCalls = cmp.Or(o.MaxCalls, DefaultMaxCalls)
	o.MaxStreams = cmp.Or(o.MaxStreams, DefaultMaxStreams)
	o.MaxBytes = cmp.Or(o.MaxBytes, DefaultMaxBytes)
	return &Servers{o}
}

// New returns a server for a socket. ctx must end when the socket closes. send writes
// frames to the socket: see [ServerOptions.Send]. [Call.Owner] returns owner. New panics if
// send is nil.
func (s *Servers) New(ctx context.Context, owner any, send func(context.Context, Frame) error) *Server {
	if send == nil {
		panic("peer: new server: Send is required")
	}
	server := &Server{o: &s.o, ctx: ctx, owner: owner, write: send}
	server.freed.L = &server.mu
	server.decoding.free, server.answering.free = 1, maxEncoded
	for i := range server.lanes {
		server.lanes[i].limit = 1
	}
	server.lanes[0].limit = s.o.MaxCalls
	return server
}
