package rpc

import (
	"context"
	"errors"
	"net/http"

	"github.com/go-orpc/durable-iterator/internal/peer"
	"github.com/go-orpc/durable-iterator/internal/sse"
)

var errNoFlush = errors.New("rpc: send events: middleware hides the http.Flusher of the ResponseWriter")

// sendEvents answers a request with a stream of events, to its end.
func (h *Handler) sendEvents(ctx, server context.Context, x *exchange, added http.Header, run *eventRun) {
	if !canFlush(x.w) {
		h.logNoStream(ctx, run.call, errNoFlush)
		x.writeAnswer(h.engine.answerError(ctx, run.call, internalError(errNoFlush)))
		return
	}
	ctx, leave, err := h.streams.enter(ctx, server)
	if err != nil {
		x.writeAnswer(h.engine.answerError(x.r.Context(), run.call, err))
		return
	}
	defer leave()
	header := x.w.Header()
	mergeHeader(header, added)
	header.Del(headerDisposition)
	header.Del("Content-Length")
	header.Set(headerContentType, eventStreamType)
	x.begin(true)
	// The writers of frameworks and compressors do not know of a header that only a
	// flush has sent.
	x.w.WriteHeader(http.StatusOK)
	stream, err := sse.NewWriter(x, x.flushEvent, sse.Options{})
	if err != nil {
		h.noStream(ctx, run.call, err)
		return
	}
	run.serve(ctx, h.engine, func(e *peer.Event) error {
		return stream.Write(&sse.Message{Event: e.Kind, Data: e.Data, Meta: e.Meta})
	})
	if err := stream.Close(); err != nil {
		h.noStream(ctx, run.call, err)
	}
}

// noStream ends a stream that could not be sent to its end. Where that is the fault of
// the server the answer is cut off, for the client not to take it for a whole one.
func (h *Handler) noStream(ctx context.Context, call *Call, err error) {
	_, panicked := errors.AsType[*PanicError](err)
	if !panicked && !errors.Is(err, http.ErrNotSupported) && !errors.Is(err, http.ErrHandlerTimeout) {
		h.engine.logger.DebugContext(ctx, "events not sent", "path", call.Path, "err", err)
		return
	}
	h.logNoStream(ctx, call, err)
	panic(http.ErrAbortHandler)
}

func (h *Handler) logNoStream(ctx context.Context, call *Call, err error) {
	h.engine.logger.ErrorContext(ctx, "events cannot be streamed", "path", call.Path, "err", err)
}
