package rpc

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/go-orpc/durable-iterator/internal/form"
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
	// authenticated. They also see the refusals of a request whose method or body
	// is not accepted.
	Interceptors []Interceptor
	// Plugins change the options before the handler is made, in order.
	Plugins []HandlerPlugin
	// Serializers are types of the application that may be sent.
	Serializers []value.Serializer
	// Validator checks inputs and outputs. Nil runs go-playground/validator on the
	// types that have validate tags; [NoValidation] turns it off.
	Validator Validator
	// MaxBodyBytes is how large the body of a request may be, files included. 0 is
	// 1 MiB. A larger one is refused with [CodePayloadTooLarge].
	MaxBodyBytes int64
	// NotFound answers requests that match no procedure. Nil answers 404.
	NotFound http.Handler
	// Logger gets panics at level Error and the causes of internal errors at
	// level Warn, none of which the caller is told. Nil discards them.
	Logger *slog.Logger
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
// [CodeMethodNotSupported], OPTIONS among them: CORS is up to middleware. A body
// that is neither JSON nor a form is refused with [CodeUnsupportedMediaType], one
// that cannot be decoded with [CodeBadRequest]. A body without a content type counts as JSON, so
// a page of another site can post one: where cookies authenticate, wrap the
// Handler in [http.CrossOriginProtection].
//
// An output with files is sent as these are read. If one fails, the answer is an
// internal error or, once it has begun, cut off with a panic of
// [http.ErrAbortHandler], which middleware has to let through.
//
// What a call adds to [Call.ResponseHeader] is added to what middleware has set
// on the response where a header is a list, as Vary, Set-Cookie and
// Access-Control-Expose-Headers are, and replaces it where it is not. The context
// of a call is that of its request.
type Handler struct {
	engine       *engine
	routes       map[string]Route // by encoded path, prefix included
	interceptors []Interceptor
	maxBodyBytes int64
	notFound     http.Handler
}

// NewHandler makes a handler; nil options are the defaults. It panics on a
// prefix without leading slash and on serializers that contradict each other.
func NewHandler(r *Router, o *HandlerOptions) *Handler {
	var own HandlerOptions
	if o != nil {
		own = *o
		own.Interceptors = slices.Clone(o.Interceptors)
		own.Serializers = slices.Clone(o.Serializers)
	}
	for _, plugin := range own.Plugins {
		plugin.InitHandler(&own)
	}
	prefix := strings.TrimSuffix(own.Prefix, "/")
	if prefix != "" && prefix[0] != '/' {
		panic(fmt.Sprintf("rpc: NewHandler: prefix %q has no leading slash", own.Prefix))
	}
	h := &Handler{
		engine:       newEngine(own.Serializers, own.Validator, own.Logger),
		routes:       make(map[string]Route, len(r.routes)),
		interceptors: own.Interceptors,
		maxBodyBytes: cmp.Or(own.MaxBodyBytes, defaultMaxBodyBytes),
		notFound:     own.NotFound,
	}
	if h.notFound == nil {
		h.notFound = http.HandlerFunc(notFound)
	}
	for _, route := range r.routes {
		h.routes[prefix+encodePath(route.spec.path)] = route
	}
	return h
}

// notFound answers as the examples of oRPC do, unlike http.NotFound.
func notFound(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(http.StatusNotFound)
	_, _ = w.Write([]byte("Not Found"))
}

// ServeHTTP answers a request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	route, ok := h.routes[strings.TrimSuffix(r.URL.EscapedPath(), "/")]
	if !ok {
		h.notFound.ServeHTTP(w, r)
		return
	}
	call := &Call{
		Path:           slices.Clone(route.spec.path),
		Method:         route.spec.method,
		LastEventID:    strings.Join(r.Header.Values("Last-Event-Id"), ", "),
		Header:         r.Header,
		ResponseHeader: http.Header{},
	}
	handle := route.handle
	input, files, err := h.readInput(w, r, route)
	defer h.closeForm(r.Context(), files)
	call.Input = input
	if err != nil {
		handle = func(context.Context, *Call) (any, error) { return nil, err }
	}
	ctx := r.Context()
	out, a := h.engine.answer(ctx, call, Chain(h.interceptors, handle))
	if run, ok := out.(*eventRun); ok {
		h.sendEvents(ctx, w, a.header, run)
		return
	}
	if out != nil {
		a = h.engine.answerError(ctx, call, fmt.Errorf("rpc: a %T cannot be sent over HTTP", out))
	}
	if CodeOf(err) == CodeMethodNotSupported {
		a.header.Set("Allow", allowedMethods(route))
	}
	if len(a.body.Files) > 0 {
		h.writeFormAnswer(ctx, w, call, a)
		return
	}
	writeAnswer(w, a)
}

// readInput gives the undefined input along with an error. The form that an input
// with files came in, else nil, is to be closed when the call is answered.
func (h *Handler) readInput(w http.ResponseWriter, r *http.Request, route Route) (value.Value, *form.Form, error) {
	switch r.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
		if isFormBody(r.Header) {
			return h.readBodyForm(w, r)
		}
		v, err := readBody(w, r, h.maxBodyBytes, h.engine.serializer)
		return v, nil, err
	case http.MethodGet:
		if route.spec.method == http.MethodGet {
			v, err := readQuery(r.URL, h.engine.serializer)
			return v, nil, err
		}
	}
	return value.Value{}, nil, &Error{Code: CodeMethodNotSupported}
}

func allowedMethods(route Route) string {
	methods := "POST, PUT, PATCH, DELETE"
	if route.spec.method == http.MethodGet {
		methods = "GET, " + methods
	}
	return methods
}

// writeAnswer sends an answer without files. It does not look at whether the
// client is still there: nobody could be told.
func writeAnswer(w http.ResponseWriter, a answer) {
	header := w.Header()
	mergeHeader(header, a.header)
	header.Set("Content-Type", "application/json")
	header.Set("Content-Length", strconv.Itoa(len(a.body.JSON)))
	w.WriteHeader(httpStatus(a.status))
	_, _ = w.Write(a.body.JSON)
}

// httpStatus gives the status line for a status that an Error may have, but an
// HTTP answer not; the error in the body keeps its own.
func httpStatus(status int) int {
	if status != http.StatusOK && (status < 400 || status > 599) {
		return http.StatusInternalServerError
	}
	return status
}
