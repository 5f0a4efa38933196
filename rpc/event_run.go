package rpc

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/go-orpc/durable-iterator/internal/peer"
)

// eventRun is the output of an event procedure on a server: what is left to do once
// the answer has begun. Whoever answers the call runs it, once.
type eventRun struct {
	ctx    context.Context // only its values count: interceptors have returned
	call   *Call
	spec   *spec
	handle func(ctx context.Context, w *eventWriter) (result any, err error)
}

// eventSink is where the events of a run go.
type eventSink interface {
	// message sends an event. It waits until there is room.
	message(value any, meta EventMeta) error
	// end sends the last event: an error if err is not nil.
	end(result any, err error)
}

// run calls the handler, until ctx ends.
func (r *eventRun) run(ctx context.Context, sink eventSink) {
	ctx, cancel := context.WithCancelCause(peer.WithValues(ctx, r.ctx))
	defer cancel(nil)
	w := &eventWriter{ctx: ctx, cancel: cancel, sink: sink, turn: make(chan struct{}, 1)}
	result, err := guarded(func(ctx context.Context, _ *Call) (any, error) { return r.handle(ctx, w) })(ctx, r.call)
	// A handler may overlook that an event could not be sent. The caller shall not.
	if failed := w.close(); err == nil {
		err = failed
	}
	if _, answered := findError(err); !answered && errors.Is(context.Cause(ctx), errShuttingDown) {
		// What a handler returns when its context ends is no result, and its caller is
		// there to be told to come back.
		result, err = nil, errShuttingDown
	}
	sink.end(result, r.spec.markDefined(err))
}

// serve runs it for a caller at the other end of a wire.
func (r *eventRun) serve(ctx context.Context, e *engine, send func(*peer.Event) error) {
	r.run(ctx, &wireSink{ctx: ctx, engine: e, call: r.call, send: send})
}

// wireSink encodes events.
type wireSink struct {
	ctx    context.Context // of the call
	engine *engine
	call   *Call
	peer   *peer.Call // of a socket, where events are encoded in turns; nil otherwise
	send   func(*peer.Event) error
}

func (s *wireSink) message(value any, meta EventMeta) error {
	m, err := meta.peerMeta()
	if err != nil {
		return err
	}
	if s.peer != nil {
		if err := s.peer.StartAnswer(s.ctx); err != nil {
			return err
		}
		defer s.peer.StopAnswer()
	}
	data, err := s.encode(value)
	if err != nil {
		return err
	}
	return s.send(&peer.Event{Kind: peer.EventMessage, Data: data, Meta: m})
}

func (s *wireSink) end(result any, err error) {
	last := &peer.Event{Kind: peer.EventDone}
	if err == nil {
		if last.Data, err = s.encode(result); err != nil {
			err = fmt.Errorf("rpc: encode return value: %w", err)
		}
	}
	if err != nil {
		last.Kind = peer.EventError
		last.Data = s.encodeError(err)
	}
	if err := s.send(last); err != nil {
		s.engine.logger.DebugContext(s.ctx, "end of events not sent", "err", err)
	}
}

// encode makes the data of an event, which holds no files.
func (s *wireSink) encode(v any) (data []byte, err error) {
	defer recoverTo(&err)
	return appendValue(nil, s.engine.serializer, v)
}

func (s *wireSink) encodeError(err error) []byte {
	s.engine.logError(s.ctx, s.call, err)
	data, err := s.encode(ToError(err).wire())
	if err != nil {
		s.engine.logger.ErrorContext(s.ctx, "error cannot be sent", "path", strings.Join(s.call.Path, "."), "err", err)
		return unencodableError
	}
	return data
}
