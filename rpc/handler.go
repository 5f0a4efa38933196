package rpc

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-orpc/durable-iterator/internal/bridge"
	"github.com/go-orpc/durable-iterator/internal/faults"
	"github.com/go-orpc/durable-iterator/internal/form"
	"github.com/go-orpc/durable-iterator/internal/peer"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// defaultMaxBodyBytes bounds the body of a request.
const defaultMaxBodyBytes = 1 << 20

// HandlerOptions configures a [Handler]. The zero value is usable.
type HandlerOptions struct {
	// Prefix is the path below which the procedures are, as "/rpc". It is compared
	// in its encoded form. Empty is none.
	Prefix string
	// Interceptors run around each call, the first one outermost, before the input
	// is decoded: [Call.Input] is a [value.Value]. This is where callers are
	// authenticated. The body of the request is read when the value is first used: by
	// an interceptor, or after all of them. So a call that they refuse costs no more than
	// its header and 16 KiB of the body. They also see the refusals of a request whose method
	// or body is not accepted.
	Interceptors []Interceptor
	// Plugins change the options before the handler is made, in order.
	Plugins []HandlerPlugin
	// Serializers are types of the application that may be sent.
	Serializers []value.Serializer
	// Validator checks inputs and outputs. Nil runs go-playground/validator on the
	// types that have validate tags; [NoValidation] turns it off.
	Validator Validator
	// MaxBodyBytes is how large the body of a request may be, files included. 0 is
	// 1 MiB. A larger one is refused with [CodePayloadTooLarge]. Of an input that is a
	// stream of events it is the limit for each event.
	MaxBodyBytes int64
	// NotFound answers requests that match no procedure. Nil answers 404.
	NotFound http.Handler
	// BodyTimeout is how long the body of a request may take from when it is first read. 0 is 30 s, a
	// negative one does not limit it. A slower request is answered [CodeTimeout].
	// A shorter ReadTimeout of the [http.Server] stays in force. Raise it along with
	// MaxBodyBytes. Where middleware hides the SetReadDeadline method of the
	// ResponseWriter, a body that stops arriving altogether is ended by the
	// ReadTimeout of the server alone.
	BodyTimeout time.Duration
	// StallTimeout is how long a client may take nothing of an answer, or less than
	// 16 KiB of it, before its connection is closed. 0 is 10 s, a negative one does
	// not limit it. It takes the place of the WriteTimeout of the [http.Server] for
	// streams of events, which may last longer then; other answers are limited by
	// that if it is set. It has no effect where middleware hides the
	// SetWriteDeadline method of the ResponseWriter.
	StallTimeout time.Duration
	// TrustedOrigins are the origins, as "https://app.example.com", whose pages may
	// call procedures besides those of the handler's own. They are compared
	// exactly. Requests of other pages are refused, see [Handler]. For these pages to
	// read the answers, use a [CORSPlugin] instead, or middleware.
	TrustedOrigins []string
	// TrustedOriginFunc reports whether pages of an origin that is not among
	// TrustedOrigins may call procedures. Nil trusts none. It must be safe for
	// concurrent use.
	TrustedOriginFunc func(origin string) bool
	// Logger receives panics, and middleware that keeps events from being streamed,
	// at level Error, and the causes of internal errors and refused origins at level
	// Warn. None of these are sent to callers. Nil discards them.
	Logger *slog.Logger

	batch func(*Handler) batchHandler // of a BatchPlugin, nil without
	cors  *cors                       // of a CORSPlugin, nil without
}

// HandlerPlugin changes how a handler works: oRPC's handler plugins.
type HandlerPlugin interface {
	// InitHandler may change the options of a handler that is being made, for
	// example append to its interceptors. They are the handler's own copy.
	InitHandler(o *HandlerOptions)
}

// Handler serves the procedures of a [Router] over HTTP: oRPC's RPCHandler. Mount
// it without http.StripPrefix; [HandlerOptions.Prefix] does that. It is safe for
// concurrent use.
//
// A procedure is called with POST, PUT, PATCH or DELETE, and with GET if it is
// declared with [WithMethod]; other methods run nothing and are answered
// [CodeMethodNotSupported], OPTIONS among them, unless a [CORSPlugin] answers it. A body
// that is neither JSON nor a form is refused with [CodeUnsupportedMediaType], one
// that cannot be decoded with [CodeBadRequest]. A stream of events is accepted where the
// input type is [*Events], if the http.ResponseWriter can be written while the body is
// read, and refused with [CodeNotImplemented] if it cannot. A client that then sends
// neither an event nor a comment for a minute gets [CodeTimeout].
//
// Browsers send the cookies of a site along with the requests that pages of other sites make.
// Such a request is refused with [CodeForbidden] before anything of it is run, as
// [http.CrossOriginProtection] does it, unless [HandlerOptions.TrustedOrigins] has the page's
// origin or a [CORSPlugin] allows it. Requests with neither an Origin nor a Sec-Fetch-Site
// header, as programs send them, pass. So does GET, which any page may cause, though not read
// the answer to: declare only procedures with GET that change nothing.
//
// Any other body must arrive within [HandlerOptions.BodyTimeout], and the client must take
// the answer, see [HandlerOptions.StallTimeout]. A request that is refused for its
// path, method, origin, type or announced length, or by an interceptor, is answered without
// its body being waited for. Unless the rest of that has come already, the connection serves
// no further request.
//
// Streams of events, as outputs and as inputs, end with [CodeServiceUnavailable] when the
// [http.Server] that serves them shuts down, or by [Handler.Shutdown].
//
// An output with files is sent as these are read. If one fails, the answer is an
// internal error or, once it has begun, cut off with a panic of
// [http.ErrAbortHandler], which middleware must not recover.
//
// Headers that a call adds to [Call.ResponseHeader] are added to those of middleware if the
// header is a list, as Vary, Set-Cookie and
// Access-Control-Expose-Headers are, and replace them if it is not. The context
// of a call is that of its request.
type Handler struct {
	engine       *engine
	routes       map[string]Route // by encoded path, prefix included
	interceptors []Interceptor
	maxBodyBytes int64
	exchanges    *exchanges
	origins      *origins
	notFound     http.Handler
	ownNotFound  bool // the handler's own
	streams      *streams
	prefix       string       // encoded, without trailing slash
	batch        batchHandler // nil: batches are requests like others
}

// batchHandler answers requests that carry several calls.
type batchHandler interface {
	http.Handler
	takes(r *http.Request) bool
}

// NewHandler returns a handler; nil options are the defaults. It panics on options that are
// wrong: a prefix without leading slash, a negative MaxBodyBytes, a nil interceptor or
// plugin, serializers that contradict each other, trusted origins that are none.
func NewHandler(r *Router, o *HandlerOptions) *Handler {
	var own HandlerOptions
	if o != nil {
		own = *o
		own.Interceptors = slices.Clone(o.Interceptors)
		own.Plugins = slices.Clone(o.Plugins)
		own.Serializers = slices.Clone(o.Serializers)
		own.TrustedOrigins = slices.Clone(o.TrustedOrigins)
	}
	own.check(r)
	for _, plugin := range own.Plugins {
		plugin.InitHandler(&own)
	}
	checkPlugged("rpc: NewHandler", own.Interceptors)
	prefix := strings.TrimSuffix(own.Prefix, "/")
	h := &Handler{
		engine:       newEngine(own.Serializers, own.Validator, own.Logger),
		routes:       make(map[string]Route, len(r.routes)),
		interceptors: own.Interceptors,
		maxBodyBytes: cmp.Or(own.MaxBodyBytes, defaultMaxBodyBytes),
		origins:      newOrigins(&own),
		notFound:     own.NotFound,
		streams:      newStreams(),
		prefix:       prefix,
	}
	h.exchanges = &exchanges{
		engine: h.engine, streams: h.streams,
		bodyTimeout:  cmp.Or(own.BodyTimeout, defaultBodyTimeout),
		stallTimeout: cmp.Or(own.StallTimeout, defaultStallTimeout),
	}
	if own.batch != nil {
		h.batch = own.batch(h)
	}
	if h.notFound == nil {
		h.notFound, h.ownNotFound = http.HandlerFunc(h.answerNotFound), true
	}
	for _, route := range r.routes {
		h.routes[prefix+encodePath(route.spec.path)] = route
	}
	return h
}

// check panics if the options are wrong, with a sentence for each fault.
func (o *HandlerOptions) check(r *Router) {
	var list faults.List
	list.If(r == nil, "the router is nil")
	list.If(o.Prefix != "" && o.Prefix[0] != '/', "prefix %q has no leading slash", o.Prefix)
	faults.Negative(&list, "MaxBodyBytes", o.MaxBodyBytes)
	faults.Nil(&list, "an interceptor", o.Interceptors)
	faults.Nil(&list, "a plugin", o.Plugins)
	list.Panic("rpc: NewHandler")
}

// checkPlugged panics if a plugin has added a nil interceptor.
func checkPlugged(what string, interceptors []Interceptor) {
	var list faults.List
	faults.Nil(&list, "an interceptor of a plugin", interceptors)
	list.Panic(what)
}

// Shutdown ends the streams of events that the handler serves and waits until their
// handlers have returned. Streams that are opened later are refused with
// [CodeServiceUnavailable]; other calls are answered as before. If ctx ends first the
// error wraps its cause and has the number of those left.
//
// An [http.Server] that shuts down ends its streams itself. Shutdown is for other
// servers, and for a handler that ends before its server. It is safe for concurrent use
// and may be called again.
func (h *Handler) Shutdown(ctx context.Context) error { return h.streams.shutdown(ctx) }

// answerNotFound answers as the examples of oRPC do, unlike http.NotFound.
func (h *Handler) answerNotFound(w http.ResponseWriter, r *http.Request) {
	x := h.exchanges.open(w, r, false)
	x.begin(false)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(http.StatusNotFound)
	_, _ = w.Write([]byte("Not Found"))
}

// ServeHTTP answers a request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.origins.cors != nil && h.serveCORS(w, r) {
		return
	}
	if h.batch != nil && h.batch.takes(r) {
		h.batch.ServeHTTP(w, r)
		return
	}
	h.serve(w, r)
}

func (h *Handler) route(r *http.Request) (Route, bool) {
	route, ok := h.routes[strings.TrimSuffix(r.URL.EscapedPath(), "/")]
	return route, ok
}

// serve answers a request for one call, which may be part of a batch.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request) {
	route, ok := h.route(r)
	if !ok {
		h.notFound.ServeHTTP(w, r)
		return
	}
	server := h.streams.of(r)
	duplex := isEventInput(r, route)
	x := h.exchanges.open(w, r, duplex)
	call := &Call{
		Path:           slices.Clone(route.spec.path),
		Method:         route.spec.method,
		LastEventID:    strings.Join(r.Header.Values(headerLastEventID), ", "),
		Header:         r.Header,
		ResponseHeader: http.Header{},
	}
	ctx := r.Context()
	if err := h.origins.check(r); err != nil {
		h.refuseOrigin(ctx, x, call, err)
		return
	}
	handle := route.handle
	var body *bodyInput
	defer func() { h.closeForm(ctx, body.end()) }()
	var stream *httpInput
	err := checkMethod(r, route)
	switch {
	case err != nil:
		call.Input = value.Value{}
		call.ResponseHeader.Set("Allow", allowedMethods(route))
	case duplex:
		var events *eventStream
		if events, stream, err = h.openInput(server, w, r); err == nil {
			call.Input = events
			defer stream.finish(events)
		}
	case r.Method == http.MethodGet:
		call.Input, err = readQuery(r.URL, h.engine.serializer)
	default:
		body, call.Input = h.newBodyInput(w, x)
	}
	if err != nil {
		handle = func(context.Context, *Call) (any, error) { return nil, err }
	}
	out, a := h.engine.answer(ctx, call, Chain(h.interceptors, handle))
	body.end()
	if item, ok := w.(interface{ refuseLarge() }); ok && (isStream(out) || len(a.body.Files) > 0) {
		item.refuseLarge()
		return
	}
	if stream != nil {
		stream.announce(w, r)
	}
	if run, ok := out.(*eventRun); ok {
		x.sendEvents(ctx, server, a.header, run)
		return
	}
	if out != nil {
		a = h.engine.answerError(ctx, call, fmt.Errorf("rpc: a %T cannot be sent over HTTP", out))
	}
	if len(a.body.Files) > 0 {
		x.writeForm(ctx, call, a)
		return
	}
	x.writeAnswer(a)
}

// checkMethod returns an error for a method that runs nothing.
func checkMethod(r *http.Request, route Route) error {
	switch r.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
		return nil
	case http.MethodGet:
		if route.spec.method == http.MethodGet {
			return nil
		}
	}
	return &Error{Code: CodeMethodNotSupported}
}

func allowedMethods(route Route) string {
	methods := "POST, PUT, PATCH, DELETE"
	if route.spec.method == http.MethodGet {
		methods = "GET, " + methods
	}
	return methods
}

// closeForm removes the temporary files of an input.
func (h *Handler) closeForm(ctx context.Context, f *form.Form) {
	if f == nil {
		return
	}
	if err := f.Close(); err != nil {
		h.engine.logger.WarnContext(ctx, "temporary files not removed", "err", err)
	}
}

// isEventInput reports whether a request has a stream of events as its input, and may
// have one.
func isEventInput(r *http.Request, route Route) bool {
	return route.spec.stream && peer.IsEventStream(r.Header) && r.Method != http.MethodGet
}

// origins decides which requests of browsers are served.
type origins struct {
	protection *http.CrossOriginProtection
	trusted    func(origin string) bool // besides those that protection trusts; nil: none
	cors       *cors                    // trusts more of them; nil: none
}

func newOrigins(o *HandlerOptions) *origins {
	protection := http.NewCrossOriginProtection()
	for _, origin := range o.TrustedOrigins {
		if err := cmp.Or(checkOrigin(origin), protection.AddTrustedOrigin(origin)); err != nil {
			panic(fmt.Sprintf("rpc: NewHandler: trusted origins: %v", err))
		}
	}
	return &origins{protection: protection, trusted: o.TrustedOriginFunc, cors: o.cors}
}

// check returns an error for a request that a page of another origin has made.
func (o *origins) check(r *http.Request) (err error) {
	defer bridge.RecoverTo(&err)
	refused := o.protection.Check(r)
	if refused == nil {
		return nil
	}
	if origin := r.Header.Get("Origin"); origin != "" && o.trusted != nil && o.trusted(origin) {
		return nil
	}
	if trusted, err := o.cors.trusts(r); trusted || err != nil {
		return err
	}
	return &Error{Code: CodeForbidden, Message: "Cross-origin request refused", cause: refused}
}

// loggable returns what is logged of a text that a client has chosen.
func loggable(text string) string {
	const limit = 256
	return text[:min(len(text), limit)]
}

// refuseOrigin answers a request of a page of another origin. Its call runs nothing, no
// interceptor either: the credentials in it are not those of the page that made it.
func (h *Handler) refuseOrigin(ctx context.Context, x *exchange, call *Call, err error) {
	h.engine.logger.WarnContext(ctx, "cross-origin request refused",
		"path", call.Path, "origin", loggable(x.r.Header.Get("Origin")), "err", err)
	x.writeAnswer(h.engine.answerError(ctx, call, err))
}
