package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/go-orpc/durable-iterator/internal/form"
	"github.com/go-orpc/durable-iterator/internal/serializer"
	"github.com/go-orpc/durable-iterator/internal/sse"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// isJSONBody reports whether the headers are those of an encoded value. With a
// content-disposition, any body is a file.
func isJSONBody(header http.Header) bool {
	contentType := strings.ToLower(header.Get("Content-Type"))
	return header.Get("Content-Disposition") == "" &&
		(contentType == "" || strings.HasPrefix(contentType, "application/json"))
}

// readBody reads the input of a request from its body. Its errors are *Error.
func readBody(w http.ResponseWriter, r *http.Request, limit int64, s *serializer.Serializer) (value.Value, error) {
	if !isJSONBody(r.Header) {
		return readForeignBody(r)
	}
	data, err := readAll(w, r, limit)
	if err != nil {
		return value.Value{}, err
	}
	return readInput(data, s)
}

// readAll reads the body of a request. Its errors are *Error.
func readAll(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, &Error{Code: CodePayloadTooLarge}
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		return nil, bodyError(err)
	}
	return data, nil
}

// readForeignBody reads a body that is not an encoded value. It returns an error unless the body
// is empty.
func readForeignBody(r *http.Request) (value.Value, error) {
	switch _, err := io.ReadFull(r.Body, make([]byte, 1)); err {
	case io.EOF:
		return value.Value{}, nil
	case nil:
		return value.Value{}, &Error{Code: CodeUnsupportedMediaType}
	default:
		return value.Value{}, bodyError(err)
	}
}

// bodyError returns the error to send for a body that could not be read.
func bodyError(err error) *Error {
	_, tooLarge := errors.AsType[*http.MaxBytesError](err)
	switch {
	case tooLarge:
		return &Error{Code: CodePayloadTooLarge, cause: err}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &Error{Code: CodeTimeout, cause: err}
	}
	return malformedRequest(err)
}

// readQuery reads the input of a GET request from the last parameter "data" of its query.
func readQuery(u *url.URL, s *serializer.Serializer) (value.Value, error) {
	text, err := queryParameter(u, "data")
	if err != nil {
		return value.Value{}, err
	}
	return readInput([]byte(text), s)
}

// queryParameter returns the last value of a parameter, or "" if there is none. Other parameters
// may be malformed. Its errors are *Error.
func queryParameter(u *url.URL, parameter string) (string, error) {
	last := ""
	for pair := range strings.SplitSeq(u.RawQuery, "&") {
		encoded, value, _ := strings.Cut(pair, "=")
		if name, err := url.QueryUnescape(encoded); err == nil && name == parameter {
			last = value
		}
	}
	text, err := url.QueryUnescape(last)
	if err != nil {
		return "", malformedRequest(err)
	}
	return text, nil
}

func readInput(data []byte, s *serializer.Serializer) (value.Value, error) {
	v, err := s.Value(data)
	if err != nil {
		return value.Value{}, malformedRequest(err)
	}
	return v, nil
}

// withData adds an input to the query of an address, unless it is undefined.
func withData(address string, input []byte) string {
	if string(input) == "{}" {
		return address
	}
	return withParameter(address, "data", input)
}

// withParameter adds a parameter to the query of an address.
func withParameter(address, name string, value []byte) string {
	separator := "?"
	if strings.Contains(address, "?") {
		separator = "&"
	}
	return address + separator + name + "=" + url.QueryEscape(string(value))
}

// formError returns the error to send for a form that could not be read.
func formError(err error) error {
	_, onDisk := errors.AsType[*fs.PathError](err)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, form.ErrTooLarge):
		return &Error{Code: CodePayloadTooLarge, cause: err}
	case onDisk:
		return internalError(err)
	}
	return bodyError(err)
}

// readBodyForm reads the input of a request from its body, a form. Its errors are
// *Error.
func readBodyForm(w http.ResponseWriter, r *http.Request, limit int64, s *serializer.Serializer) (value.Value, *form.Form, error) {
	if r.ContentLength > limit {
		return value.Value{}, nil, &Error{Code: CodePayloadTooLarge}
	}
	body := http.MaxBytesReader(w, r.Body, limit)
	options := form.Options{MaxBytes: limit}
	v, f, err := readForm(body, r.Header.Get(headerContentType), options, s)
	if err == nil {
		_, _ = io.Copy(io.Discard, body) // bytes after the form are ignored
	}
	return v, f, formError(err)
}

const (
	// inputSilence is how long a client may take for the next event of its input, or for a
	// comment, which clients send while they have no event.
	inputSilence = time.Minute
	// inputLinger is how long a client that has not sent all of its input may read the
	// response before its connection is closed.
	inputLinger = 500 * time.Millisecond
)

// errHalfDuplex means that the input cannot be read while the response is written.
var errHalfDuplex = errors.New("rpc: read input: the http.ResponseWriter cannot be written while the body is read")

// httpInput reads the events in the body of a request.
type httpInput struct {
	life       context.Context
	leave      func() // called when the response has been written
	controller *http.ResponseController
	serializer *serializer.Serializer
	reader     *sse.Reader
	body       io.Reader
	deadline   time.Time     // of reading
	woken      chan struct{} // closed when life has ended and waiting reads have been interrupted

	// mu guards the fields below, and is held while the read deadline is set. When the
	// body has been read, net/http continues to read, to detect that the client has
	// disconnected. A deadline would look like that, also for the next request of the
	// connection.
	mu    sync.Mutex
	whole bool // the body was read to its end
	cut   bool // reading was ended before the end of the body
}

// openInput returns the input of a request whose body is a stream of events. The input ends when
// the server shuts down. The caller must call finish when the response has been written.
func (h *Handler) openInput(server context.Context, w http.ResponseWriter, r *http.Request) (*eventStream, *httpInput, error) {
	controller := http.NewResponseController(w)
	if err := controller.EnableFullDuplex(); err != nil {
		return nil, nil, &Error{Code: CodeNotImplemented, cause: fmt.Errorf("%w: %w", errHalfDuplex, err)}
	}
	ctx, leave, err := h.streams.enter(r.Context(), server)
	if err != nil {
		return nil, nil, err
	}
	life, end := context.WithCancelCause(ctx)
	in := &httpInput{
		life: life, leave: leave, controller: controller, serializer: h.engine.serializer,
		body: r.Body, woken: make(chan struct{}),
	}
	in.reader = sse.NewReader(in, h.maxBodyBytes)
	s := newEventStream(life, end)
	s.source = in
	context.AfterFunc(life, in.wake)
	return s, in, nil
}

// wake interrupts a read that waits.
func (i *httpInput) wake() {
	defer close(i.woken)
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.whole {
		i.cut = true
		_ = i.controller.SetReadDeadline(time.Now()) // not all writers support deadlines
	}
}

// expect sets the deadline of the next event.
func (i *httpInput) expect() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.whole && !i.cut {
		i.deadline = time.Now().Add(inputSilence)
		_ = i.controller.SetReadDeadline(i.deadline)
	}
}

// Read implements [io.Reader] for the reader of events. At the end of the body it removes the
// deadline.
func (i *httpInput) Read(p []byte) (int, error) {
	n, err := i.body.Read(p)
	if err == io.EOF {
		i.mu.Lock()
		i.whole = true
		i.mu.Unlock()
	}
	return n, err
}

func (i *httpInput) next() eventItem {
	for {
		i.expect()
		if i.life.Err() != nil {
			return eventItem{err: i.ended()}
		}
		m, err := i.reader.Next()
		if err == io.EOF { //nolint:errorlint // the error of a lost connection may wrap it
			return eventItem{value: value.Value{}, done: true} // the return value is optional
		}
		if err != nil {
			return eventItem{err: i.failure(err)}
		}
		kind, ok := m.Kind()
		if !ok {
			continue
		}
		if item, ok := readInputEvent(i.serializer, kind, m.Data, m.Meta); ok {
			return item
		}
	}
}

// ended returns the error of an input whose life has ended.
func (i *httpInput) ended() error {
	return fmt.Errorf("rpc: read events: %w", withCause(i.life, context.Cause(i.life)))
}

// failure returns the error of an input that cannot be read: an error of the client, unless the
// call has ended.
func (i *httpInput) failure(err error) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded) && !time.Now().Before(i.deadline):
		return &Error{Code: CodeTimeout, cause: err} // net/http has ended the context because of it
	case i.life.Err() != nil:
		return i.ended()
	case errors.Is(err, sse.ErrTooLarge):
		return &Error{Code: CodePayloadTooLarge, cause: err}
	}
	return malformedRequest(err)
}

func (i *httpInput) close() {}

// announce prepares the header of a response. If there is unread input, the connection cannot be
// used again, because the rest of the input could be read as a request.
func (i *httpInput) announce(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if r.ProtoMajor == 1 && (!i.whole || i.cut) {
		w.Header().Set("Connection", "close")
	}
}

// finish ends the input when the response has been written. For inputLinger, net/http continues
// to read, so that the client receives the response.
func (i *httpInput) finish(s *eventStream) {
	defer i.leave()
	s.close()
	<-i.woken // wake would undo the following
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.whole {
		_ = i.controller.SetReadDeadline(time.Now().Add(inputLinger))
	}
}
