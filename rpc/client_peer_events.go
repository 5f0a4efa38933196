package rpc

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-orpc/durable-iterator/internal/peer"
	"github.com/go-orpc/durable-iterator/internal/serializer"
)

// ErrOverflow is wrapped by the error of a stream of events that was read too
// slowly: see [Events].
var ErrOverflow = errors.New("rpc: too many unread events")

// openStream makes the output of a call whose answer is a stream of events.
func (p *ClientPeer) openStream(ctx context.Context, call *Call, socket *clientSocket, r *peer.Response, stream *peer.Stream) (any, error) {
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
