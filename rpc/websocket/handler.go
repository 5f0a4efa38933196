package websocket

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/go-orpc/durable-iterator/internal/asynclog"
	"github.com/go-orpc/durable-iterator/internal/faults"
	"github.com/go-orpc/durable-iterator/internal/socket"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/transport"
	"github.com/go-orpc/durable-iterator/rpc/value"
)

const (
	defaultMaxMessageBytes = 1 << 20
	defaultMaxUnsentBytes  = 1 << 20
	minPendingBytes        = 128 << 10
	defaultPingInterval    = 30 * time.Second
)

// HandlerOptions configures a [Handler]. The zero value is usable.
type HandlerOptions struct {
	// Interceptors run around each call, the first one outermost, before the input
	// is decoded: [rpc.Call.Input] is a [value.Value].
	Interceptors []rpc.Interceptor
	// Plugins are those of an [rpc.Handler]. Of the options that they change,
	// Interceptors, Serializers, Validator and Logger count.
	Plugins []rpc.HandlerPlugin
	// Serializers are types of the application that may be sent.
	Serializers []value.Serializer
	// Validator checks inputs and outputs, as in [rpc.HandlerOptions].
	Validator rpc.Validator
	// MaxMessageBytes is how large a message of a client may be. 0 is 1 MiB. A
	// larger one closes the connection with code 1009.
	MaxMessageBytes int64
	// MessageTimeout is how long a message may take from its first frame to its last. 0
	// is 30 s. One that takes longer closes the connection with code 1008.
	MessageTimeout time.Duration
	// MaxCalls is how many calls of one connection may run at once, not counting open
	// streams of events; 0 is 256. Further ones wait, as messages that are not decoded.
	MaxCalls int
	// MaxPendingBytes bounds the messages of one connection's calls that wait or run. A message
	// counts its own size and 256 bytes, and 128 bytes for each of its headers and 16 for each
	// value of one. Beyond it the connection is not read until a call has returned; meanwhile
	// the silence of the client does not count. 0 is twice MaxMessageBytes, at least 128 KiB.
	MaxPendingBytes int
	// MaxStreams is how many streams of events of one connection may be open at once; 0
	// is 100. A further one is answered [rpc.CodeTooManyRequests].
	MaxStreams int
	// MaxUnsentBytes bounds the answers of one connection that wait for the client to
	// read. Beyond half of it calls wait for room with their answers; a single answer may
	// be larger. 0 is 1 MiB.
	MaxUnsentBytes int
	// StallTimeout is how long a connection may accept no bytes while answers wait. Then
	// it is closed with code 1013 and its calls are cancelled. A client that reads
	// slowly, but reads, is kept; where this process itself ends TLS, one that takes 16 KiB
	// in that time. 0 is 10 s.
	StallTimeout time.Duration
	// OriginPatterns are the hosts, besides the request's own, whose pages may
	// connect, in the form of path.Match: "*.example.com". A pattern with "://" is
	// compared with scheme and host. Requests without an Origin, as programs send
	// them, are never refused for it.
	OriginPatterns []string
	// AnyOrigin allows pages of all origins to connect.
	AnyOrigin bool
	// PingInterval is how long a client may be silent before it is sent a ping. One
	// that is silent for two intervals is dropped. A client that reads answers which had
	// to wait for it is not silent. 0 is 30 s, negative is never.
	PingInterval time.Duration
	// Logger receives panics, and middleware that keeps connections from being
	// opened, at level Error, the causes of internal errors at level Warn, and
	// messages that cannot be read at level Debug. Nil discards them.
	Logger *slog.Logger
}

// Handler serves the procedures of an [rpc.Router] over WebSocket connections:
// oRPC's RPCHandler for WebSockets. Clients are a [Link] or a TypeScript
// RPCLink. It is safe for concurrent use.
//
// The context of a call has the values of the request that opened the connection. It
// ends when the client aborts the call or is gone.
//
// Only the calls of a client wait for it to read its answers. The memory that one connection
// can make the handler hold is bounded: a message that is being read
// (MaxMessageBytes), calls that wait or run (MaxPendingBytes, and what MaxCalls and
// MaxStreams handlers use), answers (MaxUnsentBytes, and four that are encoded and wait
// for room), and what is just being written (128 KiB). While four outputs wait to be
// encoded no further call begins.
//
// net/http does not close such connections when a server shuts down: see
// [Handler.Drain] and [Handler.Shutdown].
type Handler struct {
	peers   *transport.ServerPeers
	logger  *slog.Logger
	options HandlerOptions

	idle chan struct{} // closed when the handler is drained and nothing runs any more

	// mu guards the fields below. pool is there from the first connection on. Once
	// draining is set conns only shrinks; the first to find it empty then sets ended
	// and closes the pool.
	mu       sync.Mutex
	pool     *socket.Pool
	conns    map[*conn]struct{}
	draining bool
	ended    bool
}

// NewHandler returns a handler; nil options are the defaults. It panics on options that are
// wrong: negative numbers but for PingInterval, a nil interceptor or plugin, serializers that
// contradict each other, malformed OriginPatterns.
//
// The sockets of durable iterators are served by durableobject.UpgradeHandler, which has no
// type of its own because its sockets belong to the namespace, and so do the limits of the
// sockets and their shutdown.
func NewHandler(r *rpc.Router, o *HandlerOptions) *Handler {
	var own HandlerOptions
	if o != nil {
		own = *o
	}
	shared := rpc.HandlerOptions{
		Interceptors: slices.Clone(own.Interceptors),
		Serializers:  slices.Clone(own.Serializers),
		Validator:    own.Validator,
		Logger:       own.Logger,
	}
	own.check(r)
	for _, plugin := range own.Plugins {
		plugin.InitHandler(&shared)
	}
	var list faults.List
	faults.Nil(&list, "an interceptor of a plugin", shared.Interceptors)
	list.Panic("websocket: NewHandler")
	own.OriginPatterns = slices.Clone(own.OriginPatterns)
	own.MaxMessageBytes = cmp.Or(own.MaxMessageBytes, defaultMaxMessageBytes)
	own.MaxUnsentBytes = cmp.Or(own.MaxUnsentBytes, defaultMaxUnsentBytes)
	own.MaxPendingBytes = cmp.Or(own.MaxPendingBytes, max(2*int(own.MaxMessageBytes), minPendingBytes))
	own.PingInterval = cmp.Or(own.PingInterval, defaultPingInterval)
	logger := shared.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return &Handler{
		logger: asynclog.Guard(logger),
		peers: transport.NewServerPeers(&transport.ServerPeerOptions{
			Handle:          serveKnown(r, rpc.Chain(shared.Interceptors, r.Serve)),
			TakesEvents:     r.TakesEvents,
			Serializers:     shared.Serializers,
			Validator:       shared.Validator,
			MaxCalls:        own.MaxCalls,
			MaxStreams:      own.MaxStreams,
			MaxPendingBytes: own.MaxPendingBytes,
			Logger:          shared.Logger,
		}),
		options: own,
		idle:    make(chan struct{}),
		conns:   make(map[*conn]struct{}),
	}
}

// check panics if the options are wrong, with a sentence for each fault.
func (o *HandlerOptions) check(r *rpc.Router) {
	var list faults.List
	list.If(r == nil, "the router is nil")
	faults.Negative(&list, "MaxMessageBytes", o.MaxMessageBytes)
	faults.Negative(&list, "MessageTimeout", o.MessageTimeout)
	faults.Negative(&list, "MaxCalls", o.MaxCalls)
	faults.Negative(&list, "MaxPendingBytes", o.MaxPendingBytes)
	faults.Negative(&list, "MaxStreams", o.MaxStreams)
	faults.Negative(&list, "MaxUnsentBytes", o.MaxUnsentBytes)
	faults.Negative(&list, "StallTimeout", o.StallTimeout)
	faults.Nil(&list, "an interceptor", o.Interceptors)
	faults.Nil(&list, "a plugin", o.Plugins)
	for _, pattern := range o.OriginPatterns {
		err := socket.CheckOriginPattern(pattern)
		list.If(err != nil, "OriginPatterns: %v", err)
	}
	list.Panic("websocket: NewHandler")
}

// serveKnown keeps calls that lead nowhere from the interceptors, as over HTTP.
func serveKnown(r *rpc.Router, serve rpc.CallFunc) rpc.CallFunc {
	return func(ctx context.Context, call *rpc.Call) (any, error) {
		if !r.Has(call.Path) {
			return nil, rpc.ErrNoProcedure
		}
		return serve(ctx, call)
	}
}

// ServeHTTP opens a connection and returns; the connection is served in the background.
// Middleware must
// not hide the [http.Hijacker] of the ResponseWriter, or have an Unwrap method as
// [http.ResponseController] knows it; otherwise the answer is 501.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &conn{}
	pool, ok := h.join(c)
	if !ok {
		http.Error(w, "Service Unavailable", http.StatusServiceUnavailable)
		return
	}
	accepted := &socket.Conn{}
	err := accepted.Accept(w, r, pool, c, socket.Options{
		ReadLimit:      h.options.MaxMessageBytes,
		MessageTimeout: h.options.MessageTimeout,
		StallTimeout:   h.options.StallTimeout,
		OriginPatterns: h.options.OriginPatterns,
		AnyOrigin:      h.options.AnyOrigin,
	})
	if err != nil {
		h.logger.Log(r.Context(), socket.RefusalLevel(err), "websocket refused", "err", err)
		h.leave(c)
		return
	}
	c.open(context.WithoutCancel(r.Context()), h, accepted)
	if h.isDraining() { // it has begun without seeing this one
		c.close()
	}
	accepted.Serve(c)
}

// Drain refuses new connections from now on, with status 503, and closes all that
// there are, with code 1012. It does not wait: it is meant for
// http.Server.RegisterOnShutdown.
func (h *Handler) Drain() {
	h.mu.Lock()
	h.draining = true
	h.mu.Unlock()
	for _, c := range h.connections() {
		c.close()
	}
	h.settle()
}

// Shutdown drains the handler and waits until all connections are closed and all
// their calls have returned. If ctx ends first the connections are cut, and the
// error wraps its cause; calls that ignore their context continue.
func (h *Handler) Shutdown(ctx context.Context) error {
	h.Drain()
	select {
	case <-h.idle:
		return nil
	case <-ctx.Done():
	}
	for _, c := range h.connections() {
		c.kill()
	}
	return fmt.Errorf("websocket: shutdown: %w", context.Cause(ctx))
}

func (h *Handler) connections() []*conn {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Collect(maps.Keys(h.conns))
}

func (h *Handler) isDraining() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.draining
}

// join counts a connection in, unless the handler is draining. The first one
// starts what all of them share.
func (h *Handler) join(c *conn) (pool *socket.Pool, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.draining {
		return nil, false
	}
	if h.pool == nil {
		h.pool = socket.NewPool(0, h.options.PingInterval)
	}
	h.conns[c] = struct{}{}
	return h.pool, true
}

func (h *Handler) leave(c *conn) {
	h.mu.Lock()
	delete(h.conns, c)
	h.mu.Unlock()
	h.settle()
}

// settle ends what runs in the background once the last connection has left a
// handler that is draining.
func (h *Handler) settle() {
	h.mu.Lock()
	last := h.draining && len(h.conns) == 0 && !h.ended
	h.ended = h.ended || last
	pool := h.pool
	h.mu.Unlock()
	if !last {
		return
	}
	if pool != nil {
		pool.Close()
	}
	close(h.idle)
}
