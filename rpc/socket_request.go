package rpc

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/go-orpc/durable-iterator/internal/peer"
	"github.com/go-orpc/durable-iterator/internal/serializer"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// call makes the call of a request, and what carries it out.
func (s *socketServers) call(r *peer.Request) (*Call, CallFunc) {
	call := &Call{
		Method:      r.Method,
		LastEventID: strings.Join(r.Header.Values(headerLastEventID), ", "),
		Header:      r.Header,
	}
	var err error
	if call.Path, err = decodePath(r.URL); err == nil {
		call.Input, err = s.readInput(r)
	}
	if err != nil {
		return call, func(context.Context, *Call) (any, error) { return nil, err }
	}
	return call, s.handle
}

// readInput refuses, as over HTTP, what is sent for something else than an
// encoded value.
func (s *socketServers) readInput(r *peer.Request) (value.Value, error) {
	switch {
	case r.Method == http.MethodGet:
		return readQuery(r.URL, s.engine.serializer)
	case isPeerForm(r.Header, r.Body):
		v, err := readPeerForm(r.Header, r.Body, s.engine.serializer)
		return v, formError(err)
	case s.takesEvents(r):
		return value.Value{}, nil // see serve
	case len(r.Body.Bytes) > 0,
		peer.IsEventStream(r.Header),
		strings.HasPrefix(r.Header.Get(headerContentType), urlEncodedType):
		return value.Value{}, &Error{Code: CodeUnsupportedMediaType}
	}
	return readInput(r.Body.JSON, s.engine.serializer)
}

// urgent returns the number of a path, from 1, for a request that is for it.
func urgent(paths []string) func(*peer.Request) int {
	if len(paths) > peer.MaxUrgent {
		panic("rpc: NewServerPeers: too many urgent paths")
	}
	addresses := make([]string, len(paths))
	for i, path := range paths {
		addresses[i] = encodePath(strings.Split(path, "."))
	}
	return func(r *peer.Request) int {
		return 1 + slices.Index(addresses, strings.TrimSuffix(r.URL.EscapedPath(), "/"))
	}
}

// takesEvents reports whether the input of a request is a stream of events, and may
// be one.
func (s *socketServers) takesEvents(r *peer.Request) bool {
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
