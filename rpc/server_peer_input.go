package rpc

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-orpc/durable-iterator/internal/peer"
	"github.com/go-orpc/durable-iterator/internal/serializer"
)

// takesEvents reports whether the input of a request is a stream of events, and may
// be one.
func (s *ServerPeers) takesEvents(r *peer.Request) bool {
	if s.takes == nil || !peer.IsEventStream(r.Header) {
		return false
	}
	path, err := decodePath(r.URL)
	return err == nil && s.takes(path)
}

// peerInput gives the events that a client sends as the input of a call.
type peerInput struct {
	life       context.Context
	call       *peer.Call
	serializer *serializer.Serializer
}

// newPeerInput makes the input of a call. The caller stops it when the handler has
// returned; the client is told by the call itself, when it is over.
func newPeerInput(ctx context.Context, c *peer.Call, values *serializer.Serializer) *eventStream {
	life, end := context.WithCancelCause(ctx)
	s := newEventStream(life, end)
	s.source = &peerInput{life: life, call: c, serializer: values}
	return s
}

func (i *peerInput) next() eventItem {
	for {
		e, err := i.call.Next(i.life)
		if errors.Is(err, peer.ErrOverflow) {
			err = fmt.Errorf("%w: %w", ErrOverflow, err)
		}
		if err != nil {
			return eventItem{err: fmt.Errorf("rpc: read events: %w", withCause(i.life, err))}
		}
		if item, ok := readInputEvent(i.serializer, e.Kind, e.Data, e.Meta); ok {
			return item
		}
	}
}

// close has the client told to stop, unless it has sent everything.
func (i *peerInput) close() { _ = i.call.CloseInput() }
