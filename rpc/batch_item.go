package rpc

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-orpc/durable-iterator/internal/batch"
)

// oRPC's texts for calls that cannot be answered in a batch.
const (
	noProcedureText = "No procedure matched"
	noFitText       = "Batch responses do not support file/blob, or event-iterator. " +
		"Please call this procedure separately outside of the batch request."
)

// serveItem serves one call of a batch as a request of its own. It never panics:
// nothing would recover from that as net/http does.
func (h *Handler) serveItem(ctx context.Context, whole *http.Request, index int, item *batch.Request) *batch.Response {
	w := &itemWriter{header: http.Header{}}
	if err := protect(func() { h.runItem(ctx, w, whole, item) }); err != nil {
		w.refuse(http.StatusInternalServerError, internalMessage)
		_ = protect(func() { h.engine.logError(ctx, &Call{}, err) }) // the logger may be what has panicked
	}
	return w.answer(index)
}

// protect turns a panic of fn into a *PanicError.
func protect(fn func()) (err error) {
	defer recoverTo(&err)
	fn()
	return nil
}

func (h *Handler) runItem(ctx context.Context, w *itemWriter, whole *http.Request, item *batch.Request) {
	r := h.itemRequest(ctx, whole, item)
	_, known := h.route(r)
	switch {
	case !known:
		w.refuse(http.StatusNotFound, noProcedureText)
	case len(item.Header[headerBatch]) > 0:
		h.refuseItem(w, r, Errorf(CodeBadRequest, "a call of a batch cannot be a batch"))
	case whole.Method == http.MethodGet && r.Method != http.MethodGet:
		h.refuseItem(w, r, &Error{Code: CodeMethodNotSupported})
	default:
		h.serve(w, r)
	}
}

// itemRequest makes the request of a call in a batch. Where it comes from and whom
// it is sent to is that of the batch.
func (h *Handler) itemRequest(ctx context.Context, whole *http.Request, item *batch.Request) *http.Request {
	r := whole.WithContext(ctx)
	r.Method = item.Method
	r.URL = &url.URL{
		Scheme: whole.URL.Scheme, Host: whole.URL.Host,
		Path: item.URL.Path, RawPath: item.URL.RawPath, RawQuery: item.URL.RawQuery,
	}
	r.RequestURI = r.URL.RequestURI()
	r.Header = h.batch.itemHeader(whole.Header, item.Header)
	r.Body = io.NopCloser(bytes.NewReader(item.Body))
	r.ContentLength = int64(len(item.Body))
	r.TransferEncoding, r.Trailer = nil, nil
	r.Form, r.PostForm, r.MultipartForm = nil, nil, nil
	if len(item.Body) > 0 {
		r.Header.Set(headerContentType, "application/json")
	}
	return r
}

func (h *Handler) refuseItem(w *itemWriter, r *http.Request, err error) {
	h.newExchange(w, r, false).writeAnswer(h.engine.answerError(r.Context(), &Call{ResponseHeader: http.Header{}}, err))
}

// itemWriter keeps the answer to a call of a batch.
type itemWriter struct {
	header http.Header
	status int
	body   []byte
	text   string // instead of a body
}

func (w *itemWriter) Header() http.Header { return w.header }

func (w *itemWriter) WriteHeader(status int) { w.status = cmp.Or(w.status, status) }

func (w *itemWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	w.body = append(w.body, p...)
	return len(p), nil
}

// refuse answers with a bare text instead of a value.
func (w *itemWriter) refuse(status int, text string) {
	w.header, w.status, w.text = http.Header{}, status, text
}

// answer returns what was written, in the form of a batch. A body that is no JSON,
// as middleware may write it, becomes a text.
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
		a.Body, _ = json.Marshal(cmp.Or(w.text, string(w.body))) //nolint:errchkjson // a text
	}
	return a
}
