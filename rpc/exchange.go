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
	"slices"
	"strconv"
	"time"

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
	// lingerTimeout is how long the rest of a body may take that no handler reads. The
	// response does not wait for it, but may be lost if the connection is closed while the
	// client is sending.
	lingerTimeout = 5 * time.Second
	// lingerBytes is how many received bytes of such a body are discarded at most in order
	// to use the connection again.
	lingerBytes = 16 << 10
	// stallBytes is the minimum number of bytes that a client must read within a stall timeout.
	stallBytes = 16 << 10
)

// exchanges has the properties that all exchanges of a handler share.
type exchanges struct {
	engine       *engine
	streams      *streams
	maxBodyBytes int64
	bodyTimeout  time.Duration // none if not positive
	stallTimeout time.Duration // none if not positive
}

// exchange is an HTTP request and its response, with their deadlines.
type exchange struct {
	*exchanges
	w          http.ResponseWriter
	r          *http.Request // has the body below, if that is limited
	controller *http.ResponseController
	body       *requestBody
	linger     time.Duration // 0 means that a body may take any time
	stall      time.Duration // 0 means that a response may take any time
}

// open limits how long the body may take, from the first read on. A shorter ReadTimeout of the
// server remains in force. With duplex the body is a stream that is read while the response is
// written, and is limited by httpInput instead.
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
	x.r = r.WithContext(r.Context()) // a copy, because the request belongs to the server
	x.r.Body = x.body
	x.linger = min(lingerTimeout, e.bodyTimeout)
	x.body.begin = x.bodyBegins
	return x
}

// bodyBegins is called when the body is first read.
func (x *exchange) bodyBegins() {
	x.body.until = time.Now().Add(x.bodyTimeout)
	if server := serverOf(x.r); server == nil || server.ReadTimeout <= 0 || server.ReadTimeout > x.bodyTimeout {
		_ = x.controller.SetReadDeadline(x.body.until) // if this fails, requestBody checks the time
	}
}

// bodyRead is called when the input was read. It removes the deadline, which would otherwise end
// an HTTP/2 stream in the middle of its response.
func (x *exchange) bodyRead() {
	if x.linger > 0 && x.body.ended {
		_ = x.controller.SetReadDeadline(time.Time{})
	}
}

// begin is called before the header of a response is written. A stream of events, unlike other
// responses, may last longer than the WriteTimeout of the server.
func (x *exchange) begin(stream bool) {
	if server := serverOf(x.r); !stream && server != nil && server.WriteTimeout > 0 {
		x.stall = 0
	}
	if !x.body.ended && x.linger > 0 {
		x.leaveBody()
	}
	x.extend()
}

// leaveBody ensures that the response does not wait for a body that was not read. It discards the
// received part of a small body. If there is more, the connection is closed after a while and
// serves no further requests.
func (x *exchange) leaveBody() {
	if x.r.ProtoMajor != 1 {
		return // in HTTP/2 each direction of a request ends separately
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
	if x.body.until.IsZero() || time.Now().Before(x.body.until) { // otherwise the body has timed out
		_ = x.controller.SetReadDeadline(time.Now().Add(x.linger))
	}
}

// extend extends the write deadline. The last one remains for net/http, which sends the end of the
// response with it and then removes it.
func (x *exchange) extend() {
	if x.stall > 0 {
		_ = x.controller.SetWriteDeadline(time.Now().Add(x.stall))
	}
}

// Write writes a part of the response. It returns an error if the client reads less than
// stallBytes within the stall timeout.
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

// flushEvent flushes the written events of a stream and removes the deadline, which would end an
// HTTP/2 stream before the next event.
func (x *exchange) flushEvent() error {
	x.extend()
	err := writers.Flush(x.w)
	if err == nil && x.stall > 0 {
		_ = x.controller.SetWriteDeadline(time.Time{})
	}
	return err
}

// requestBody is the body of a request. If middleware hides the read deadline, it checks the time
// between reads instead.
type requestBody struct {
	io.ReadCloser
	begin func()    // sets until, at the first Read
	until time.Time // zero before the first Read
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

// writeAnswer sends an answer without files. It ignores errors, since there is no caller to report
// them to.
func (x *exchange) writeAnswer(a encodedAnswer) {
	mergeHeader(x.w.Header(), a.header)
	x.writeJSON(httpStatus(a.status), a.body.JSON)
}

// listHeaders are the response headers to whose values others are added. Middleware around a handler
// may already have set them.
var listHeaders = []string{
	"Access-Control-Allow-Headers",
	"Access-Control-Allow-Methods",
	"Access-Control-Expose-Headers",
	"Allow",
	"Link",
	"Server-Timing",
	"Set-Cookie",
	"Vary",
	"Www-Authenticate",
}

// mergeHeader adds the headers of a call to those of a response. To a header that is a list it adds
// the missing values; other headers are replaced.
func mergeHeader(into, from http.Header) {
	for name, values := range from {
		name = http.CanonicalHeaderKey(name)
		if !slices.Contains(listHeaders, name) {
			into[name] = slices.Clone(values)
			continue
		}
		for _, value := range values {
			if !listed(into[name], value) {
				into.Add(name, value)
			}
		}
	}
}

func (x *exchange) writeJSON(status int, body []byte) {
	header := x.w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	x.begin(false)
	x.w.WriteHeader(status)
	_, _ = x.Write(body)
}

// writeText responds with a JSON string, as oRPC does if there is no call that an error could
// belong to.
func (x *exchange) writeText(status int, text string) {
	body, _ := json.Marshal(text) //nolint:errchkjson // a string
	x.writeJSON(status, body)
}

// httpStatus returns a valid HTTP status for the status of an Error. The error in the body keeps
// its own status.
func httpStatus(status int) int {
	if status != http.StatusOK && (status < 400 || status > 599) {
		return http.StatusInternalServerError
	}
	return status
}

// writeForm sends an answer with files while these are read. If that fails after the response has
// begun, the response is cut off.
func (x *exchange) writeForm(ctx context.Context, call *Call, a encodedAnswer) {
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

// formAnswer sends the header of a response with the first part of its body.
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

// sendEvents responds with a stream of events and returns when it has ended.
func (x *exchange) sendEvents(ctx, server context.Context, added http.Header, run *eventRun) {
	if !writers.CanFlush(x.w) {
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
	// The writers of frameworks and compressors do not notice a header that is sent only by
	// a flush.
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

// noStream ends a stream that could not be sent completely. If the server is the reason, the
// response is cut off, so that the client does not treat it as complete.
func (x *exchange) noStream(ctx context.Context, call *Call, err error) {
	if !errors.Is(err, http.ErrNotSupported) && !errors.Is(err, http.ErrHandlerTimeout) {
		x.engine.logger.DebugContext(ctx, "events not sent", "path", call.Path, "err", err)
		return
	}
	x.logNoStream(ctx, call, err)
	panic(http.ErrAbortHandler)
}

func (x *exchange) logNoStream(ctx context.Context, call *Call, err error) {
	x.engine.logger.ErrorContext(ctx, "events cannot be streamed", "path", call.Path, "err", err)
}
