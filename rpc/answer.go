package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/go-orpc/durable-iterator/internal/asynclog"
	"github.com/go-orpc/durable-iterator/internal/bridge"
	"github.com/go-orpc/durable-iterator/internal/peer"
	"github.com/go-orpc/durable-iterator/internal/serializer"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// engine runs the calls of a server, over any transport.
type engine struct {
	serializer *serializer.Serializer
	validator  Validator
	logger     *slog.Logger
}

// newEngine returns an engine. A nil v means the default validator, and a nil l no logging. It
// panics if serializers contradict each other. Panics of the log's handler are ignored.
func newEngine(customs []value.Serializer, v Validator, l *slog.Logger) *engine {
	if l == nil {
		l = slog.New(slog.DiscardHandler)
	}
	return &engine{serializer: newSerializer(customs), validator: v, logger: asynclog.Guard(l)}
}

// encodedAnswer is the answer to a call, which engine.answer returns.
type encodedAnswer struct {
	status int
	header http.Header        // the call's ResponseHeader
	body   serializer.Encoded // the output or error
}

// answer runs a call with handle and encodes its output or its error. It does not panic. An
// output or error that cannot be sent is logged, and the answer is CodeInternalServerError.
//
// An output that is not sent as a value is returned as out, with an answer without body; for
// any other output, out is nil.
func (e *engine) answer(ctx context.Context, call *Call, handle CallFunc) (out any, a encodedAnswer) {
	if call.Header == nil {
		call.Header = http.Header{}
	}
	if call.ResponseHeader == nil {
		call.ResponseHeader = http.Header{}
	}
	call.validator = e.validator

	result, err := guarded(handle)(ctx, call)
	if err == nil && isStream(result) {
		return result, encodedAnswer{status: http.StatusOK, header: call.ResponseHeader}
	}
	if err == nil {
		body, encodeErr := e.encode(result)
		if encodeErr == nil {
			return nil, encodedAnswer{status: http.StatusOK, header: call.ResponseHeader, body: body}
		}
		err = internalError(fmt.Errorf("rpc: encode output: %w", encodeErr))
	}
	return nil, e.answerError(ctx, call, err)
}

// isStream reports whether an output opens a stream of events instead of being sent as a value.
func isStream(out any) bool {
	switch out.(type) {
	case bridge.Hibernation, *eventRun:
		return true
	}
	return false
}

// answerError encodes an error that ended a call, or that kept it from starting: then call may be
// empty.
func (e *engine) answerError(ctx context.Context, call *Call, err error) encodedAnswer {
	e.logError(ctx, call, err)
	if call.ResponseHeader == nil {
		call.ResponseHeader = http.Header{}
	}
	sent := ToError(err)
	body, encodeErr := e.encode(sent.wire())
	if encodeErr != nil {
		e.logger.ErrorContext(ctx, "error cannot be sent", "path", strings.Join(call.Path, "."), "err", encodeErr)
		sent, body = internalError(encodeErr), serializer.Encoded{JSON: unencodableError}
	}
	return encodedAnswer{status: sent.Status, header: call.ResponseHeader, body: body}
}

// logError logs panics and the causes of internal errors, which are not sent to the caller. It
// does not log errors that mean that ctx has ended, because the caller has disconnected or the
// server is shutting down.
func (e *engine) logError(ctx context.Context, call *Call, err error) {
	path := strings.Join(call.Path, ".")
	if p, ok := errors.AsType[*PanicError](err); ok {
		e.logger.ErrorContext(ctx, "handler panicked", "path", path, "panic", asynclog.PanicText(p.Value), "stack", string(p.Stack))
		return
	}
	ended := ctx.Err() != nil && (errors.Is(err, ctx.Err()) || errors.Is(err, context.Cause(ctx)))
	if ToError(err).Code == CodeInternalServerError && !ended {
		e.logger.WarnContext(ctx, "call failed", "path", path, "err", localCause(err))
	}
}

// localCause unwraps the outermost errors of type *Error and returns the first other error, or
// the last *Error if there is none.
func localCause(err error) error {
	for {
		e, ok := err.(*Error) //nolint:errorlint // what wraps an Error has more detail than its cause
		if !ok || e.Unwrap() == nil {
			return err
		}
		err = e.cause
	}
}

// encode encodes an output or an error. It recovers from panics of the application's
// serializers.
func (e *engine) encode(v any) (body serializer.Encoded, err error) {
	defer bridge.RecoverTo(&err)
	return encodeValue(e.serializer, v)
}

// serve runs it and sends the events over a connection.
func (r *eventRun) serve(ctx context.Context, e *engine, send func(*peer.Event) error) {
	r.run(ctx, &wireSink{ctx: ctx, engine: e, call: r.call, send: send})
}

// wireSink encodes events.
type wireSink struct {
	ctx    context.Context // of the call
	engine *engine
	call   *Call
	peer   *peer.Call // set for a socket, whose events are encoded one at a time
	send   func(*peer.Event) error

	// unsent is the error of the transport for an event that it did not send: the caller has
	// disconnected, perhaps before ctx ends. Messages are sent one at a time, and end is last.
	unsent error
}

func (s *wireSink) message(value any, meta EventMeta) error {
	m, err := meta.peerMeta()
	if err != nil {
		return err
	}
	return s.inTurn(func() error {
		data, err := s.encode(value)
		if err != nil {
			return err
		}
		s.unsent = s.send(&peer.Event{Kind: peer.EventMessage, Data: data, Meta: m})
		return s.unsent
	})
}

// inTurn calls send, which encodes and sends an event, when it is its turn.
func (s *wireSink) inTurn(send func() error) error {
	if s.peer != nil {
		if err := s.peer.StartAnswer(s.ctx); err != nil {
			return err
		}
		defer s.peer.StopAnswer()
	}
	return send()
}

func (s *wireSink) end(result any, err error) {
	tried := false
	failed := s.inTurn(func() error {
		tried = true
		return s.sendEnd(result, err)
	})
	if failed != nil {
		s.engine.logger.DebugContext(s.ctx, "end of events not sent", "err", failed)
	}
	if !tried && err != nil {
		s.logError(err)
	}
}

// logError logs an error like the engine's logError, unless it only means that the caller has
// disconnected.
func (s *wireSink) logError(err error) {
	if s.unsent == nil || !errors.Is(err, s.unsent) {
		s.engine.logError(s.ctx, s.call, err)
	}
}

func (s *wireSink) sendEnd(result any, err error) error {
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
	return s.send(last)
}

// encode returns the data of an event, which must not contain files.
func (s *wireSink) encode(v any) (data []byte, err error) {
	defer bridge.RecoverTo(&err)
	return appendValue(nil, s.engine.serializer, v)
}

func (s *wireSink) encodeError(err error) []byte {
	s.logError(err)
	data, err := s.encode(ToError(err).wire())
	if err != nil {
		s.engine.logger.ErrorContext(s.ctx, "error cannot be sent", "path", strings.Join(s.call.Path, "."), "err", err)
		return unencodableError
	}
	return data
}
