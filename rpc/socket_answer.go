package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/go-orpc/durable-iterator/internal/bridge"
	"github.com/go-orpc/durable-iterator/internal/peer"
	"github.com/go-orpc/durable-iterator/internal/serializer"
)

var (
	errUnexpectedStream = errors.New("the answer is a stream of events")
	errForeignBody      = errors.New("the answer is a file without a value, which cannot be read")
)

// output reads an answer that is no stream.
func (p *socketClient) output(ctx context.Context, call *Call, r *peer.Response) (any, error) {
	call.ResponseHeader = r.Header
	out, err := p.read(call, r)
	if _, sent := findError(err); err != nil && !sent {
		return nil, callError(ctx, call, err)
	}
	return out, err
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

// Subscribe implements [bridge.Client].
func (p *socketClient) Subscribe(ctx context.Context, call *Call, open func(http.Header), event func(bridge.Event[EventMeta])) (stop func(), err error) {
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
				event(bridge.Event[EventMeta]{Kind: kindUnreadable, Meta: EventMeta{ID: bad.EventID}, Err: fmt.Errorf("rpc: receive: %w", bad)})
			}
		},
		Failed: func(err error) {
			if !errors.Is(err, peer.ErrClosed) {
				event(bridge.Event[EventMeta]{Kind: string(peer.EventError), Err: fmt.Errorf("rpc: receive: %w", err)})
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
func (p *socketClient) deliver(e *peer.Event, event func(bridge.Event[EventMeta])) (more bool) {
	out := bridge.Event[EventMeta]{Kind: string(e.Kind), HasValue: e.Data != nil, Meta: eventMeta(e.Meta)}
	var err error
	if out.Value, err = p.serializer.Value(e.Data); err != nil {
		err = fmt.Errorf("rpc: decode event: %w", err)
		if e.Kind != peer.EventDone && e.Kind != peer.EventError {
			event(bridge.Event[EventMeta]{Kind: kindUnreadable, Meta: out.Meta, Err: err})
			return true
		}
		event(bridge.Event[EventMeta]{Kind: string(peer.EventError), Meta: out.Meta, Err: err})
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

// ErrOverflow is wrapped by the error of a stream of events that was read too
// slowly: see [Events].
var ErrOverflow = errors.New("rpc: too many unread events")

// openStream makes the output of a call whose answer is a stream of events.
func (p *socketClient) openStream(ctx context.Context, call *Call, socket *clientSocket, r *peer.Response, stream *peer.Stream) (any, error) {
	call.ResponseHeader = r.Header
	out, s, wanted := wantedStream(call)
	if !wanted {
		_ = stream.Close()
		return nil, callError(ctx, call, errUnexpectedStream)
	}
	s.source = &peerSource{
		life: s.life, call: call, serializer: p.serializer, socket: socket, stream: stream,
		// The server is told even if nobody reads at that moment.
		stop: context.AfterFunc(s.life, func() { _ = stream.Close() }),
	}
	return out, nil
}

// peerSource gives the events that arrive on a socket.
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
		if errors.Is(err, peer.ErrOverflow) {
			err = fmt.Errorf("%w: %w", ErrOverflow, err)
		}
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
