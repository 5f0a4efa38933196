package rpc

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/go-orpc/durable-iterator/internal/faults"
	"github.com/go-orpc/durable-iterator/internal/form"
	"github.com/go-orpc/durable-iterator/internal/peer"
	"github.com/go-orpc/durable-iterator/internal/serializer"
	"github.com/go-orpc/durable-iterator/internal/sse"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

const (
	defaultMaxAnswerBytes = 16 << 20
	defaultMaxURLLength   = 2083 // oRPC's
)

// LinkOptions configures a [Link]. The zero value is usable.
type LinkOptions struct {
	// HTTPClient sends the requests. It also handles redirects: by default it follows them,
	// and changes a POST to a GET without a body unless the status is 307 or 308. Nil means
	// http.DefaultClient.
	HTTPClient *http.Client
	// Header returns headers to send with a call, such as Authorization. It is called for
	// each try, so that a token may change in between. Headers of [WithHeader] replace those
	// with the same name. If it returns an error, the try fails. Nil means no headers.
	Header func(ctx context.Context, call *Call) (http.Header, error)
	// Interceptors run around each call and its retries, the first one outermost.
	Interceptors []Interceptor
	// Plugins change the options before the link is created, in order.
	Plugins []LinkPlugin
	// Serializers are for types of the application.
	Serializers []value.Serializer
	// MaxBodyBytes is the maximum size of the body of a response, including files. If it is
	// larger, the call fails with an [*http.MaxBytesError]. 0 means 16 MiB.
	MaxBodyBytes int64
	// MaxURLLength is the maximum length of the address of a GET request; a call with a
	// longer one is sent as POST. 0 means 2083.
	MaxURLLength int

	batch func(*Link) batchSender // of a BatchLinkPlugin, or nil
}

// LinkPlugin changes the options of a link. It is oRPC's link plugin.
type LinkPlugin interface {
	// InitLink may change the options of a link that is being created, for example append
	// interceptors. o is the link's own copy.
	InitLink(o *LinkOptions)
}

// Link calls procedures over HTTP. It is oRPC's RPCLink. It is a [Caller] and safe for concurrent
// use.
//
// An error that the server has sent is returned as an [*Error]. So is any other response with an
// error status, with an [ErrorResponse] as its data. All other errors are local: of the network, of
// the context, or of a malformed response.
type Link struct {
	prefix     string // scheme, host and path, without trailing slash
	query      string // of the address, with its question mark
	client     *http.Client
	header     func(context.Context, *Call) (http.Header, error)
	serializer *serializer.Serializer
	maxBody    int64
	maxURL     int
	caller     Caller
	bad        error       // returned by each call if the address is invalid
	batch      batchSender // nil if each call is a separate request
}

// batchSender sends calls in batches.
type batchSender interface {
	takes(call *Call, r *http.Request) bool
	do(ctx context.Context, call *Call, r *http.Request, body []byte) (*http.Response, error)
}

// ErrAddress is wrapped by the error of every call on a link whose address is not an http or https
// URL.
var ErrAddress = errors.New("bad address")

// NewLink returns a link to the handler at an address, including its prefix, such as
// "http://localhost:3000/rpc". A trailing slash is ignored. If o is nil, the defaults are used. If
// the address is not an http or https URL, each call returns an error that wraps [ErrAddress].
// NewLink panics if options are wrong: negative numbers, a nil interceptor or plugin, serializers
// that contradict each other.
func NewLink(address string, o *LinkOptions) *Link {
	base, bad := parseAddress(address)
	var own LinkOptions
	if o != nil {
		own = *o
		own.Interceptors = slices.Clone(o.Interceptors)
		own.Plugins = slices.Clone(o.Plugins)
		own.Serializers = slices.Clone(o.Serializers)
	}
	own.check()
	for _, plugin := range own.Plugins {
		plugin.InitLink(&own)
	}
	checkPlugged("rpc: NewLink", own.Interceptors)
	l := &Link{
		prefix:     prefixOf(base),
		client:     cmp.Or(own.HTTPClient, http.DefaultClient),
		header:     own.Header,
		serializer: newSerializer(own.Serializers),
		maxBody:    cmp.Or(own.MaxBodyBytes, defaultMaxAnswerBytes),
		maxURL:     cmp.Or(own.MaxURLLength, defaultMaxURLLength),
		bad:        bad,
	}
	if base.RawQuery != "" {
		l.query = "?" + base.RawQuery
	}
	if own.batch != nil {
		l.batch = own.batch(l)
	}
	l.caller = NewCaller(l.send, own.Interceptors...)
	return l
}

// check panics if the options are wrong, with a sentence for each fault.
func (o *LinkOptions) check() {
	var list faults.List
	faults.Negative(&list, "MaxBodyBytes", o.MaxBodyBytes)
	faults.Negative(&list, "MaxURLLength", o.MaxURLLength)
	faults.Nil(&list, "an interceptor", o.Interceptors)
	faults.Nil(&list, "a plugin", o.Plugins)
	list.Panic("rpc: NewLink")
}

// parseAddress parses the address of a link. The result is never nil. The error does not contain
// the address, because that may have a password.
func parseAddress(address string) (*url.URL, error) {
	base, err := url.Parse(address)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return &url.URL{}, fmt.Errorf("%w: it must be like http://host/path", ErrAddress)
	}
	return base, nil
}

func prefixOf(base *url.URL) string {
	host := url.URL{Scheme: base.Scheme, User: base.User, Host: base.Host}
	return host.String() + strings.TrimRight(base.EscapedPath(), "/")
}

// Call sends the call and returns its output.
func (l *Link) Call(ctx context.Context, call *Call, opts ...CallOption) (any, error) {
	if l.bad != nil {
		return nil, callError(ctx, call, l.bad)
	}
	return l.caller.Call(ctx, call, opts...)
}

func (l *Link) send(ctx context.Context, call *Call) (any, error) {
	call.ResponseHeader = nil
	input, err := claimInput(call)
	if err != nil {
		return nil, callError(ctx, call, err)
	}
	if out, s, wanted := wantedStream(call); wanted {
		return l.openStream(ctx, call, out, s, input)
	}
	defer input.stop()
	response, err := l.roundTrip(ctx, call)
	if err != nil {
		return nil, callError(ctx, call, err)
	}
	defer func() { _ = response.Body.Close() }()
	return l.output(ctx, call, response)
}

// openStream calls a procedure whose output is a stream of events. The request lasts as long as the
// stream, and so does the input if that is a stream too; ctx limits only opening it.
func (l *Link) openStream(ctx context.Context, call *Call, out any, s, input *eventStream) (any, error) {
	life, cancel := context.WithCancelCause(peer.WithValues(s.life, ctx))
	opened := context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })
	response, err := l.roundTrip(life, call) //nolint:bodyclose // the source closes it
	if err != nil {
		cancel(err)
		input.stop()
		return nil, callError(ctx, call, err)
	}
	source := &httpSource{
		life: s.life, cancel: cancel, call: call, serializer: l.serializer, input: input,
		body: response.Body, reader: sse.NewReader(response.Body, l.maxBody),
	}
	if !opened() || isErrorStatus(response.StatusCode) || !peer.IsEventStream(response.Header) {
		defer source.close()
		return l.output(ctx, call, response)
	}
	call.ResponseHeader = response.Header
	s.source = source
	return out, nil
}

func (l *Link) roundTrip(ctx context.Context, call *Call) (*http.Response, error) {
	r, body, err := l.request(ctx, call)
	if err != nil {
		return nil, err
	}
	if l.batch != nil && l.batch.takes(call, r) {
		return l.batch.do(ctx, call, r, body)
	}
	return l.client.Do(r)
}

// output reads a response that is not a stream.
func (l *Link) output(ctx context.Context, call *Call, r *http.Response) (any, error) {
	call.ResponseHeader = r.Header
	out, err := l.read(call, r)
	return out, outputError(ctx, call, err)
}

// request returns the request of a call and its body, which is nil if there is none or if it is a
// form.
func (l *Link) request(ctx context.Context, call *Call) (*http.Request, []byte, error) {
	if s, ok := streamOf(call.Input); ok && s != nil {
		return l.streamRequest(ctx, call, s)
	}
	input, err := encodeInput(l.serializer, call.Input)
	if err != nil {
		return nil, nil, err
	}
	method := cmp.Or(call.Method, http.MethodPost)
	address := l.prefix + encodePath(call.Path) + l.query
	if method == http.MethodGet {
		if long := withData(address, input.JSON); len(input.Files) == 0 && len(long) <= l.maxURL {
			address, input.JSON = long, nil
		} else {
			method = http.MethodPost
		}
	}
	r, err := l.newRequest(ctx, call, method, address, bytes.NewReader(input.JSON))
	if err != nil {
		return nil, nil, err
	}
	if len(input.Files) > 0 {
		return r, nil, setForm(r, input)
	}
	if input.JSON != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	return r, input.JSON, nil
}

// streamRequest returns the request of a call whose input is a stream of events.
func (l *Link) streamRequest(ctx context.Context, call *Call, s *eventStream) (*http.Request, []byte, error) {
	method := call.Method
	if method == "" || method == http.MethodGet {
		method = http.MethodPost
	}
	r, err := l.newRequest(ctx, call, method, l.prefix+encodePath(call.Path)+l.query, newStreamBody(s, l.serializer))
	if err != nil {
		return nil, nil, err
	}
	r.ContentLength = -1
	r.Header.Set(headerContentType, eventStreamType)
	return r, nil, nil
}

// newRequest returns a request with the headers of a call and without the type of its body.
func (l *Link) newRequest(ctx context.Context, call *Call, method, address string, body io.Reader) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return nil, err
	}
	if l.header != nil {
		own, err := l.header(ctx, call)
		if err != nil {
			return nil, fmt.Errorf("header: %w", err)
		}
		replaceHeader(r.Header, own)
	}
	replaceHeader(r.Header, call.Header)
	r.Header.Del(headerContentType)
	r.Header.Del(headerDisposition)
	if call.LastEventID != "" {
		r.Header.Set(headerLastEventID, call.LastEventID)
	}
	return r, nil
}

func (l *Link) read(call *Call, r *http.Response) (any, error) {
	failed := isErrorStatus(r.StatusCode)
	limited := http.MaxBytesReader(nil, r.Body, l.maxBody)
	if isFormBody(r.Header) && !failed {
		out, err := l.readForm(limited, r.Header)
		if err != nil {
			return nil, fmt.Errorf("read answer: %w", err)
		}
		return decodeOutput(call, out)
	}
	encoded := isJSONBody(r.Header) || isFormBody(r.Header)
	if !failed && !encoded && r.ContentLength != 0 {
		return nil, fmt.Errorf("answer has a body of type %q, which cannot be read", r.Header.Get("Content-Type"))
	}
	data, err := io.ReadAll(limited)
	if err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	var body value.Value
	switch {
	case isFormBody(r.Header):
		body, err = l.readForm(bytes.NewReader(data), r.Header)
	case encoded:
		body, err = l.serializer.Value(data)
	}
	if failed && (!encoded || err != nil) {
		failure := ErrorResponse{Status: r.StatusCode, Headers: r.Header, Body: string(data)}
		if r.Request != nil { // the last one, after redirects
			address := *r.Request.URL
			address.RawQuery = "" // it may have the input
			failure.request = r.Request.Method + " " + address.Redacted()
		}
		return nil, failure.err()
	}
	if err != nil {
		return nil, err
	}
	return readAnswer(call, r.StatusCode, r.Header, body)
}

func (l *Link) readForm(body io.Reader, header http.Header) (value.Value, error) {
	return readFormToMemory(body, header.Get("Content-Type"), l.maxBody, l.serializer)
}

// setForm sets the body of a request to a value with its files. A small body is created at once, so
// that nothing is sent if a file cannot be read.
func setForm(r *http.Request, e serializer.Encoded) error {
	boundary := form.Boundary()
	r.Header.Set(headerContentType, form.ContentType(boundary))
	r.ContentLength = formLength(boundary, e)
	r.GetBody = func() (io.ReadCloser, error) { return newFormBody(boundary, e), nil }
	if 0 <= r.ContentLength && r.ContentLength <= formHeld {
		var text bytes.Buffer
		if err := writeForm(&text, boundary, e); err != nil {
			return err
		}
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text.Bytes())), nil }
	}
	var err error
	r.Body, err = r.GetBody()
	return err
}
