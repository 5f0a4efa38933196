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

// maxUrgent is how many paths may be urgent.
const maxUrgent = 2

// ServerPeerOptions configures a [ServerPeer]. Handle and Send are required.
type ServerPeerOptions struct {
	// Handle runs each call, on a goroutine of its own. Call.Path is the decoded path
	// of the request's address, Call.Method the method of the request, and Call.Input a
	// [value.Value]. An output that is a [Hibernation] opens a stream of events that
	// Handle's application sends, the output of an [rpc.EventProcedure] one that the
	// peer sends. An error that wraps [rpc.ErrNoProcedure] is answered with status 404.
	// A panic is an internal error.
	//
	// The method is not checked: oRPC answers GET for every procedure on a socket, where
	// no link of another site can cause a request, and only Handle knows what its
	// procedures declare.
	Handle rpc.CallFunc

	// Send writes one message. It is called from many goroutines; each waits for it, and
	// it may wait for a client that reads slowly. ctx is the context of the call that is
	// answered; Send may return its cause instead of waiting any longer. For answers that
	// belong to no call it is the context of [NewServerPeer], and Receive itself sends
	// them. When the socket closes Send must return.
	Send func(ctx context.Context, message []byte, binary bool) error

	// NewState makes the state of each call, which Handle and Send share: see
	// [rpc.Call.State]. Nil means that calls have none.
	NewState func() any

	// TakesEvents reports whether the procedure of a path has a stream of events as its
	// input, as [rpc.Router.TakesEvents] does. Only then are events of the client kept
	// until Handle reads them; Call.Input is a stream then. Nil is for servers without
	// such procedures: a stream of events is refused with [rpc.CodeUnsupportedMediaType].
	TakesEvents func(path []string) bool

	// Serializers and Validator are as in [rpc.HandlerOptions].
	Serializers []value.Serializer
	Validator   rpc.Validator

	// Urgent are the paths, in the form of Method.Path, of calls that do not wait for
	// others: they run beside MaxCalls, those of one path one after another. They are
	// meant for what keeps a socket alive. There are at most two.
	Urgent []string

	// MaxCalls is how many calls may run at once, not counting open streams; 0 is 256.
	// Further ones wait, as messages that are not decoded.
	MaxCalls int

	// MaxStreams is how many streams of events may be open at once; 0 is 100. A further
	// one is answered [rpc.CodeTooManyRequests].
	MaxStreams int

	// MaxPendingBytes bounds the messages of calls that wait or run; 0 is 2 MiB. While a
	// further one would exceed it, Receive waits. One message is always admitted,
	// whatever its size. Each counts its own size and 256 bytes, and 128 bytes for each of
	// its headers and 16 for each value of one.
	MaxPendingBytes int

	// Logger receives panics at level Error, the causes of internal errors at level
	// Warn, and answers that could not be sent at level Debug. Nil discards them.
	Logger *slog.Logger
}

// ServerPeer answers the calls that arrive as messages of one socket: oRPC's ServerPeer.
// Messages come in through Receive and go out through [ServerPeerOptions.Send]. All
// methods but Receive and Take are safe for concurrent use.
//
// Calls run side by side and are answered as they become ready. A call that the client
// aborts is not answered; its context ends.
type ServerPeer struct{ server bridge.Server }

// NewServerPeer returns the peer of a socket. The contexts of the calls derive from ctx. It
// panics without Handle or Send, and on options that are wrong: negative numbers, more than
// two Urgent paths, serializers that contradict each other. For many
// sockets that are served alike see [NewServerPeers].
func NewServerPeer(ctx context.Context, o *ServerPeerOptions) *ServerPeer {
	return NewServerPeers(o).New(ctx, o.NewState, o.Send)
}

// ServerPeers makes the peers of many sockets, which share everything that does not depend
// on the socket. It is safe for concurrent use.
type ServerPeers struct{ servers bridge.Servers }

// NewServerPeers returns peers that are configured by a copy of the options, of which
// NewState and Send are not used. It panics as [NewServerPeer] does.
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

// hibernating returns handle with a [Hibernation] in the form that package rpc knows.
func hibernating(handle rpc.CallFunc) rpc.CallFunc {
	return func(ctx context.Context, call *rpc.Call) (any, error) {
		out, err := handle(ctx, call)
		if h, ok := out.(Hibernation); ok {
			return bridge.Hibernation(h), err
		}
		return out, err
	}
}

// New returns the peer of a socket. The contexts of its calls derive from ctx. For
// newState, which may be nil, and send see [ServerPeerOptions]. It panics without send.
func (s *ServerPeers) New(
	ctx context.Context, newState func() any, send func(ctx context.Context, message []byte, binary bool) error,
) *ServerPeer {
	if send == nil {
		panic("transport: ServerPeers: Send is required")
	}
	return &ServerPeer{s.servers.New(ctx, newState, send)}
}

// Receive handles one message, in the order of arrival, and does not keep it. It waits for
// handlers only while [ServerPeerOptions.MaxPendingBytes] are held, until [ServerPeer.Stop]
// or Close. The error is about that message only: it cannot be read and has no id to
// answer, its answer could not be sent, or the peer is closed. A request that cannot be
// read is answered [rpc.CodeBadRequest] if it has an id. A request whose id is in use is
// ignored.
func (p *ServerPeer) Receive(message []byte, binary bool) error {
	return p.server.Receive(message, binary)
}

// Take is Receive for a caller that has a goroutine and the memory of the message to spare:
// it does not start the handler of a request, but returns it as run, which the caller must
// call once. For other messages run is nil.
func (p *ServerPeer) Take(message []byte, binary bool) (run func(), err error) {
	return p.server.Take(message, binary)
}

// Stop drops the calls that wait and starts no further ones; those that run go on. A
// Receive that waits returns. Stop itself does not wait. It is meant for the moment at
// which the socket begins to close.
func (p *ServerPeer) Stop() { p.server.Stop() }

// Close ends the context of every call; nothing is sent for them any more.
func (p *ServerPeer) Close() { p.server.Close() }

// Wait returns when all handlers have returned. It is called after Close.
func (p *ServerPeer) Wait() { p.server.Wait() }

var appendEventMeta = bridge.AppendEventMeta.(func(dst []byte, m rpc.EventMeta) ([]byte, error)) //nolint:forcetypeassert // as newServers

// AppendEventMeta appends the members of an event's metadata to dst, in JSON and without the
// braces around them, for a program that sends the events of a [Hibernation]. For empty
// metadata it appends nothing. If the metadata cannot be sent the error is that of
// [rpc.EventMeta.Validate].
func AppendEventMeta(dst []byte, m rpc.EventMeta) ([]byte, error) { return appendEventMeta(dst, m) }

// Hibernation is an output whose events the application sends, under the id of the
// request: oRPC's HibernationEventIterator. Its response announces a stream of events.
type Hibernation struct {
	// Start is called once, after [ServerPeerOptions.Send] has returned for the response,
	// on the same goroutine, with the JSON of the request's id (nil if it has none). If
	// the call was aborted before, or the response could not be sent, it is not called.
	//
	// ctx is the context of the call. It remains until the client aborts, the peer is
	// closed, or finish is called, which also frees the id. Start need not wait for that.
	Start func(ctx context.Context, id json.RawMessage, finish func())

	// Ended, if it is not nil, is called once after Start, when ctx ends or has ended,
	// without a goroutine and memory of its own as context.AfterFunc would need. It must
	// not block.
	Ended func()
}
