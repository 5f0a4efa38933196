package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/go-orpc/durable-iterator/internal/peer"
	"github.com/go-orpc/durable-iterator/internal/serializer"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// ErrDisconnected is wrapped by the error of a call that failed because its socket
// went away or was not there. Whether the server has carried it out is not known.
// It is not an [*Error]: no server has sent it.
var ErrDisconnected = errors.New("rpc: disconnected")

// ClientPeerOptions configures a [ClientPeer]. Send is required.
type ClientPeerOptions struct {
	// Send writes one message to the current socket. It is called for one message
	// after another; an error fails the call with [ErrDisconnected]. ctx has the
	// values of the call's context, and ends when the peer is disconnected, not
	// when the call does: a call that ends is followed by an abort message, unless
	// its message still waits for others, and then is not sent.
	//
	// After a Disconnect, one Send for the next socket may begin before that for the
	// last one has returned.
	Send func(ctx context.Context, message []byte, binary bool) error

	// Flush is called, under the same rules, after Send when no other message waits
	// for it: until then Send may hold messages back, to write them together. If that
	// fails it is up to the owner of the socket to Disconnect. Nil is nothing.
	Flush func()

	// Serializers are types of the application that may be sent.
	Serializers []value.Serializer

	// Interceptors run around each call and its retries, the first one outermost.
	Interceptors []Interceptor
}

// ClientPeer makes calls over messages of a socket: oRPC's peer protocol, seen
// from the client. It knows nothing of the socket: messages go out through
// [ClientPeerOptions.Send] and come in through Receive. It is a [Caller]. All
// methods but Receive are safe for concurrent use.
//
// It may outlive sockets, one after another: Disconnect says that one is gone,
// after which Send means the next. The ids of requests run on.
//
// Every request is sent as POST. Servers answer it for every procedure, whatever
// method the procedure declares for HTTP.
type ClientPeer struct {
	send       func(ctx context.Context, message []byte, binary bool) error
	flush      func()
	serializer *serializer.Serializer
	caller     Caller
	direct     bool // caller does nothing but what options ask for
	ids        peer.Sequence
	retired    sync.WaitGroup // sends on sockets that are gone

	// mu guards socket, which is never nil. Only the last one may be closed.
	mu     sync.Mutex
	socket *clientSocket
	closed bool
}

// clientSocket is what belongs to one socket.
type clientSocket struct {
	client *peer.Client
	end    context.CancelCauseFunc // ends the contexts of Send
	cause  func() error            // what end was called with
}

// NewClientPeer makes a peer. It panics without Send, and on serializers that
// contradict each other.
func NewClientPeer(o *ClientPeerOptions) *ClientPeer {
	if o.Send == nil {
		panic("rpc: NewClientPeer: Send is required")
	}
	p := &ClientPeer{send: o.Send, flush: o.Flush, serializer: newSerializer(o.Serializers)}
	p.caller = NewCaller(p.roundTrip, o.Interceptors...)
	p.direct = len(o.Interceptors) == 0
	p.socket = p.newSocket()
	return p
}

// Call sends the call and waits for its answer. An error that the server has sent
// is an [*Error]. When ctx ends, Call returns at once and the server is told to
// stop.
func (p *ClientPeer) Call(ctx context.Context, call *Call, opts ...CallOption) (any, error) {
	if p.direct && len(opts) == 0 { // nobody changes the call
		return p.roundTrip(ctx, call)
	}
	return p.caller.Call(ctx, call, opts...)
}

// Receive takes one message, in the order of arrival. It waits for nothing but the
// functions given to Subscribe. The error is about that message only: if it
// belongs to a call, the call fails too.
func (p *ClientPeer) Receive(message []byte, binary bool) error {
	if err := p.current().client.Receive(peer.Frame{Data: message, Binary: binary}); err != nil {
		return fmt.Errorf("rpc: receive: %w", err)
	}
	return nil
}

// Refuse takes the place of Receive for a message that was not read, such as one that
// is too large, for the reason err. The call that the message belongs to fails, if err
// names it, and otherwise every call, since any of them may have waited for it. Streams
// of Subscribe go on, with an event "unreadable" in its place.
func (p *ClientPeer) Refuse(err error) {
	client := p.current().client
	if bad, ok := errors.AsType[*peer.DecodeError](err); ok && bad.ID != nil {
		client.Refuse(err)
		return
	}
	client.RefuseAll(err)
}

// Disconnect says that the socket is gone. All calls in flight fail with an error
// that wraps [ErrDisconnected] and cause, which may be nil. Later calls are for
// the next socket.
func (p *ClientPeer) Disconnect(cause error) {
	p.mu.Lock()
	old, closed := p.socket, p.closed
	if !closed {
		p.socket = p.newSocket()
		p.retired.Add(1)
	}
	p.mu.Unlock()
	old.disconnect(cause)
	if closed {
		return
	}
	go func() { // nothing is added to what it waits for: old is disconnected
		defer p.retired.Done()
		old.client.Wait()
	}()
}

// Close is a Disconnect after which there is no next socket: later calls fail at
// once. It waits until no Send is running any more.
func (p *ClientPeer) Close(cause error) {
	p.end(cause)
	p.current().client.Wait()
	p.retired.Wait()
}

// end is Close without waiting.
func (p *ClientPeer) end(cause error) {
	p.mu.Lock()
	p.closed = true
	last := p.socket
	p.mu.Unlock()
	last.disconnect(cause)
}

func (p *ClientPeer) current() *clientSocket {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.socket
}

func (p *ClientPeer) newSocket() *clientSocket {
	gone, end := context.WithCancelCause(context.Background())
	send := func(ctx context.Context, f peer.Frame) error {
		err := p.send(ctx, f.Data, f.Binary)
		switch {
		case err == nil || errors.Is(err, ErrDisconnected):
			return err
		case gone.Err() != nil:
			return context.Cause(gone)
		}
		return fmt.Errorf("%w: %w", ErrDisconnected, err)
	}
	return &clientSocket{
		client: peer.NewClient(send, &peer.ClientOptions{Sequence: &p.ids, Context: gone, Flush: p.flush}),
		end:    end,
		cause:  func() error { return context.Cause(gone) },
	}
}

func (s *clientSocket) disconnect(cause error) {
	err := ErrDisconnected
	if cause != nil {
		err = fmt.Errorf("%w: %w", ErrDisconnected, cause)
	}
	s.end(err)
	s.client.Close(nil)
}

// failed gives the error of a call that got no answer.
func (s *clientSocket) failed(ctx context.Context, call *Call, err error) error {
	if errors.Is(err, peer.ErrClosed) {
		err = s.cause()
	}
	return callError(ctx, call, err)
}

func (p *ClientPeer) roundTrip(ctx context.Context, call *Call) (any, error) {
	call.ResponseHeader = nil
	input, err := claimInput(call)
	if err != nil {
		return nil, callError(ctx, call, err)
	}
	request, err := p.request(call)
	if err != nil {
		return nil, callError(ctx, call, err)
	}
	socket := p.current()
	response, stream, err := p.do(ctx, socket, &request, input)
	if err != nil {
		return nil, socket.failed(ctx, call, err)
	}
	if stream != nil && opensStream(response) {
		return p.openStream(ctx, call, socket, response, stream)
	}
	if stream != nil {
		_ = stream.Close()
	}
	return p.output(ctx, call, response)
}

var (
	errUnexpectedStream = errors.New("the answer is a stream of events")
	errForeignBody      = errors.New("the answer is a file without a value, which cannot be read")
)

func (p *ClientPeer) request(call *Call) (peer.Request, error) {
	var input serializer.Encoded
	var err error
	s, _ := streamOf(call.Input)
	if s == nil {
		if input, err = encodeValue(p.serializer, call.Input); err != nil {
			return peer.Request{}, err
		}
	}
	var header http.Header // nil is empty
	if len(call.Header) > 0 || len(input.Files) > 0 || call.LastEventID != "" || s != nil {
		header = http.Header{}
		maps.Copy(header, call.Header)
	}
	body, err := peerBody(header, input)
	if err != nil {
		return peer.Request{}, err
	}
	if s != nil {
		header.Set(headerContentType, eventStreamType)
	}
	if call.LastEventID != "" {
		header.Set(headerLastEventID, call.LastEventID)
	}
	address := &url.URL{Path: encodePath(call.Path)}
	if strings.Contains(address.Path, "%") {
		address.RawPath, address.Path = address.Path, "/"+strings.Join(call.Path, "/")
	}
	return peer.Request{URL: address, Header: header, Body: body}, nil
}

// output reads an answer that is no stream.
func (p *ClientPeer) output(ctx context.Context, call *Call, r *peer.Response) (any, error) {
	call.ResponseHeader = r.Header
	out, err := p.read(call, r)
	if _, sent := findError(err); err != nil && !sent {
		return nil, callError(ctx, call, err)
	}
	return out, err
}

func (p *ClientPeer) read(call *Call, r *peer.Response) (any, error) {
	if isPeerForm(r.Header, r.Body) {
		body, err := readPeerForm(r.Header, r.Body, p.serializer)
		if err != nil {
			return nil, err
		}
		return readAnswer(call, r.Status, r.Header, body)
	}
	if isErrorStatus(r.Status) {
		if text, plain := plainText(r.Body); plain {
			return nil, ErrorResponse{Status: r.Status, Headers: r.Header, Body: text}.err()
		}
	}
	if r.Body.Bytes != nil {
		return nil, errForeignBody
	}
	body, err := p.serializer.Value(r.Body.JSON)
	if err != nil {
		return nil, err
	}
	return readAnswer(call, r.Status, r.Header, body)
}

// plainText gives the text of a body that is none of the serializer's: a file, or
// a bare text, which servers send to people.
func plainText(b peer.Body) (text string, plain bool) {
	if b.Bytes != nil {
		return string(b.Bytes), true
	}
	return text, b.JSON != nil && json.Unmarshal(b.JSON, &text) == nil
}

// kindUnreadable is the kind of an event that takes the place of one that cannot be read.
const kindUnreadable = "unreadable"

// PeerEvent is one event of a stream, as it came.
type PeerEvent struct {
	// Kind is "message", or "done" or "error", which are the last, or "unreadable"
	// for an event that cannot be read: of its metadata only the id may be set.
	Kind string
	// Value is what the event carries, undefined if HasValue is false. Of "done" it
	// is the return value.
	Value    value.Value
	HasValue bool
	// Meta is the metadata.
	Meta EventMeta
	// Err is set for "error", where it is an [*Error] if the server has sent one, and
	// for "unreadable".
	Err error
}

// Subscribe makes a call whose answer is a stream of events. open gets the header
// of the answer, then event gets each event: both run on the goroutine of Receive,
// in order, and keep it waiting. Subscribe returns when open has. It fails with
// what the server has sent, or if the answer is no stream; then neither is called.
// Interceptors do not run around it. ctx governs the wait for the answer, not the
// stream.
//
// stop has to be called in the end. It sends an abort if the stream has not ended
// by itself; no event is begun after it. An event that cannot be read is passed as
// "unreadable", and the stream goes on. When the peer is disconnected, event is just
// not called any more.
func (p *ClientPeer) Subscribe(ctx context.Context, call *Call, open func(http.Header), event func(PeerEvent)) (stop func(), err error) {
	request, err := p.request(call)
	if err != nil {
		return nil, callError(ctx, call, err)
	}
	socket := p.current()
	opened := false // belongs to the goroutine of Receive
	response, stop, err := socket.client.DoFunc(ctx, &request, peer.Observer{
		Response: func(r *peer.Response) {
			if opened = opensStream(r); opened {
				open(r.Header)
			}
		},
		Event: func(e *peer.Event) {
			if opened {
				opened = p.deliver(e, event)
			}
		},
		Unreadable: func(bad *peer.DecodeError) {
			if opened {
				event(PeerEvent{Kind: kindUnreadable, Meta: EventMeta{ID: bad.EventID}, Err: fmt.Errorf("rpc: receive: %w", bad)})
			}
		},
		Failed: func(err error) {
			if !errors.Is(err, peer.ErrClosed) {
				event(PeerEvent{Kind: string(peer.EventError), Err: fmt.Errorf("rpc: receive: %w", err)})
			}
		},
	})
	if err != nil {
		return nil, socket.failed(ctx, call, err)
	}
	if opensStream(response) {
		call.ResponseHeader = response.Header
		return stop, nil
	}
	stop()
	if _, err = p.output(ctx, call, response); err == nil {
		err = callError(ctx, call, errNoStream)
	}
	return nil, err
}

func opensStream(r *peer.Response) bool {
	return peer.IsEventStream(r.Header) && !isErrorStatus(r.Status)
}

// deliver hands on an event and tells whether others may follow. Kinds that nobody
// knows are skipped.
func (p *ClientPeer) deliver(e *peer.Event, event func(PeerEvent)) (more bool) {
	out := PeerEvent{Kind: string(e.Kind), HasValue: e.Data != nil, Meta: eventMeta(e.Meta)}
	var err error
	if out.Value, err = p.serializer.Value(e.Data); err != nil {
		err = fmt.Errorf("rpc: decode event: %w", err)
		if e.Kind != peer.EventDone && e.Kind != peer.EventError {
			event(PeerEvent{Kind: kindUnreadable, Meta: out.Meta, Err: err})
			return true
		}
		event(PeerEvent{Kind: string(peer.EventError), Meta: out.Meta, Err: err})
		return false
	}
	switch e.Kind {
	case peer.EventMessage, peer.EventDone:
	case peer.EventError:
		out.Err = errStreamFailed
		if sent, ok := readError(out.Value); ok {
			out.Err = sent
		}
	default:
		return true
	}
	event(out)
	return e.Kind == peer.EventMessage
}
