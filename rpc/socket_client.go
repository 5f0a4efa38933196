package rpc

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/go-orpc/durable-iterator/internal/bridge"
	"github.com/go-orpc/durable-iterator/internal/peer"
	"github.com/go-orpc/durable-iterator/internal/serializer"
)

// ErrDisconnected is wrapped by the error of a call that failed because its socket was closed or not
// open. The server may have run the call or not. It is not an [*Error], because no server has sent
// it.
var ErrDisconnected = errors.New("disconnected")

// socketClient makes calls over sockets, one after another: see transport.ClientPeer.
type socketClient struct {
	send       bridge.Send
	flush      func()
	serializer *serializer.Serializer
	caller     Caller
	direct     bool // there are no interceptors
	ids        peer.Sequence
	retired    sync.WaitGroup // sends on earlier sockets

	// mu guards socket, which is never nil. Only the last socket may be closed.
	mu     sync.Mutex
	socket *clientSocket
	closed bool
}

// clientSocket is the state of a socket.
type clientSocket struct {
	client *peer.Client
	end    context.CancelCauseFunc // ends the contexts of Send
	cause  func() error            // returns the argument of end
}

func newSocketClient(o *bridge.ClientOptions[Interceptor]) bridge.Client[Call, CallOption, EventMeta] {
	p := &socketClient{send: o.Send, flush: o.Flush, serializer: newSerializer(o.Serializers)}
	p.caller = NewCaller(p.roundTrip, o.Interceptors...)
	p.direct = len(o.Interceptors) == 0
	p.socket = p.newSocket()
	return p
}

// Call implements [bridge.Client].
func (p *socketClient) Call(ctx context.Context, call *Call, opts ...CallOption) (any, error) {
	if p.direct && len(opts) == 0 { // nothing changes the call
		return p.roundTrip(ctx, call)
	}
	return p.caller.Call(ctx, call, opts...)
}

// Busy implements [bridge.Client].
func (p *socketClient) Busy() bool { return p.current().client.Busy() }

// Receive implements [bridge.Client].
func (p *socketClient) Receive(message []byte, binary bool) error {
	if err := p.current().client.Receive(peer.Frame{Data: message, Binary: binary}); err != nil {
		return fmt.Errorf("rpc: receive: %w", err)
	}
	return nil
}

// Refuse implements [bridge.Client].
func (p *socketClient) Refuse(err error) {
	client := p.current().client
	if bad, ok := errors.AsType[*peer.DecodeError](err); ok && bad.ID != nil {
		client.Refuse(err)
		return
	}
	client.RefuseAll(err)
}

// Disconnect implements [bridge.Client].
func (p *socketClient) Disconnect(cause error) {
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
	go func() { // old is disconnected, so no sends are added that it would have to wait for
		defer p.retired.Done()
		old.client.Wait()
	}()
}

// Close implements [bridge.Client].
func (p *socketClient) Close(cause error) {
	p.mu.Lock()
	p.closed = true
	last := p.socket
	p.mu.Unlock()
	last.disconnect(cause)
	last.client.Wait()
	p.retired.Wait()
}

func (p *socketClient) current() *clientSocket {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.socket
}

func (p *socketClient) newSocket() *clientSocket {
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

// failed returns the error of a call that received no answer.
func (s *clientSocket) failed(ctx context.Context, call *Call, err error) error {
	if errors.Is(err, peer.ErrClosed) {
		err = s.cause()
	}
	return callError(ctx, call, err)
}

func (p *socketClient) roundTrip(ctx context.Context, call *Call) (any, error) {
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

func (p *socketClient) request(call *Call) (peer.Request, error) {
	var input serializer.Encoded
	var err error
	s, _ := streamOf(call.Input)
	if s == nil {
		if input, err = encodeInput(p.serializer, call.Input); err != nil {
			return peer.Request{}, err
		}
	}
	var header http.Header // may remain nil
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

// do sends a request, and its input if that is a stream of events; otherwise input is nil.
func (p *socketClient) do(
	ctx context.Context, socket *clientSocket, r *peer.Request, input *eventStream,
) (*peer.Response, *peer.Stream, error) {
	if input == nil {
		return socket.client.Do(ctx, r)
	}
	sending := false
	response, stream, err := socket.client.DoInput(ctx, r, func(i *peer.Input) {
		sending = true
		go input.sendTo(p.serializer, func(e *peer.Event) error { return i.Send(input.life, e) })
		go func() {
			<-i.Done()
			input.stop()
		}()
	})
	if !sending {
		input.stop()
	}
	return response, stream, err
}

var errForeignBody = errors.New("the answer is a file without a value, which cannot be read")

// output reads an answer that is not a stream.
func (p *socketClient) output(ctx context.Context, call *Call, r *peer.Response) (any, error) {
	call.ResponseHeader = r.Header
	out, err := p.read(call, r)
	return out, outputError(ctx, call, err)
}

func (p *socketClient) read(call *Call, r *peer.Response) (any, error) {
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

// socketEvent is an event of a stream: see transport.PeerEvent.
type socketEvent = bridge.Event[EventMeta]

// kindUnreadable is the kind of an event that replaces one that cannot be read.
const kindUnreadable = "unreadable"

// Subscribe implements [bridge.Client].
func (p *socketClient) Subscribe(
	ctx context.Context, call *Call, open func(http.Header), event func(socketEvent),
) (stop func(), err error) {
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
				err := fmt.Errorf("rpc: receive: %w", bad)
				event(socketEvent{Kind: kindUnreadable, Meta: EventMeta{ID: bad.EventID}, Err: err})
			}
		},
		Failed: func(err error) {
			if !errors.Is(err, peer.ErrClosed) {
				event(socketEvent{Kind: string(peer.EventError), Err: fmt.Errorf("rpc: receive: %w", err)})
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

// deliver passes an event to the function event and reports whether others may follow. It skips
// unknown kinds.
func (p *socketClient) deliver(e *peer.Event, event func(socketEvent)) (more bool) {
	out := socketEvent{Kind: string(e.Kind), HasValue: e.Data != nil, Meta: eventMeta(e.Meta)}
	var err error
	if out.Value, err = p.serializer.Value(e.Data); err != nil {
		err = fmt.Errorf("rpc: decode event: %w", err)
		if e.Kind != peer.EventDone && e.Kind != peer.EventError {
			event(socketEvent{Kind: kindUnreadable, Meta: out.Meta, Err: err})
			return true
		}
		event(socketEvent{Kind: string(peer.EventError), Meta: out.Meta, Err: err})
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

// openStream returns the output of a call whose answer is a stream of events.
func (p *socketClient) openStream(
	ctx context.Context, call *Call, socket *clientSocket, r *peer.Response, stream *peer.Stream,
) (any, error) {
	call.ResponseHeader = r.Header
	out, s, wanted := wantedStream(call)
	if !wanted {
		_ = stream.Close()
		return nil, callError(ctx, call, errUnexpectedStream)
	}
	s.source = &peerSource{
		life: s.life, call: call, serializer: p.serializer, socket: socket, stream: stream,
		// An abort must be sent to the server even if no goroutine is reading the stream.
		stop: context.AfterFunc(s.life, func() { _ = stream.Close() }),
	}
	return out, nil
}

// peerSource reads the events that arrive on a socket.
type peerSource struct {
	life       context.Context
	call       *Call
	serializer *serializer.Serializer
	socket     *clientSocket
	stream     *peer.Stream
	stop       func() bool
}

func (s *peerSource) next() eventItem {
	for {
		e, err := s.stream.Next(s.life)
		if err != nil {
			return eventItem{err: s.socket.failed(s.life, s.call, err)}
		}
		if item, ok := readEvent(s.serializer, e.Kind, e.Data, e.Meta); ok {
			return item
		}
	}
}

func (s *peerSource) close() {
	s.stop()
	_ = s.stream.Close()
}
