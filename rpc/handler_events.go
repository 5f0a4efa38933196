package rpc

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/go-orpc/durable-iterator/internal/peer"
	"github.com/go-orpc/durable-iterator/internal/sse"
)

// sendEvents answers a request with a stream of events, to its end.
func (h *Handler) sendEvents(ctx context.Context, w http.ResponseWriter, added http.Header, run *eventRun) {
	header := w.Header()
	mergeHeader(header, added)
	header.Del(headerDisposition)
	header.Del("Content-Length")
	header.Set(headerContentType, eventStreamType)
	controller := http.NewResponseController(w)
	if err := controller.Flush(); errors.Is(err, http.ErrNotSupported) { // hidden by middleware
		writeAnswer(w, h.engine.answerError(ctx, run.call, fmt.Errorf("rpc: flush events: %w", err)))
		return
	}
	stream, err := sse.NewWriter(w, controller.Flush, sse.Options{})
	if err != nil {
		h.engine.logger.DebugContext(ctx, "answer not sent", "err", err)
		return
	}
	run.serve(ctx, h.engine, func(e *peer.Event) error {
		return stream.Write(&sse.Message{Event: e.Kind, Data: e.Data, Meta: e.Meta})
	})
	_ = stream.Close() // the same error as the last Write
}
