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

func init() { bridge.NewClient = newSocketClient }

// ErrDisconnected is wrapped by the error of a call that failed because its socket
// went away or was not there. Whether the server has carried it out is not known.
// It is not an [*Error]: no server has sent it.
var ErrDisconnected = errors.New("rpc: disconnected")

// socketClient makes calls over sockets, one after another: see transport.ClientPeer.
type socketClient struct {
	send       bridge.Send
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

func newSocketClient(o *bridge.ClientOptions[Interceptor]) bridge.Client[Call, CallOption, EventMeta] {
	p := &socketClient{send: o.Send, flush: o.Flush, serializer: newSerializer(o.Serializers)}
	p.caller = NewCaller(p.roundTrip, o.Interceptors...)
	p.direct = len(o.Interceptors) == 0
	p.socket = p.newSocket()
	return p
}

// Call implements [bridge.Client].
func (p *socketClient) Call(ctx context.Context, call *Call, opts ...CallOption) (any, error) {
	if p.direct && len(opts) == 0 { // nobody changes the call
		return p.roundTrip(ctx, call)
	}
	return p.caller.Call(ctx, call, opts...)
}

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
	go func() { // nothing is added to what it waits for: old is disconnected
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

// failed gives the error of a call that got no answer.
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

// do sends a request, and its input if that is a stream of events, which is nil
// otherwise.
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
