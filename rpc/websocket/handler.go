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
	// Plugins are plugins for an [rpc.Handler]. Only their changes of Interceptors,
	// Serializers, Validator and Logger have an effect.
	Plugins []rpc.HandlerPlugin
	// Serializers are for types of the application.
	Serializers []value.Serializer
	// Validator checks inputs and outputs, as in [rpc.HandlerOptions].
	Validator rpc.Validator
	// MaxMessageBytes is the size of the largest message of a client. A larger one closes
	// the connection with code 1009. 0 means 1 MiB.
	MaxMessageBytes int64
	// MessageTimeout is how long a message may take from its first frame to its last. If it
	// takes longer, the connection is closed with code 1008. 0 means 30 s.
	MessageTimeout time.Duration
	// MaxCalls is how many calls of one connection may run at once, not counting open
	// streams of events. Further ones wait without being decoded. 0 means 256.
	MaxCalls int
	// MaxPendingBytes limits the messages of one connection's calls that wait or run. Each
	// message counts its size and 256 bytes, and 128 bytes for each of its headers and 16 for
	// each value of a header. Beyond it, the connection is not read until a call has returned;
	// meanwhile the client is not considered silent. 0 means twice MaxMessageBytes, but at
	// least 128 KiB.
	MaxPendingBytes int
	// MaxStreams is how many streams of events of one connection may be open at once.
	// Further ones are refused with [rpc.CodeTooManyRequests]. 0 means 100.
	MaxStreams int
	// MaxUnsentBytes limits the answers of one connection that wait for the client to read.
	// Beyond half of it, calls wait with their answers; a single answer may be larger. 0
	// means 1 MiB.
	MaxUnsentBytes int
	// StallTimeout is how long a connection may accept no bytes while answers are waiting.
	// It is then closed with code 1013 and its calls are canceled. A client that reads
	// slowly is not affected; with TLS in this process, it must read 16 KiB in that time.
	// 0 means 10 s.
	StallTimeout time.Duration
	// OriginPatterns lists the hosts, besides the request's own, whose pages may connect,
	// as patterns of path.Match: "*.example.com". A pattern with "://" is compared with
	// scheme and host. Requests without an Origin header, which come from other programs
	// than browsers, are not refused.
	OriginPatterns []string
	// AnyOrigin allows pages of all origins to connect.
	AnyOrigin bool
	// PingInterval is how long a client may be silent before a ping is sent. After two
	// intervals of silence the connection is closed. A client that reads answers that were
	// waiting for it is not silent. 0 means 30 s; a negative value means never.
	PingInterval time.Duration
	// Logger receives panics, and middleware that prevents connections from being opened,
	// at level Error, the causes of internal errors at level Warn, and malformed messages
	// at level Debug. Nil means no logging.
	Logger *slog.Logger
}

// Handler serves the procedures of an [rpc.Router] over WebSocket connections. It is oRPC's
// RPCHandler for WebSockets. Clients use a [Link] or a TypeScript RPCLink. It is safe for
// concurrent use.
//
// The context of a call has the values of the request that opened the connection. It ends when
// the client aborts the call or disconnects.
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

	idle chan struct{} // closed when the handler is drained and nothing is running

	// mu guards the fields below. pool is set when the first connection is opened. Once
	// draining is set, conns only shrinks; when it is empty, ended is set and the pool is
	// closed.
	mu       sync.Mutex
	pool     *socket.Pool
	conns    map[*conn]struct{}
	draining bool
	ended    bool
}

// NewHandler returns a handler. If o is nil, the defaults are used. It panics if options are
// wrong: negative numbers except for PingInterval, a nil interceptor or plugin, serializers that
// contradict each other, or malformed OriginPatterns.
//
// The sockets of durable iterators are served by durableobject.NewHandler. They belong to a
// namespace, which also has their limits and shuts them down.
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

// serveKnown answers calls of unknown procedures without calling interceptors, as over HTTP.
func serveKnown(r *rpc.Router, serve rpc.CallFunc) rpc.CallFunc {
	return func(ctx context.Context, call *rpc.Call) (any, error) {
		if !r.Has(call.Path) {
			return nil, rpc.ErrNoProcedure
		}
		return serve(ctx, call)
	}
}

// ServeHTTP opens a connection and returns; the connection is served in the background.
// Middleware must not hide the [http.Hijacker] of the ResponseWriter, or its ResponseWriter must
// have an Unwrap method as described at [http.ResponseController]; otherwise the status is 501.
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
	if h.isDraining() { // Drain has begun before this connection was added
		c.close()
	}
	accepted.Serve(c)
}

// Drain refuses new connections from now on, with status 503, and closes all open ones with code
// 1012. It does not wait, so it can be passed to http.Server.RegisterOnShutdown.
func (h *Handler) Drain() {
	h.mu.Lock()
	h.draining = true
	h.mu.Unlock()
	for _, c := range h.connections() {
		c.close()
	}
	h.settle()
}

// Shutdown calls Drain and waits until all connections are closed and all of their calls have
// returned. If ctx ends first, the connections are cut off and the error wraps the cause of ctx;
// calls that ignore their context continue.
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

// join adds a connection, unless the handler is draining, and returns the pool that all
// connections share.
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

// settle closes the pool once the last connection has left a handler that is draining.
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
