package rpc

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/go-orpc/durable-iterator/internal/bridge"
	"github.com/go-orpc/durable-iterator/internal/form"
	"github.com/go-orpc/durable-iterator/internal/peer"
	"github.com/go-orpc/durable-iterator/internal/sse"
	"github.com/go-orpc/durable-iterator/internal/writers"
)

const (
	// defaultBodyTimeout is the default of HandlerOptions.BodyTimeout.
	defaultBodyTimeout = 30 * time.Second
	// defaultStallTimeout is the default of HandlerOptions.StallTimeout.
	defaultStallTimeout = 10 * time.Second
	// lingerTimeout is how long the rest of a body may take that no handler reads. The answer
	// does not wait for it, but can be lost on its way if the connection is closed while
	// the client sends.
	lingerTimeout = 5 * time.Second
	// lingerBytes is how much of such a body may be there already, for the connection to
	// be used again.
	lingerBytes = 16 << 10
	// stallBytes is what a client takes within a stall timeout, at least.
	stallBytes = 16 << 10
)

// exchanges are what the exchanges of a handler have in common.
type exchanges struct {
	engine       *engine
	streams      *streams
	bodyTimeout  time.Duration // not positive: none
	stallTimeout time.Duration // not positive: none
}

// exchange is a request and its answer over HTTP, and how long either may take.
type exchange struct {
	*exchanges
	w          http.ResponseWriter
	r          *http.Request // its body is the one below, if that is limited
	controller *http.ResponseController
	body       *requestBody
	linger     time.Duration // 0: a body may take any time
	stall      time.Duration // 0: an answer may take any time
}

// open limits how long the body may take, from when it is first read. A shorter ReadTimeout
// of the server stays in force. With duplex the body is a stream that is read while the answer is
// written, and limited by httpInput instead.
func (e *exchanges) open(w http.ResponseWriter, r *http.Request, duplex bool) *exchange {
	x := &exchange{
		exchanges: e,
		w:         w, r: r, controller: http.NewResponseController(w),
		body:  &requestBody{ReadCloser: r.Body, ended: duplex || r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0},
		stall: e.stallTimeout,
	}
	if x.body.ended || e.bodyTimeout <= 0 {
		return x
	}
	x.r = r.WithContext(r.Context()) // the request is the server's
	x.r.Body = x.body
	x.linger = min(lingerTimeout, e.bodyTimeout)
	x.body.begin = x.bodyBegins
	return x
}

// bodyBegins is called when the body is first read.
func (x *exchange) bodyBegins() {
	x.body.until = time.Now().Add(x.bodyTimeout)
	if server := serverOf(x.r); server == nil || server.ReadTimeout <= 0 || server.ReadTimeout > x.bodyTimeout {
		_ = x.controller.SetReadDeadline(x.body.until) // else see requestBody
	}
}

// bodyRead is called when the input was read. A deadline that is left over would end an
// HTTP/2 stream in the middle of its answer.
func (x *exchange) bodyRead() {
	if x.linger > 0 && x.body.ended {
		_ = x.controller.SetReadDeadline(time.Time{})
	}
}

// begin is called before the header of an answer is written. A stream of events may
// last longer than the WriteTimeout of the server, another answer not.
func (x *exchange) begin(stream bool) {
	if server := serverOf(x.r); !stream && server != nil && server.WriteTimeout > 0 {
		x.stall = 0
	}
	if !x.body.ended && x.linger > 0 {
		x.leaveBody()
	}
	x.extend()
}

// leaveBody ensures that the answer does not wait for a body that was not read. What has
// come of a small one is read away; if that is not all, the connection serves no further
// request, and takes a little more before it is closed.
func (x *exchange) leaveBody() {
	if x.r.ProtoMajor != 1 {
		return // HTTP/2 has an end for each direction of a request
	}
	if x.controller.SetReadDeadline(time.Unix(1, 0)) != nil {
		return
	}
	if x.r.Header.Get("Expect") == "" {
		body := &requestBody{ReadCloser: x.body.ReadCloser, until: time.Now().Add(x.linger)}
		_, _ = io.CopyN(io.Discard, body, lingerBytes)
		if body.ended {
			return
		}
	}
	x.w.Header().Set("Connection", "close")
	if x.body.until.IsZero() || time.Now().Before(x.body.until) { // else it has had its time
		_ = x.controller.SetReadDeadline(time.Now().Add(x.linger))
	}
}

// extend moves the deadline of writing. The last one stays: net/http sends the end of the
// answer under it, and removes it then.
func (x *exchange) extend() {
	if x.stall > 0 {
		_ = x.controller.SetWriteDeadline(time.Now().Add(x.stall))
	}
}

// Write writes a part of the answer. It fails once the client takes less than stallBytes
// within the stall timeout.
func (x *exchange) Write(p []byte) (n int, err error) {
	if x.stall <= 0 {
		return x.w.Write(p)
	}
	for {
		piece := p[n:min(n+stallBytes, len(p))]
		x.extend()
		k, err := x.w.Write(piece)
		if n += k; err != nil || n == len(p) || k < len(piece) {
			return n, err
		}
	}
}

// flushEvent sends what was written of a stream. No deadline stays until the next
// event: an HTTP/2 stream would be ended by it.
func (x *exchange) flushEvent() error {
	x.extend()
	err := x.flush()
	if err == nil && x.stall > 0 {
		_ = x.controller.SetWriteDeadline(time.Time{})
	}
	return err
}

// flush flushes every writer that middleware has put around that of the server. Some
// flush the next one only if it is an http.Flusher itself, others panic if it is not.
func (x *exchange) flush() error {
	for w := x.w; ; {
		inner := writers.Unwrap(w)
		err := flushOne(w)
		_, panicked := errors.AsType[*PanicError](err)
		if inner == nil || (err != nil && !panicked && !errors.Is(err, http.ErrNotSupported)) {
			return err
		}
		w = inner
	}
}

func flushOne(w http.ResponseWriter) (err error) {
	defer bridge.RecoverTo(&err)
	switch f := w.(type) {
	case interface{ FlushError() error }:
		return f.FlushError()
	case http.Flusher:
		f.Flush()
		return nil
	}
	return http.ErrNotSupported
}

// canFlush reports whether the innermost writer that can be reached flushes. A writer around
// it may have the method and not flush.
func canFlush(w http.ResponseWriter) bool {
	switch writers.Innermost(w).(type) {
	case interface{ FlushError() error }, http.Flusher:
		return true
	}
	return false
}

// requestBody is the body of a request. Where middleware hides that reading can have a
// deadline, it is kept between two reads.
type requestBody struct {
	io.ReadCloser
	begin func()    // sets until, at the first Read
	until time.Time // zero before that
	ended bool      // it was read to its end
}

func (b *requestBody) Read(p []byte) (int, error) {
	if b.until.IsZero() {
		b.begin()
	}
	if !time.Now().Before(b.until) {
		return 0, os.ErrDeadlineExceeded
	}
	n, err := b.ReadCloser.Read(p)
	b.ended = b.ended || errors.Is(err, io.EOF)
	return n, err
}

// writeAnswer sends an answer without files. It does not look at whether the
// client is still there: no caller is left to report to.
func (x *exchange) writeAnswer(a answer) {
	mergeHeader(x.w.Header(), a.header)
	x.writeJSON(httpStatus(a.status), a.body.JSON)
}

func (x *exchange) writeJSON(status int, body []byte) {
	header := x.w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	x.begin(false)
	x.w.WriteHeader(status)
	_, _ = x.Write(body)
}

// writeText answers with a bare text as the JSON of the body, as oRPC does where
// there is no call that an error could belong to.
func (x *exchange) writeText(status int, text string) {
	body, _ := json.Marshal(text) //nolint:errchkjson // a string
	x.writeJSON(status, body)
}

// httpStatus returns the HTTP status for a status that an Error may have but an HTTP answer
// may not; the error in the body keeps its own.
func httpStatus(status int) int {
	if status != http.StatusOK && (status < 400 || status > 599) {
		return http.StatusInternalServerError
	}
	return status
}

// writeForm sends an answer that holds files, as they are read. Once it has
// begun it can only be cut off.
func (x *exchange) writeForm(ctx context.Context, call *Call, a answer) {
	boundary := form.Boundary()
	header := x.w.Header()
	mergeHeader(header, a.header)
	header.Del(headerDisposition)
	header.Del("Content-Length")
	header.Set(headerContentType, form.ContentType(boundary))
	if length := formLength(boundary, a.body); length >= 0 {
		header.Set("Content-Length", strconv.FormatInt(length, 10))
	}
	body := &formAnswer{x: x, status: httpStatus(a.status)}
	held := bufio.NewWriterSize(body, formHeld)
	err := writeForm(held, boundary, a.body)
	if err == nil {
		err = held.Flush()
	}
	switch {
	case err == nil:
		return
	case body.err != nil:
		x.engine.logger.DebugContext(ctx, "answer not sent", "err", body.err)
	case !body.begun:
		x.writeAnswer(x.engine.answerError(ctx, call, internalError(fmt.Errorf("rpc: send output: %w", err))))
		return
	default:
		x.engine.logError(ctx, call, internalError(fmt.Errorf("rpc: send output: %w", err)))
	}
	panic(http.ErrAbortHandler)
}

// formAnswer sends the header of an answer with the first of its body.
type formAnswer struct {
	x      *exchange
	status int
	begun  bool
	err    error // of x
}

func (a *formAnswer) Write(p []byte) (int, error) {
	if !a.begun {
		a.begun = true
		a.x.begin(false)
		a.x.w.WriteHeader(a.status)
	}
	n, err := a.x.Write(p)
	if err != nil {
		a.err = err
	}
	return n, err
}

var errNoFlush = errors.New("rpc: send events: middleware hides the http.Flusher of the ResponseWriter")

// sendEvents answers a request with a stream of events, to its end.
func (x *exchange) sendEvents(ctx, server context.Context, added http.Header, run *eventRun) {
	if !canFlush(x.w) {
		x.logNoStream(ctx, run.call, errNoFlush)
		x.writeAnswer(x.engine.answerError(ctx, run.call, internalError(errNoFlush)))
		return
	}
	ctx, leave, err := x.streams.enter(ctx, server)
	if err != nil {
		x.writeAnswer(x.engine.answerError(x.r.Context(), run.call, err))
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
		x.noStream(ctx, run.call, err)
		return
	}
	defer stream.Close() //nolint:errcheck // for a handler that ends its goroutine
	run.serve(ctx, x.engine, func(e *peer.Event) error {
		return stream.Write(&sse.Message{Event: e.Kind, Data: e.Data, Meta: e.Meta})
	})
	if err := stream.Close(); err != nil {
		x.noStream(ctx, run.call, err)
	}
}

// noStream ends a stream that could not be sent to its end. Where that is the fault of
// the server the answer is cut off, for the client not to take it for a whole one.
func (x *exchange) noStream(ctx context.Context, call *Call, err error) {
	_, panicked := errors.AsType[*PanicError](err)
	if !panicked && !errors.Is(err, http.ErrNotSupported) && !errors.Is(err, http.ErrHandlerTimeout) {
		x.engine.logger.DebugContext(ctx, "events not sent", "path", call.Path, "err", err)
		return
	}
	x.logNoStream(ctx, call, err)
	panic(http.ErrAbortHandler)
}

func (x *exchange) logNoStream(ctx context.Context, call *Call, err error) {
	x.engine.logger.ErrorContext(ctx, "events cannot be streamed", "path", call.Path, "err", err)
}
