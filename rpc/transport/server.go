package transport

import (
	"context"
	"encoding/json"
	"log/slog"

	"github.com/go-orpc/durable-iterator/internal/bridge"
	"github.com/go-orpc/durable-iterator/internal/faults"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

var newServers = bridge.NewServers.(func(*bridge.ServerOptions[rpc.Call]) bridge.Servers) //nolint:forcetypeassert // package rpc sets it

// maxUrgent is the maximum number of urgent paths.
const maxUrgent = 2

// ServerPeerOptions configures a [ServerPeer]. Handle and Send are required.
type ServerPeerOptions struct {
	// Handle runs each call, on a separate goroutine. Call.Path is the decoded path of the
	// request's address, Call.Method the method of the request, and Call.Input a
	// [value.Value]. If the output is a [Hibernation], it opens a stream of events that the
	// application sends; if it is that of an [rpc.EventProcedure], the peer sends the events.
	// If the error wraps [rpc.ErrNoProcedure], the status is 404. A panic results in an
	// internal error.
	//
	// The method is not checked. Over a socket, oRPC accepts GET for every procedure, because
	// links of other sites cannot cause requests there.
	Handle rpc.CallFunc

	// Send writes a message. It is called on many goroutines, which wait for it; it may wait
	// for a client that reads slowly. ctx is the context of the call; when it ends, Send may
	// return its cause instead of waiting. For answers that do not belong to a call, which
	// Receive sends, it is the context of [NewServerPeer]. When the socket closes, Send must
	// return.
	Send func(ctx context.Context, message []byte, binary bool) error

	// NewState returns the state of a call, which Handle and Send share: see
	// [rpc.Call.State]. Nil means that calls have no state.
	NewState func() any

	// TakesEvents reports whether the input of the procedure with a path is a stream of
	// events, as [rpc.Router.TakesEvents] does. Call.Input is then a stream, and events of
	// the client are kept until Handle reads them. Other streams of events are refused with
	// [rpc.CodeUnsupportedMediaType]. Nil means that there are no such procedures.
	TakesEvents func(path []string) bool

	// Serializers and Validator are as in [rpc.HandlerOptions].
	Serializers []value.Serializer
	Validator   rpc.Validator

	// Urgent lists the paths, in the form of Method.Path, of calls that do not wait for other
	// calls and do not count towards MaxCalls. Calls with the same urgent path run one after
	// another. They are meant for calls that keep a socket alive. The maximum is two paths.
	Urgent []string

	// MaxCalls is how many calls may run at once, not counting open streams. Further ones
	// wait without being decoded. 0 means 256.
	MaxCalls int

	// MaxStreams is how many streams of events may be open at once. Further ones are refused
	// with [rpc.CodeTooManyRequests]. 0 means 100.
	MaxStreams int

	// MaxPendingBytes limits the messages of calls that wait or run. While a further message
	// would exceed it, Receive waits, unless there are no others. Each message counts its
	// size and 256 bytes, and 128 bytes for each of its headers and 16 for each value of a
	// header. 0 means 2 MiB.
	MaxPendingBytes int

	// Logger receives panics at level Error, the causes of internal errors at level
	// Warn, and answers that could not be sent at level Debug. Nil means no logging.
	Logger *slog.Logger
}

// ServerPeer answers the calls that arrive as messages of a socket. It is oRPC's ServerPeer.
// Received messages are passed to Receive; it sends messages with [ServerPeerOptions.Send]. All
// methods but Receive and Take are safe for concurrent use.
//
// Calls run concurrently and are answered when they have returned. If the client aborts a call,
// its context ends and it is not answered.
type ServerPeer struct{ server bridge.Server }

// NewServerPeer returns the peer of a socket. The contexts of the calls are derived from ctx. It
// panics if Handle or Send is nil or other options are wrong: negative numbers, more than two
// Urgent paths, serializers that contradict each other. For many sockets with the same options
// use [NewServerPeers].
func NewServerPeer(ctx context.Context, o *ServerPeerOptions) *ServerPeer {
	return NewServerPeers(o).New(ctx, o.NewState, o.Send)
}

// ServerPeers creates the peers of many sockets, which share everything that does not depend
// on the socket. It is safe for concurrent use.
type ServerPeers struct{ servers bridge.Servers }

// NewServerPeers returns a ServerPeers with a copy of the options, whose NewState and Send are
// ignored. It panics as [NewServerPeer] does.
func NewServerPeers(o *ServerPeerOptions) *ServerPeers {
	var list faults.List
	list.If(o.Handle == nil, "Handle is required")
	list.If(len(o.Urgent) > maxUrgent, "there are more than %d Urgent paths", maxUrgent)
	faults.Negative(&list, "MaxCalls", o.MaxCalls)
	faults.Negative(&list, "MaxStreams", o.MaxStreams)
	faults.Negative(&list, "MaxPendingBytes", o.MaxPendingBytes)
	list.Panic("transport: NewServerPeers")
	return &ServerPeers{newServers(&bridge.ServerOptions[rpc.Call]{
		Handle:          hibernating(o.Handle),
		TakesEvents:     o.TakesEvents,
		Serializers:     o.Serializers,
		Validator:       o.Validator,
		Urgent:          o.Urgent,
		MaxCalls:        o.MaxCalls,
		MaxStreams:      o.MaxStreams,
		MaxPendingBytes: o.MaxPendingBytes,
		Logger:          o.Logger,
	})}
}

// hibernating returns a CallFunc that converts a [Hibernation] to the type of package rpc.
func hibernating(handle rpc.CallFunc) rpc.CallFunc {
	return func(ctx context.Context, call *rpc.Call) (any, error) {
		out, err := handle(ctx, call)
		if h, ok := out.(Hibernation); ok {
			return bridge.Hibernation(h), err
		}
		return out, err
	}
}

// New returns the peer of a socket. The contexts of its calls are derived from ctx. newState,
// which may be nil, and send are described at [ServerPeerOptions]. It panics if send is nil.
func (s *ServerPeers) New(
	ctx context.Context, newState func() any, send func(ctx context.Context, message []byte, binary bool) error,
) *ServerPeer {
	if send == nil {
		panic("transport: ServerPeers: Send is required")
	}
	return &ServerPeer{s.servers.New(ctx, newState, send)}
}

// Receive handles a received message and does not keep it. Messages must be passed in the order
// of their arrival. It waits for handlers only while [ServerPeerOptions.MaxPendingBytes] are in
// use, until [ServerPeer.Stop] or Close is called. The error is about this message only: it is
// malformed and has no id to answer, its answer could not be sent, or the peer is closed. A
// malformed request with an id is answered with [rpc.CodeBadRequest]. A request whose id is in
// use is ignored.
func (p *ServerPeer) Receive(message []byte, binary bool) error {
	return p.server.Receive(message, binary)
}

// Take is like Receive, but keeps the message and does not start a goroutine for a request.
// Instead it returns run, which the caller must call once to run the handler. For other messages
// run is nil.
func (p *ServerPeer) Take(message []byte, binary bool) (run func(), err error) {
	return p.server.Take(message, binary)
}

// Stop drops the calls that wait and starts no further ones; running calls continue. A Receive
// that waits returns. Stop does not wait. Call it when the socket begins to close.
func (p *ServerPeer) Stop() { p.server.Stop() }

// Close ends the context of every call. Nothing more is sent for them.
func (p *ServerPeer) Close() { p.server.Close() }

// Wait waits until all handlers have returned. It must be called after Close.
func (p *ServerPeer) Wait() { p.server.Wait() }

var appendEventMeta = bridge.AppendEventMeta.(func(dst []byte, m rpc.EventMeta) ([]byte, error)) //nolint:forcetypeassert // as newServers

// AppendEventMeta appends the metadata of an event to dst, as the members of a JSON object
// without the braces, for a program that sends the events of a [Hibernation]. For empty metadata
// it appends nothing. If the metadata is invalid, it returns the error of
// [rpc.EventMeta.Validate].
func AppendEventMeta(dst []byte, m rpc.EventMeta) ([]byte, error) { return appendEventMeta(dst, m) }

// Hibernation is an output whose events the application sends, with the id of the request. It
// is oRPC's HibernationEventIterator. The response announces a stream of events.
type Hibernation struct {
	// Start is called once, after [ServerPeerOptions.Send] has returned for the response,
	// on the same goroutine, with the JSON of the request's id, or nil if it has none. If
	// the call was aborted before, or the response could not be sent, it is not called.
	//
	// ctx is the context of the call. It ends when the client aborts, when the peer is
	// closed, or when finish is called, which also releases the id. Start does not have to
	// wait for that.
	Start func(ctx context.Context, id json.RawMessage, finish func())

	// Ended, if it is not nil, is called once after Start, when ctx ends or has ended. Unlike
	// context.AfterFunc it needs no goroutine and no further memory. It must not block.
	Ended func()
}
