package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"

	"github.com/go-orpc/durable-iterator/internal/asynclog"
	"github.com/go-orpc/durable-iterator/internal/bridge"
	"github.com/go-orpc/durable-iterator/internal/serializer"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// engine carries out the calls of a server, whatever they came in on.
type engine struct {
	serializer *serializer.Serializer
	validator  Validator
	logger     *slog.Logger
}

// newEngine takes nil for the default validator and for no log. It panics on
// serializers that contradict each other. A panic of the log does no harm: many lines
// are logged where nothing recovers from one.
func newEngine(customs []value.Serializer, v Validator, l *slog.Logger) *engine {
	if l == nil {
		l = slog.New(slog.DiscardHandler)
	}
	return &engine{serializer: newSerializer(customs), validator: v, logger: asynclog.Guard(l)}
}

// newSerializer panics on customs that contradict each other: they are wiring.
func newSerializer(customs []value.Serializer) *serializer.Serializer {
	s, err := serializer.New(customs...)
	if err != nil {
		panic(fmt.Sprintf("rpc: Serializers: %v", err))
	}
	return s
}

// answer is what a call is answered with.
type answer struct {
	status int
	header http.Header        // the call's ResponseHeader
	body   serializer.Encoded // the output or error
}

// answer carries out a call with handle and encodes its output or its error. It
// never fails and never panics: what cannot be sent is logged and answered as
// CodeInternalServerError.
//
// An output that is not sent as a value comes back as out, with an answer
// without body; out is nil for any other.
func (e *engine) answer(ctx context.Context, call *Call, handle CallFunc) (out any, a answer) {
	if call.Header == nil {
		call.Header = http.Header{}
	}
	if call.ResponseHeader == nil {
		call.ResponseHeader = http.Header{}
	}
	call.validator = e.validator

	result, err := guarded(handle)(ctx, call)
	if err == nil && isStream(result) {
		return result, answer{status: http.StatusOK, header: call.ResponseHeader}
	}
	if err == nil {
		body, encodeErr := e.encode(result)
		if encodeErr == nil {
			return nil, answer{status: http.StatusOK, header: call.ResponseHeader, body: body}
		}
		err = internalError(fmt.Errorf("rpc: encode output: %w", encodeErr))
	}
	return nil, e.answerError(ctx, call, err)
}

// isStream tells whether an output is not sent as a value but opens a stream of
// events.
func isStream(out any) bool {
	switch out.(type) {
	case bridge.Hibernation, *eventRun:
		return true
	}
	return false
}

// answerError encodes an error that ended a call, or that kept it from starting.
func (e *engine) answerError(ctx context.Context, call *Call, err error) answer {
	e.logError(ctx, call, err)
	sent := ToError(err)
	body, encodeErr := e.encode(sent.wire())
	if encodeErr != nil {
		e.logger.ErrorContext(ctx, "error cannot be sent", "path", strings.Join(call.Path, "."), "err", encodeErr)
		sent, body = internalError(encodeErr), serializer.Encoded{JSON: unencodableError}
	}
	return answer{status: sent.Status, header: call.ResponseHeader, body: body}
}

// unencodableError stands in for an error whose data cannot be encoded.
var unencodableError = []byte(`{"json":{"defined":false,"code":"` + string(CodeInternalServerError) +
	`","status":500,"message":"` + internalMessage + `"}}`)

// logError logs what the caller is not told: panics, and the cause of internal
// errors. That a call ended because its caller went away is no news.
func (e *engine) logError(ctx context.Context, call *Call, err error) {
	path := strings.Join(call.Path, ".")
	if p, ok := errors.AsType[*PanicError](err); ok {
		e.logger.ErrorContext(ctx, "handler panicked", "path", path, "panic", panicText(p.Value), "stack", string(p.Stack))
		return
	}
	ended := ctx.Err() != nil && errors.Is(err, ctx.Err())
	if ToError(err).Code == CodeInternalServerError && !ended {
		e.logger.WarnContext(ctx, "call failed", "path", path, "err", localCause(err))
	}
}

// localCause gives what is below errors that are sent, or the last of them.
func localCause(err error) error {
	for {
		e, ok := err.(*Error) //nolint:errorlint // what wraps an Error says more than its cause
		if !ok || e.Unwrap() == nil {
			return err
		}
		err = e.cause
	}
}

// encode encodes an output or an error. Serializers of the application may panic
// in it.
func (e *engine) encode(v any) (body serializer.Encoded, err error) {
	defer recoverTo(&err)
	return encodeValue(e.serializer, v)
}

// appendValue appends the envelope of a value to dst.
func appendValue(dst []byte, s *serializer.Serializer, v any) ([]byte, error) {
	if isVoid(v) {
		v = value.Undefined{}
	}
	return s.Append(dst, v)
}

func isVoid(v any) bool {
	switch v.(type) {
	case Void, *Void:
		return true
	}
	return false
}

// guarded turns a panic in handle into a *PanicError.
func guarded(handle CallFunc) CallFunc {
	return func(ctx context.Context, call *Call) (out any, err error) {
		defer recoverTo(&err)
		return handle(ctx, call)
	}
}

// recoverTo makes a panic a *PanicError. It is deferred.
func recoverTo(err *error) {
	if p := recover(); p != nil {
		*err = &PanicError{Value: p, Stack: debug.Stack()}
	}
}
