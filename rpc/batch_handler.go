package rpc

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/go-orpc/durable-iterator/internal/batch"
	"github.com/go-orpc/durable-iterator/internal/bridge"
	"github.com/go-orpc/durable-iterator/internal/faults"
	"github.com/go-orpc/durable-iterator/internal/peer"
	"github.com/go-orpc/durable-iterator/internal/sse"
	"github.com/go-orpc/durable-iterator/internal/writers"
)

// BatchPlugin makes a [Handler] serve batches: requests with several calls, as sent by the
// TypeScript BatchLinkPlugin or a [BatchLinkPlugin]. It is oRPC's BatchHandlerPlugin. The zero
// BatchPlugin is usable. It has no effect on a websocket.Handler, whose connections can have any
// number of calls anyway.
//
// A batch is recognized by the header x-orpc-batch, at any path below [HandlerOptions.Prefix]. It
// is a POST with the calls in its body, or a GET with the calls in its query. Each call is served
// like a separate request: the same checks and interceptors apply, its path is below the prefix,
// and its answer has its own status and headers, including that of a durable iterator. These
// rules apply:
//
//   - The limit of the body, [HandlerOptions.MaxBodyBytes], is for the whole batch. All calls
//     share the context of the request, and so its deadline.
//   - A call has the headers of the batch and its own, which take precedence. Headers that pages
//     cannot set, such as Cookie, Origin and Sec-Fetch-Site, and those in which proxies name the
//     client, such as X-Forwarded-For, are always those of the batch.
//   - The host of a call's address is ignored.
//   - A call in a GET batch with another method is refused with [CodeMethodNotSupported]. A call
//     that is itself a batch is refused with [CodeBadRequest].
//   - Outputs with files and streams of events are not supported. The call is answered with
//     status 500 and oRPC's message for this case; the handler of a stream is not run.
//
// Calls run concurrently. Each answer is sent as soon as it is ready, unless the client requests
// all answers at once. A batch with too many calls is refused with status 413, a malformed one
// with 400; then no call runs. The response forbids caches to store it.
type BatchPlugin struct {
	// MaxSize is the maximum number of calls in a batch. 0 means 10.
	MaxSize int
	// ReservedHeaders lists further headers that a call cannot set: those that a proxy adds
	// to requests and that the application trusts.
	ReservedHeaders []string
}

// InitHandler implements [HandlerPlugin]. It panics on a negative MaxSize.
func (p *BatchPlugin) InitHandler(o *HandlerOptions) {
	var list faults.List
	faults.Negative(&list, "MaxSize", p.MaxSize)
	list.Panic("rpc: BatchPlugin")
	b := batchServer{maxSize: cmp.Or(p.MaxSize, defaultBatchSize), reserved: make(map[string]bool)}
	for _, name := range p.ReservedHeaders {
		b.reserved[http.CanonicalHeaderKey(name)] = true
	}
	o.batch = func(h *Handler) batchHandler {
		own := b
		own.handler = h
		return &own
	}
}

// oRPC's messages for batches that are refused.
const (
	invalidBatchText  = "Invalid batch request, this could be caused by a malformed request body or a missing header"
	tooManyBatchText  = "Batch request size exceeds the maximum allowed size"
	batchMethodsAllow = "GET, POST"
)

// batchServer serves batches of calls with a handler. It is a [BatchPlugin] with its defaults.
type batchServer struct {
	handler  *Handler
	maxSize  int
	reserved map[string]bool // by canonical name
}

// takes reports whether a request is a batch.
func (b *batchServer) takes(r *http.Request) bool {
	return len(r.Header[headerBatch]) > 0 && strings.HasPrefix(r.URL.EscapedPath(), b.handler.prefix+"/")
}

// ServeHTTP serves a batch. It returns when all of its calls have returned.
func (b *batchServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := b.handler.open(w, r, false)
	if err := b.handler.origins.check(r); err != nil {
		b.handler.refuseOrigin(r.Context(), x, &Call{}, err)
		return
	}
	requests, ok := b.readBatch(x)
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
			answer = b.serveItem(ctx, r, i, &requests[i])
		})
	}
	header := w.Header()
	header.Set("X-Content-Type-Options", "nosniff")
	if header.Get("Cache-Control") == "" {
		header.Set("Cache-Control", "no-store")
	}
	if r.Header.Get(headerBatch) != batch.Buffered && b.streamBatch(ctx, x, len(requests), answers) {
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

// readBatch reads the requests of a batch. If it is malformed, readBatch sends the response.
func (b *batchServer) readBatch(x *exchange) (requests []batch.Request, ok bool) {
	text, err := batchText(x)
	x.bodyRead()
	if err == nil {
		requests, err = batch.ParseRequests(text, x.r.Method, b.maxSize)
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
		x.writeAnswer(b.handler.engine.answerError(x.r.Context(), &Call{}, err))
	}
	return nil, false
}

// batchText returns the JSON list of requests.
func batchText(x *exchange) ([]byte, error) {
	switch x.r.Method {
	case http.MethodGet:
		text, err := queryParameter(x.r.URL, batch.QueryName)
		return []byte(text), err
	case http.MethodPost:
		if !isJSONBody(x.r.Header) {
			return nil, &Error{Code: CodeUnsupportedMediaType}
		}
		return x.readAll()
	}
	return nil, &Error{Code: CodeMethodNotSupported}
}

// streamBatch sends n answers as they become ready. If the writer does not support that, it
// returns false without having sent anything, and all answers are sent at once.
func (b *batchServer) streamBatch(ctx context.Context, x *exchange, n int, answers <-chan *batch.Response) bool {
	if !writers.CanFlush(x.w) {
		return false
	}
	x.w.Header().Set(headerContentType, eventStreamType)
	x.begin(true)
	x.w.WriteHeader(batch.Status)
	stream, err := sse.NewWriter(x, x.flushEvent, sse.Options{})
	if err != nil {
		b.handler.engine.logger.DebugContext(ctx, "answer not sent", "err", err)
		return true
	}
	for range n {
		data := batch.AppendResponse(nil, <-answers)
		if err := stream.Write(&sse.Message{Event: peer.EventMessage, Data: data}); err != nil {
			b.handler.engine.logger.DebugContext(ctx, "answer not sent", "err", err)
			break
		}
	}
	_ = stream.Close() // the same error as the last Write
	return true
}

// noFitText is oRPC's message for calls that cannot be answered in a batch.
const noFitText = "Batch responses do not support file/blob, or event-iterator. " +
	"Please call this procedure separately outside of the batch request."

// serveItem serves one call of a batch like a separate request. It recovers from panics, which
// net/http does not do on this goroutine.
func (b *batchServer) serveItem(ctx context.Context, whole *http.Request, index int, item *batch.Request) *batch.Response {
	w := &itemWriter{header: http.Header{}}
	if err := protect(func() { b.runItem(ctx, w, whole, item) }); err != nil {
		w.refuse(http.StatusInternalServerError, internalMessage)
		_ = protect(func() { b.handler.engine.logError(ctx, &Call{}, err) }) // the logger may be what has panicked
	}
	return w.answer(index)
}

// protect calls fn and returns a panic as a *PanicError.
func protect(fn func()) (err error) {
	defer bridge.RecoverTo(&err)
	fn()
	return nil
}

func (b *batchServer) runItem(ctx context.Context, w *itemWriter, whole *http.Request, item *batch.Request) {
	r := b.itemRequest(ctx, whole, item)
	_, known := b.handler.route(r)
	switch {
	case !known:
		w.refuse(http.StatusNotFound, noProcedureText)
	case len(item.Header[headerBatch]) > 0:
		b.refuseItem(w, r, Errorf(CodeBadRequest, "a call of a batch cannot be a batch"))
	case whole.Method == http.MethodGet && r.Method != http.MethodGet:
		b.refuseItem(w, r, &Error{Code: CodeMethodNotSupported})
	default:
		b.handler.serve(w, r)
	}
}

// itemRequest returns the request of a call in a batch. Its sender and its host are those of the
// batch.
func (b *batchServer) itemRequest(ctx context.Context, whole *http.Request, item *batch.Request) *http.Request {
	r := whole.WithContext(ctx)
	r.Method = item.Method
	r.URL = &url.URL{
		Scheme: whole.URL.Scheme, Host: whole.URL.Host,
		Path: item.URL.Path, RawPath: item.URL.RawPath, RawQuery: item.URL.RawQuery,
	}
	r.RequestURI = r.URL.RequestURI()
	r.Header = itemHeader(whole.Header, item.Header, b.reserved)
	r.Body = io.NopCloser(bytes.NewReader(item.Body))
	r.ContentLength = int64(len(item.Body))
	r.TransferEncoding, r.Trailer = nil, nil
	r.Form, r.PostForm, r.MultipartForm = nil, nil, nil
	if len(item.Body) > 0 {
		r.Header.Set(headerContentType, "application/json")
	}
	return r
}

func (b *batchServer) refuseItem(w *itemWriter, r *http.Request, err error) {
	b.handler.open(w, r, false).writeAnswer(b.handler.engine.answerError(r.Context(), &Call{}, err))
}

// itemWriter stores the response to a call of a batch.
type itemWriter struct {
	header http.Header
	status int
	body   []byte
	text   string // sent instead of a body
}

func (w *itemWriter) Header() http.Header { return w.header }

func (w *itemWriter) WriteHeader(status int) { w.status = cmp.Or(w.status, status) }

func (w *itemWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	w.body = append(w.body, p...)
	return len(p), nil
}

// refuse responds with a string instead of a value.
func (w *itemWriter) refuse(status int, text string) {
	w.header, w.status, w.text = http.Header{}, status, text
}

// refuseLarge responds to a call whose output cannot be part of a batch.
func (w *itemWriter) refuseLarge() { w.refuse(http.StatusInternalServerError, noFitText) }

// answer returns the stored response as an element of a batch. A body that is not JSON, for
// example of middleware, becomes a string.
func (w *itemWriter) answer(index int) *batch.Response {
	a := &batch.Response{Index: index, Status: cmp.Or(w.status, http.StatusOK), Header: w.header}
	isJSON := strings.HasPrefix(a.Header.Get(headerContentType), "application/json")
	a.Header.Del(headerContentType)
	a.Header.Del("Content-Length")
	switch {
	case w.text == "" && len(w.body) == 0:
	case w.text == "" && isJSON && json.Valid(w.body):
		a.Body = w.body
	default:
		a.Body, _ = json.Marshal(cmp.Or(w.text, string(w.body))) //nolint:errchkjson // a string
	}
	return a
}
