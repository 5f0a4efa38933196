package transport

import (
	"context"
	"net/http"

	"github.com/go-orpc/durable-iterator/internal/bridge"
	"github.com/go-orpc/durable-iterator/internal/faults"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

type client = bridge.Client[rpc.Call, rpc.CallOption, rpc.EventMeta]

var (
	//nolint:forcetypeassert // package rpc sets it
	newClient = bridge.NewClient.(func(*bridge.ClientOptions[rpc.Interceptor]) client)

	//nolint:forcetypeassert // package rpc sets it
	answerError = bridge.AnswerError.(func(status int, header http.Header, body string) *rpc.Error)
)

// AnswerError returns the error of an HTTP answer that refused to open a socket, as a
// [rpc.Link] returns it for an answer that is no RPC error: its data is an
// [rpc.ErrorResponse].
func AnswerError(status int, header http.Header, body string) *rpc.Error {
	return answerError(status, header, body)
}

// ClientPeerOptions configures a [ClientPeer]. Send is required.
type ClientPeerOptions struct {
	// Send writes one message to the current socket. It is called for one message after
	// another; an error fails the call with [rpc.ErrDisconnected]. ctx has the values of
	// the call's context, and ends when the peer is disconnected, not when the call does:
	// a call that ends is followed by an abort message, unless its message still waits
	// for others, and then is not sent.
	//
	// After a Disconnect, one Send for the next socket may begin before that for the last
	// one has returned.
	Send func(ctx context.Context, message []byte, binary bool) error

	// Flush is called, under the same rules, after Send when no other message waits for
	// it: until then Send may hold messages back, to write them together. If that fails,
	// the owner of the socket calls Disconnect. Nil does nothing.
	Flush func()

	// Serializers are types of the application that may be sent.
	Serializers []value.Serializer

	// Interceptors run around each call and its retries, the first one outermost.
	Interceptors []rpc.Interceptor
}

// ClientPeer makes calls over messages of a socket: oRPC's ClientPeer. Messages go out
// through [ClientPeerOptions.Send] and come in through Receive. It is an [rpc.Caller]. All
// methods but Receive are safe for concurrent use.
//
// It may outlive sockets, one after another: after Disconnect, Send writes to the next one.
// The ids of requests run on.
//
// Every request is sent as POST. Servers answer it for every procedure, whatever method the
// procedure declares for HTTP.
type ClientPeer struct{ client client }

// NewClientPeer returns a peer. It panics without Send, on a nil interceptor, and on
// serializers that contradict each other.
func NewClientPeer(o *ClientPeerOptions) *ClientPeer {
	var list faults.List
	list.If(o.Send == nil, "Send is required")
	faults.Nil(&list, "an interceptor", o.Interceptors)
	list.Panic("transport: NewClientPeer")
	return &ClientPeer{newClient(&bridge.ClientOptions[rpc.Interceptor]{
		Send: o.Send, Flush: o.Flush, Serializers: o.Serializers, Interceptors: o.Interceptors,
	})}
}

// Call sends the call and waits for its answer. An error that the server has sent is an
// [*rpc.Error]. When ctx ends, Call returns at once and the server is sent an abort.
func (p *ClientPeer) Call(ctx context.Context, call *rpc.Call, opts ...rpc.CallOption) (any, error) {
	return p.client.Call(ctx, call, opts...)
}

// Receive handles one message, in the order of arrival. It waits for nothing but the
// functions that were passed to Subscribe. The error is about that message only: if it
// belongs to a call, the call fails too.
func (p *ClientPeer) Receive(message []byte, binary bool) error {
	return p.client.Receive(message, binary)
}

// Refuse takes the place of Receive for a message that was not read, such as one that is too
// large, for the reason err. The call that the message belongs to fails, if err names it,
// and otherwise every call, since any of them may have waited for it. Streams of Subscribe
// go on, with an event "unreadable" in its place.
func (p *ClientPeer) Refuse(err error) { p.client.Refuse(err) }

// Disconnect reports to the peer that its socket has closed. All calls in flight fail with
// an error that wraps [rpc.ErrDisconnected] and cause, which may be nil. Later calls are for
// the next socket.
func (p *ClientPeer) Disconnect(cause error) { p.client.Disconnect(cause) }

// Close is a Disconnect after which there is no next socket: later calls fail at once. It
// waits until no Send is running any more.
func (p *ClientPeer) Close(cause error) { p.client.Close(cause) }

// PeerEvent is one event of a stream, as it came.
type PeerEvent struct {
	// Kind is "message", or "done" or "error", which are the last, or "unreadable" for an
	// event that cannot be read: of its metadata only the id may be set.
	Kind string
	// Value is the event's value, undefined if HasValue is false. Of "done" it is the
	// return value.
	Value    value.Value
	HasValue bool
	// Meta is the metadata.
	Meta rpc.EventMeta
	// Err is set for "error", where it is an [*rpc.Error] if the server has sent one, and
	// for "unreadable".
	Err error
}

// Subscribe makes a call whose answer is a stream of events. It calls open with the header
// of the answer, then event with each event: both run on the goroutine of Receive, in
// order, and keep it waiting. Subscribe returns when open has. It fails with the error of
// the server, or if the answer is not a stream; then neither function is called. Interceptors
// do not run around it. ctx governs the wait for the answer, not the stream.
//
// The caller must call stop in the end. It sends an abort if the stream has not ended by
// itself; no event is begun after it. An event that cannot be read is passed as
// "unreadable", and the stream goes on. When the peer is disconnected, event is not called
// any more.
func (p *ClientPeer) Subscribe(
	ctx context.Context, call *rpc.Call, open func(http.Header), event func(PeerEvent),
) (stop func(), err error) {
	return p.client.Subscribe(ctx, call, open, func(e bridge.Event[rpc.EventMeta]) { event(PeerEvent(e)) })
}
