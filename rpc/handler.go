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

	"github.com/go-orpc/durable-iterator/internal/faults"
	"github.com/go-orpc/durable-iterator/internal/form"
	"github.com/go-orpc/durable-iterator/internal/peer"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

// defaultMaxBodyBytes is the default of HandlerOptions.MaxBodyBytes.
const defaultMaxBodyBytes = 1 << 20

// HandlerOptions configures a [Handler]. The zero value is usable.
type HandlerOptions struct {
	// Prefix is the path below which the procedures are, such as "/rpc". It is compared in
	// its encoded form. Empty means no prefix.
	Prefix string
	// Interceptors run around each call, the first one outermost, before the input is
	// decoded: [Call.Input] is a [value.Value]. They may authenticate the caller. The body of
	// the request is read when the value is first used, by an interceptor or after all of
	// them, so for a call that they refuse only the header and at most 16 KiB of the body are
	// read. Interceptors also run for requests that are refused because of their method or
	// body.
	Interceptors []Interceptor
	// Plugins change the options before the handler is created, in order.
	Plugins []HandlerPlugin
	// Serializers are for types of the application.
	Serializers []value.Serializer
	// Validator validates inputs and outputs. Nil means go-playground/validator for types
	// that have validate tags; [NoValidation] disables validation.
	Validator Validator
	// MaxBodyBytes is the maximum size of the body of a request, including files. A larger
	// one is refused with [CodePayloadTooLarge]. If the input is a stream of events, it is
	// the limit for each event. 0 means 1 MiB.
	MaxBodyBytes int64
	// NotFound serves requests that match no procedure. Nil means a response with 404.
	NotFound http.Handler
	// BodyTimeout is how long the body of a request may take from the first read on. A slower
	// request is refused with [CodeTimeout]. 0 means 30 s; a negative value means no limit.
	// A shorter ReadTimeout of the [http.Server] remains in force. Raise it together with
	// MaxBodyBytes. If middleware hides the SetReadDeadline method of the ResponseWriter, only
	// the ReadTimeout of the server ends a body that stops arriving.
	BodyTimeout time.Duration
	// StallTimeout is how long a client may take to read 16 KiB of a response, or the rest of
	// it, before its connection is closed. 0 means 10 s; a negative value means no limit. For
	// streams of events it replaces the WriteTimeout of the [http.Server], so that they may
	// last longer; for other responses that applies too. It has no effect if middleware hides
	// the SetWriteDeadline method of the ResponseWriter.
	StallTimeout time.Duration
	// TrustedOrigins lists the origins, such as "https://app.example.com", whose pages may
	// call procedures, besides pages of the handler's own origin. They are compared exactly.
	// Requests of other pages are refused, see [Handler]. To also allow these pages to read
	// the responses, use a [CORSPlugin] instead, or middleware.
	TrustedOrigins []string
	// TrustedOriginFunc reports whether pages of an origin that is not in TrustedOrigins may
	// call procedures. It must be safe for concurrent use. Nil trusts none.
	TrustedOriginFunc func(origin string) bool
	// Logger receives panics, and middleware that prevents streams of events, at level
	// Error, and the causes of internal errors and refused origins at level Warn. None of
	// these are sent to callers. Nil means no logging.
	Logger *slog.Logger

	batch func(*Handler) batchHandler // of a BatchPlugin, or nil
	cors  *cors                       // of a CORSPlugin, or nil
}

// HandlerPlugin changes the options of a handler. It is oRPC's handler plugin.
type HandlerPlugin interface {
	// InitHandler may change the options of a handler that is being created, for example
	// append interceptors. o is the handler's own copy.
	InitHandler(o *HandlerOptions)
}

// Handler serves the procedures of a [Router] over HTTP. It is oRPC's RPCHandler. Mount it without
// http.StripPrefix; use [HandlerOptions.Prefix]. It is safe for concurrent use.
//
// A procedure can be called with POST, PUT, PATCH or DELETE, and with GET if [WithMethod] declares
// it. Other methods are refused with [CodeMethodNotSupported], including OPTIONS unless a
// [CORSPlugin] responds to it. A body that is neither JSON nor a form is refused with
// [CodeUnsupportedMediaType], and one that cannot be decoded with [CodeBadRequest]. If the input
// type is [*Events], the body may be a stream of events; it is refused with [CodeNotImplemented] if
// the http.ResponseWriter cannot be written while the body is read, and with [CodeTimeout] if the
// client sends neither an event nor a comment for a minute.
//
// Browsers send the cookies of a site with the requests that pages of other sites make. Like
// [http.CrossOriginProtection], a handler refuses such requests with [CodeForbidden] before it runs
// anything, unless [HandlerOptions.TrustedOrigins] has the page's origin or a [CORSPlugin] allows
// it. Requests without Origin and Sec-Fetch-Site headers, which come from other programs, are not
// refused. Neither are GET requests, which any page can make, although it cannot read the response:
// declare GET only for procedures that change nothing.
//
// Other bodies must arrive within [HandlerOptions.BodyTimeout], and the client must read the
// response, see [HandlerOptions.StallTimeout]. A request that is refused because of its path,
// method, origin, type or declared length, or by an interceptor, is answered without waiting for its
// body. Unless the whole body has already arrived, the connection is then not used again.
//
// Streams of events, both outputs and inputs, end with [CodeServiceUnavailable] when the
// [http.Server] that serves them shuts down, or by [Handler.Shutdown].
//
// The files of an output are read while they are sent. If reading fails, the response is an
// internal error or, if it has begun, is cut off with a panic of [http.ErrAbortHandler], from
// which middleware must not recover.
//
// Headers in [Call.ResponseHeader] replace those that middleware has set, or are added to them if
// the header is a list, such as Vary, Set-Cookie and Access-Control-Expose-Headers. The context of
// a call is that of its request.
type Handler struct {
	*exchanges

	routes       map[string]Route // by encoded path with the prefix
	interceptors []Interceptor
	origins      *origins
	notFound     http.Handler
	ownNotFound  bool         // notFound is not that of the options
	prefix       string       // encoded, without trailing slash
	batch        batchHandler // nil if batches are treated like other requests
}

// batchHandler serves batches of calls.
type batchHandler interface {
	http.Handler
	takes(r *http.Request) bool
}

// NewHandler returns a handler. If o is nil, the defaults are used. It panics if options are wrong:
// a prefix without a leading slash, a negative MaxBodyBytes, a nil interceptor or plugin,
// serializers that contradict each other, malformed trusted origins.
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
	trusted, err := newOrigins(own.TrustedOrigins, own.TrustedOriginFunc, own.cors)
	if err != nil {
		panic(fmt.Sprintf("rpc: NewHandler: trusted origins: %v", err))
	}
	prefix := strings.TrimSuffix(own.Prefix, "/")
	h := &Handler{
		exchanges: &exchanges{
			engine:       newEngine(own.Serializers, own.Validator, own.Logger),
			streams:      newStreams(),
			maxBodyBytes: cmp.Or(own.MaxBodyBytes, defaultMaxBodyBytes),
			bodyTimeout:  cmp.Or(own.BodyTimeout, defaultBodyTimeout),
			stallTimeout: cmp.Or(own.StallTimeout, defaultStallTimeout),
		},
		routes:       make(map[string]Route, len(r.routes)),
		interceptors: own.Interceptors,
		origins:      trusted,
		notFound:     own.NotFound,
		prefix:       prefix,
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
	x := h.open(w, r, false)
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

// serveCORS sets the headers for a page of another origin. If the request is a preflight, it sends
// the response and returns true.
func (h *Handler) serveCORS(w http.ResponseWriter, r *http.Request) (answered bool) {
	c, origin := h.origins.cors, r.Header.Get("Origin")
	preflight := r.Method == http.MethodOptions && origin != ""
	if !h.isOurs(r, preflight) {
		return false
	}
	allowed, err := c.announce(w.Header(), origin)
	if err != nil {
		h.engine.logError(r.Context(), &Call{Path: []string{"CORSPlugin.OriginFunc"}}, err)
	}
	if !preflight {
		return false
	}
	if allowed {
		c.permit(w.Header(), r.Header)
	} else {
		h.engine.logger.WarnContext(r.Context(), "preflight refused: its origin is not in CORSPlugin.Origins",
			"path", loggable(r.URL.Path), "origin", loggable(origin))
	}
	h.open(w, r, false).begin(false)
	w.WriteHeader(http.StatusNoContent)
	return true
}

// isOurs reports whether the handler serves a request itself, rather than NotFound.
func (h *Handler) isOurs(r *http.Request, preflight bool) bool {
	_, known := h.route(r)
	switch {
	case known, h.ownNotFound:
		return true
	case h.batch == nil:
		return false
	case preflight: // of a batch, which may have any path
		return strings.HasPrefix(r.URL.EscapedPath(), h.prefix+"/") &&
			listed(r.Header["Access-Control-Request-Headers"], headerBatch)
	default:
		return h.batch.takes(r)
	}
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
	x := h.open(w, r, duplex)
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
		if events, stream, err = x.eventInput(server); err == nil {
			call.Input = events
			defer stream.finish(events)
		}
	case r.Method == http.MethodGet:
		call.Input, err = readQuery(r.URL, h.engine.serializer)
	default:
		body, call.Input = x.input()
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
		stream.announce()
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
