package durableobject

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/internal/asynclog"
	"github.com/go-orpc/durable-iterator/internal/fanout"
	"github.com/go-orpc/durable-iterator/internal/serializer"
	"github.com/go-orpc/durable-iterator/internal/socket"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/transport"
	"github.com/go-orpc/durable-iterator/rpc/value"
	"github.com/go-orpc/durable-iterator/token"
)

// Namespace makes and holds the objects of one class, one for each channel: oRPC's
// DurableObjectNamespace. H is the type of the objects. It is safe for concurrent
// use; end it with Shutdown.
type Namespace[H any] struct{ core *core }

// NewNamespace makes a namespace. newHub is called when a channel is first used,
// with the live object to embed; what it returns must be built on that object. It
// must not block for long, since the users of the channel wait for it; if it
// fails, they get the error and the next user tries again.
//
// A newHub may publish with the object that it was given, and may get other objects.
// A Get that would wait for this very newHub, be it through the newHub of others, fails
// with [ErrRecursive]. It is recognized by the ctx of newHub or by its goroutine. On
// another goroutine and with another context it waits until that context ends.
//
// Where objects have no type of their own:
//
//	durableobject.NewNamespace(func(_ context.Context, o *durableobject.Object[Message]) (*durableobject.Object[Message], error) {
//		return o, nil
//	}, options)
//
// It panics if newHub is nil, and on options that are wrong: without a Verifier, with
// negative numbers, with serializers that contradict each other.
func NewNamespace[T any, H Hub[T]](newHub func(context.Context, *Object[T]) (H, error), o *Options) *Namespace[H] {
	if newHub == nil {
		panic("durableobject: NewNamespace: newHub is nil")
	}
	c := newCore(o)
	c.newHub = func(ctx context.Context, channel string) (any, error) {
		object := &Object[T]{core: c, name: channel}
		hub, err := newHub(ctx, object)
		if err != nil {
			return nil, err
		}
		if any(hub) == nil || hub.object() != object {
			return nil, errors.New("newHub did not embed the object that it was given")
		}
		return hub, nil
	}
	c.startTasks()
	return &Namespace[H]{c}
}

// Get gives the object of a channel, making it if it is not in memory. Objects
// that nobody uses are evicted, with the state that they hold: get them anew
// rather than keep them. The error is that of newHub, of the log, of ctx,
// [ErrRecursive] or [ErrClosed].
func (ns *Namespace[H]) Get(ctx context.Context, channel string) (H, error) {
	var zero H
	ch, err := ns.core.acquireHub(ctx, channel)
	if err != nil {
		return zero, fmt.Errorf("durableobject: get: %w", err)
	}
	defer ch.release()
	typed, ok := ch.hub.(H)
	if !ok {
		return zero, fmt.Errorf("durableobject: get: the object is a %T", ch.hub)
	}
	return typed, nil
}

// Handle registers a method of the namespace's objects, to be called over the
// socket by clients whose token allows it. fn is a method expression: it gets
// the object, the caller's socket and the input. It runs concurrently with itself
// and with everything else. An event that it publishes with its ctx reaches the
// caller's socket before its answer does. The interceptors run around it, after
// the input was decoded and checked.
//
// Handle panics if the path is taken, if the first client has connected, and if the
// input is a stream of events, which the protocol of methods cannot carry.
func Handle[H, In, Out any](ns *Namespace[H], p rpc.Procedure[In, Out],
	fn func(H, context.Context, *Websocket, In) (Out, error), ics ...rpc.Interceptor,
) {
	ns.core.handle(p.Handler(func(ctx context.Context, in In) (Out, error) {
		hub, call, err := target[H](ctx, p.Path())
		if err != nil {
			var zero Out
			return zero, err
		}
		return fn(hub, ctx, call.ws, in)
	}, ics...))
}

// HandleEvents registers a method whose output is a stream of events, of which fn
// sends each with w. Otherwise it is as [Handle]: an event of the stream, too, comes
// behind what fn has published before it.
//
// A stream waits while too much of what the socket has to send is unread, as all answers
// do. Options.MaxStreams bounds the streams of a socket.
func HandleEvents[H, In, T, R any](ns *Namespace[H], p rpc.EventProcedure[In, T, R],
	fn func(H, context.Context, *Websocket, In, *rpc.EventWriter[T]) (R, error), ics ...rpc.Interceptor,
) {
	// Clients see the errors of "call", which declares none: see undeclared.
	bare := rpc.DefineEvents[In, T, R](p.Path())
	ns.core.handle(bare.Handler(func(ctx context.Context, in In, w *rpc.EventWriter[T]) (R, error) {
		hub, call, err := target[H](ctx, p.Path())
		if err != nil {
			var zero R
			return zero, err
		}
		return fn(hub, ctx, call.ws, in, w)
	}, ics...))
}

// target gives the object that a method is called on, and the call.
func target[H any](ctx context.Context, path string) (hub H, call *callState, err error) {
	call, ok := stateOf(ctx)
	if !ok {
		return hub, nil, fmt.Errorf("durableobject: %s: %w", path, errLostContext)
	}
	hub, ok = call.ws.ch.hub.(H)
	if !ok {
		return hub, nil, fmt.Errorf("durableobject: %s: the object is a %T", path, call.ws.ch.hub)
	}
	return hub, call, nil
}

// Drain begins to shut down: no object is made and no socket accepted from now on,
// and every socket is closed with 1012, which clients take as a reason to connect
// again. It does not wait, so it suits http.Server.RegisterOnShutdown.
func (ns *Namespace[H]) Drain() { ns.core.drain() }

// Shutdown drains, then waits for the sockets to close and for calls and hooks to
// return, evicts all objects, and waits for OnEvicted. A log of the namespace's own
// is closed, and no goroutine is left.
//
// If ctx ends before, the connections that are left are cut off and Shutdown returns
// an error at once, whatever methods and hooks do. The error wraps the cause of ctx
// and names the methods, hooks and channels that still run; they go on. Objects are
// evicted all the same: those that nobody uses when half of the time until the
// deadline of ctx has passed, the others when ctx ends. Shutdown may be called again,
// to go on waiting.
func (ns *Namespace[H]) Shutdown(ctx context.Context) error { return ns.core.shutdown(ctx) }

// core is a Namespace without its types.
type core struct {
	ctx    context.Context // ends with Shutdown
	cancel context.CancelFunc
	logger *slog.Logger // never runs code of the application on the caller's goroutine
	logs   *asynclog.Queue

	verifier     token.Verifier
	subject      func(*token.Payload) string
	log          eventlog.Log    // nil: nothing is kept
	shared       eventlog.Shared // log, if other nodes append to it; nil otherwise
	ownLog       bool
	events       fanout.Options // of the channels
	retention    time.Duration
	maxLagBytes  int
	options      Options
	interceptors []rpc.Interceptor
	serializers  []value.Serializer
	serializer   *serializer.Serializer

	system *rpc.Router
	peers  *transport.ServerPeers
	newHub func(ctx context.Context, channel string) (any, error)
	pool   *socket.Pool
	users  sync.WaitGroup // readers, hooks of sockets, and tasks
	hooks  runningCode

	refusals atomic.Int64 // connections of clients that are told why they are refused

	// finish runs once, from the first Shutdown on, and closes finished. closeErr is
	// set before that.
	ending    sync.Once
	evictions sync.WaitGroup
	hurried   chan bool
	finished  chan struct{}
	closeErr  error

	// mu guards the fields below.
	//
	//   - A channel is in channels from first use to eviction. A pin on it is taken
	//     with mu held, and it is taken out with mu held and without pins.
	//   - An evicted channel is in leaving until it does not follow the log any more.
	//   - A socket is in sockets until its last call and OnDisconnected have
	//     returned.
	//   - Nothing is added to channels once closing is set, and to sockets only
	//     those that had entered before.
	mu       sync.RWMutex
	channels map[string]*channel
	leaving  map[string]chan struct{}
	sockets  map[*Websocket]struct{}
	closing  bool

	// routesMu guards routes until methods is made of them, at the first call.
	routesMu sync.Mutex
	routes   []rpc.Route
	methods  *rpc.Router
}

func newCore(options *Options) *core {
	o := options.withDefaults()
	plugged := rpc.HandlerOptions{Interceptors: o.Interceptors, Serializers: o.Serializers, Validator: o.Validator}
	for _, plugin := range o.Plugins {
		plugin.InitHandler(&plugged)
	}
	ser, err := serializer.New(plugged.Serializers...)
	if err != nil {
		panic(fmt.Sprintf("durableobject: NewNamespace: Serializers: %v", err))
	}
	o.Validator = plugged.Validator
	ctx, cancel := context.WithCancel(context.Background())
	logger, logs := asynclog.New(o.Logger)
	c := &core{
		ctx: ctx, cancel: cancel, logger: logger, logs: logs, options: o,
		verifier: o.Verifier, subject: o.Subject, maxLagBytes: o.MaxLagBytes, retention: o.ResumeRetention,
		interceptors: plugged.Interceptors, serializers: plugged.Serializers, serializer: ser,
		hurried: make(chan bool, 2), finished: make(chan struct{}),
		channels: map[string]*channel{}, leaving: map[string]chan struct{}{}, sockets: map[*Websocket]struct{}{},
		pool: socket.NewPool(0, o.PingInterval), system: newSystem(),
	}
	c.peers = c.newPeers()
	if o.ResumeRetention > 0 {
		c.log, c.ownLog = o.Log, o.Log == nil
		c.shared, _ = o.Log.(eventlog.Shared)
		if c.ownLog {
			c.log = eventlog.NewMemory(&eventlog.MemoryOptions{Retention: o.ResumeRetention})
		}
	}
	c.events = fanout.Options{
		Log: c.log, Shared: c.shared, SoleWriter: c.ownLog, Retention: o.ResumeRetention, MaxLagBytes: o.MaxLagBytes, Pool: c.pool,
	}
	if c.ownLog { // which drops what is too old by a clock that nobody can set
		c.events.Retention = 0
	}
	return c
}

func hooksOf(hub any) hooks {
	h, _ := hub.(hooks)
	return h
}

func (c *core) handle(route rpc.Route) {
	c.routesMu.Lock()
	defer c.routesMu.Unlock()
	if c.methods != nil {
		panic(fmt.Sprintf("durableobject: Handle: %s: clients have connected", route.Path()))
	}
	if route.TakesEvents() {
		panic(fmt.Sprintf("durableobject: Handle: %s: the input of a method cannot be a stream of events", route.Path()))
	}
	c.routes = append(c.routes, route)
	rpc.NewRouter(c.routes...) // panics where the path is taken, at the caller
}

func (c *core) router() *rpc.Router {
	c.routesMu.Lock()
	defer c.routesMu.Unlock()
	if c.methods == nil {
		c.methods = rpc.NewRouter(c.routes...)
	}
	return c.methods
}
