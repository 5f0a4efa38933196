package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"

	"github.com/go-orpc/durable-iterator/internal/batch"
	"github.com/go-orpc/durable-iterator/internal/peer"
	"github.com/go-orpc/durable-iterator/internal/sse"
)

const headerBatch = batch.Header

// oRPC's texts for batches that are refused.
const (
	invalidBatchText  = "Invalid batch request, this could be caused by a malformed request body or a missing header"
	tooManyBatchText  = "Batch request size exceeds the maximum allowed size"
	batchMethodsAllow = "GET, POST"
)

// isBatch reports whether a request carries several calls.
func (h *Handler) isBatch(r *http.Request) bool {
	return h.batch != nil && len(r.Header[headerBatch]) > 0 && strings.HasPrefix(r.URL.EscapedPath(), h.prefix+"/")
}

// serveBatch answers a request that carries several calls. When it returns, all of
// them have.
func (h *Handler) serveBatch(w http.ResponseWriter, r *http.Request) {
	x := h.newExchange(w, r, false)
	if err := h.origins.check(r); err != nil {
		h.refuseOrigin(r.Context(), x, &Call{ResponseHeader: http.Header{}}, err)
		return
	}
	requests, ok := h.readBatch(x)
	if !ok {
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	answers := make(chan *batch.Response, len(requests)) // so that no call waits for the client
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	for i := range requests {
		running.Go(func() {
			answer := &batch.Response{Index: i, Status: http.StatusInternalServerError}
			defer func() { answers <- answer }() // also if the handler calls runtime.Goexit
			answer = h.serveItem(ctx, r, i, &requests[i])
		})
	}
	header := w.Header()
	header.Set("X-Content-Type-Options", "nosniff")
	if header.Get("Cache-Control") == "" {
		header.Set("Cache-Control", "no-store")
	}
	if r.Header.Get(headerBatch) != batch.Buffered && h.streamBatch(ctx, x, len(requests), answers) {
		return
	}
	list := []byte{'['}
	for n := range requests {
		if n > 0 {
			list = append(list, ',')
		}
		list = batch.AppendResponse(list, <-answers)
	}
	x.writeJSON(batch.Status, append(list, ']'))
}

// readBatch reads the requests of a batch, or answers what is none.
func (h *Handler) readBatch(x *exchange) (requests []batch.Request, ok bool) {
	text, err := h.batchText(x.w, x.r)
	x.bodyRead()
	if err == nil {
		requests, err = batch.ParseRequests(text, x.r.Method, h.batch.maxSize)
	}
	switch {
	case err == nil:
		return requests, true
	case errors.Is(err, batch.ErrTooMany):
		x.writeText(http.StatusRequestEntityTooLarge, tooManyBatchText)
	case errors.Is(err, batch.ErrHeaderTooLarge):
		x.writeText(http.StatusRequestHeaderFieldsTooLarge, http.StatusText(http.StatusRequestHeaderFieldsTooLarge))
	case errors.Is(err, batch.ErrInvalid), CodeOf(err) == CodeBadRequest:
		x.writeText(http.StatusBadRequest, invalidBatchText)
	default:
		if CodeOf(err) == CodeMethodNotSupported {
			x.w.Header().Set("Allow", batchMethodsAllow)
		}
		x.writeAnswer(h.engine.answerError(x.r.Context(), &Call{ResponseHeader: http.Header{}}, err))
	}
	return nil, false
}

// batchText returns the JSON list of requests.
func (h *Handler) batchText(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	switch r.Method {
	case http.MethodGet:
		text, err := queryParameter(r.URL, batch.QueryName)
		return []byte(text), err
	case http.MethodPost:
		if !isJSONBody(r.Header) {
			return nil, &Error{Code: CodeUnsupportedMediaType}
		}
		return readAll(w, r, h.maxBodyBytes)
	}
	return nil, &Error{Code: CodeMethodNotSupported}
}

// streamBatch sends n answers as they get ready. It reports false, having sent
// nothing, if the writer cannot do that; then all answers are sent at once.
func (h *Handler) streamBatch(ctx context.Context, x *exchange, n int, answers <-chan *batch.Response) bool {
	if !canFlush(x.w) {
		return false
	}
	x.w.Header().Set(headerContentType, eventStreamType)
	x.begin(true)
	x.w.WriteHeader(batch.Status)
	stream, err := sse.NewWriter(x, x.flushEvent, sse.Options{})
	if err != nil {
		h.engine.logger.DebugContext(ctx, "answer not sent", "err", err)
		return true
	}
	for range n {
		data := batch.AppendResponse(nil, <-answers)
		if err := stream.Write(&sse.Message{Event: peer.EventMessage, Data: data}); err != nil {
			h.engine.logger.DebugContext(ctx, "answer not sent", "err", err)
			break
		}
	}
	_ = stream.Close() // the same error as the last Write
	return true
}

// writeText answers with a bare text as the JSON of the body, as oRPC does where
// there is no call that an error could belong to.
func (x *exchange) writeText(status int, text string) {
	body, _ := json.Marshal(text) //nolint:errchkjson // a text
	x.writeJSON(status, body)
}
