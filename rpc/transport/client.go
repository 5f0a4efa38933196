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

// AnswerError returns the error for an HTTP response that refused to open a socket, in the form
// of the errors of an [rpc.Link]: its data is an [rpc.ErrorResponse].
func AnswerError(status int, header http.Header, body string) *rpc.Error {
	return answerError(status, header, body)
}

// ClientPeerOptions configures a [ClientPeer]. Send is required.
type ClientPeerOptions struct {
	// Send writes a message to the current socket. It is called for one message at a time.
	// If it returns an error, the call fails with [rpc.ErrDisconnected]. ctx has the values
	// of the call's context, but ends when the peer is disconnected and not when the call
	// ends. If a call ends early, an abort message is sent after its message, or, if its
	// message is still waiting for others, the message is not sent.
	//
	// After a Disconnect, one Send for the next socket may begin before the Send for the
	// previous socket has returned.
	Send func(ctx context.Context, message []byte, binary bool) error

	// Flush is called, under the same rules, after Send when no other message is waiting.
	// Send may buffer messages until then, to write them together. If writing fails, the
	// owner of the socket must call Disconnect. Nil means that there is nothing to flush.
	Flush func()

	// Serializers are for types of the application.
	Serializers []value.Serializer

	// Interceptors run around each call and its retries, the first one outermost.
	Interceptors []rpc.Interceptor
}

// ClientPeer makes calls with messages over a socket. It is oRPC's ClientPeer. It sends messages
// with [ClientPeerOptions.Send]; received messages are passed to Receive. It is an [rpc.Caller].
// All methods but Receive are safe for concurrent use.
//
// It can be used with several sockets, one after another: after Disconnect, Send writes to the
// next one. The ids of requests are not reused.
//
// Every request is sent as POST, which servers accept for every procedure, whatever method the
// procedure declares for HTTP.
type ClientPeer struct{ client client }

// NewClientPeer returns a peer. It panics if Send or an interceptor is nil, or if serializers
// contradict each other.
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
// [*rpc.Error]. When ctx ends, Call returns at once and an abort is sent to the server.
func (p *ClientPeer) Call(ctx context.Context, call *rpc.Call, opts ...rpc.CallOption) (any, error) {
	return p.client.Call(ctx, call, opts...)
}

// Busy reports whether a message of a call is expected on the current socket: an answer, or the
// events of a stream that the call has returned. The streams of Subscribe do not count. oRPC's
// ClientPeer has no counterpart.
//
// While Busy returns false, the owner of the socket may leave the events of Subscribe unread to
// slow the server down. When Send is called, Busy may return true again.
func (p *ClientPeer) Busy() bool { return p.client.Busy() }

// Receive handles a received message. Messages must be passed in the order of their arrival. It
// waits only for functions that were passed to Subscribe. The error is about this message only:
// if it belongs to a call, the call fails too.
func (p *ClientPeer) Receive(message []byte, binary bool) error {
	return p.client.Receive(message, binary)
}

// Refuse is called instead of Receive for a message that was not read because of err, for
// example because it is too large. If err names the call of the message, that call fails, and
// otherwise all calls do, since each may have been waiting for it. Streams of Subscribe receive
// an event "unreadable" instead and continue.
func (p *ClientPeer) Refuse(err error) { p.client.Refuse(err) }

// Disconnect must be called when the socket has closed. All running calls fail with an error
// that wraps [rpc.ErrDisconnected] and cause, which may be nil. Later calls are sent over the
// next socket.
func (p *ClientPeer) Disconnect(cause error) { p.client.Disconnect(cause) }

// Close is like Disconnect, but there is no next socket: later calls fail at once. It waits
// until no Send is running.
func (p *ClientPeer) Close(cause error) { p.client.Close(cause) }

// PeerEvent is an event of a stream, still encoded.
type PeerEvent struct {
	// Kind is "message", or for the last event "done" or "error". It is "unreadable" for an
	// event that cannot be read, of whose metadata only the id may be set.
	Kind string
	// Value is the event's value, or undefined if HasValue is false. For "done" it is the
	// return value.
	Value    value.Value
	HasValue bool
	// Meta is the metadata.
	Meta rpc.EventMeta
	// Err is set for "unreadable" and for "error". In the latter case it is an [*rpc.Error]
	// if the server has sent one.
	Err error
}

// Subscribe makes a call whose answer is a stream of events. It calls open with the header of
// the answer, then event with each event. Both are called on the goroutine of Receive, which
// waits for them, in order. Subscribe returns when open has returned. If the server sends an
// error, or the answer is not a stream, Subscribe returns an error and neither function is
// called. Interceptors are not called. ctx limits only the wait for the answer, not the stream.
//
// The caller must call stop in the end, which sends an abort if the stream has not ended. event
// is not called again after that, or after the peer was disconnected. An event that cannot be
// read is passed as "unreadable", and the stream continues.
func (p *ClientPeer) Subscribe(
	ctx context.Context, call *rpc.Call, open func(http.Header), event func(PeerEvent),
) (stop func(), err error) {
	return p.client.Subscribe(ctx, call, open, func(e bridge.Event[rpc.EventMeta]) { event(PeerEvent(e)) })
}
