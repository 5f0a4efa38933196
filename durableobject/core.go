package durableobject

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/internal/bridge"
	"github.com/go-orpc/durable-iterator/internal/fanout"
	"github.com/go-orpc/durable-iterator/internal/faults"
	"github.com/go-orpc/durable-iterator/internal/serializer"
	"github.com/go-orpc/durable-iterator/internal/socket"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/rpc/transport"
)

// core is the part of a namespace that its channels and sockets share. It does not refer to them.
type core struct {
	base

	log        eventlog.Log    // nil if events are not kept
	shared     eventlog.Shared // log, if other nodes append to it; otherwise nil
	ownLog     bool            // log was created by the namespace
	keyed      bool            // log remembers keys
	guarded    *guardedLog     // log, if it is the application's; otherwise nil
	events     fanout.Options  // of the channels
	serializer *serializer.Serializer
	pool       *socket.Pool
	newHub     func(ctx context.Context, channel string) (any, error)
	methods    methods
	system     *rpc.Router // the procedures of every socket except "subscribe"
	peers      *transport.ServerPeers

	refusedConns atomic.Int64 // number of connections of refused clients
	refusals     refusals
	counters     counters

	nodes       *nodes
	revocations revocations
	members     *members // nil without Options.Presence
}

// newCore returns a core without newHub, system and peers.
func newCore(options *Options) (*core, error) {
	o, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	plugged := rpc.HandlerOptions{Interceptors: o.Interceptors, Serializers: o.Serializers, Validator: o.Validator}
	for _, plugin := range o.Plugins {
		plugin.InitHandler(&plugged)
	}
	var list faults.List
	if faults.Nil(&list, "an interceptor of a plugin", plugged.Interceptors); len(list) > 0 {
		return nil, list.Err()
	}
	o.Interceptors, o.Serializers, o.Validator = plugged.Interceptors, plugged.Serializers, plugged.Validator
	ser, err := serializer.New(o.Serializers...)
	if err != nil {
		return nil, fmt.Errorf("serializers: %w", err)
	}
	c := &core{serializer: ser, pool: socket.NewPool(0, o.PingInterval), refusals: newRefusals()}
	c.begin(o)
	c.counters = newCounters(c.pool.Size())
	if o.ResumeRetention > 0 {
		if c.ownLog = o.Log == nil; c.ownLog {
			c.log = eventlog.NewMemory(&eventlog.MemoryOptions{Retention: o.ResumeRetention, KeyWindow: o.IdempotencyWindow})
		} else {
			c.guarded, c.shared = guardLog(o.Log, c.logger)
			c.log = c.guarded
			c.watchLog(o.Log)
			if kept := eventlog.Retention(o.Log); kept > 0 && kept < o.ResumeRetention {
				c.logger.Warn("the log keeps events for less than ResumeRetention: resumes after that are truncated",
					"log", kept, "resume_retention", o.ResumeRetention)
			}
		}
		c.keyed = eventlog.KeyWindow(c.log) > 0
	}
	c.events = fanout.Options{
		Log: c.log, Shared: c.shared, SoleWriter: c.ownLog,
		Retention: o.ResumeRetention, MaxLagBytes: o.MaxLagBytes, Pool: c.pool,
		Latest: o.Latest, LatestScan: o.LatestScan, After: c.after,
	}
	c.nodes = newNodes(&c.base, c.shared != nil)
	if o.Presence != nil {
		c.members = newMembers(&c.base, c.nodes, o.Presence)
	}
	if c.ownLog { // it drops old events itself, by a monotonic clock
		c.events.Retention = 0
	}
	return c, nil
}

// watchLog warns if another namespace of the process uses the log, until c.cancel is called.
func (c *core) watchLog(log eventlog.Log) {
	shared, leave := useLog(log)
	if shared {
		c.logger.Warn("another namespace uses the same log: they have each other's events, unless each uses an eventlog.Prefix")
	}
	cancel := c.cancel
	c.cancel = func() {
		leave()
		cancel()
	}
}

// encode encodes an event. It recovers from panics of the application's serializers.
func (c *core) encode(event any) (data []byte, err error) {
	defer bridge.RecoverTo(&err)
	return c.serializer.Append(nil, event)
}

// shuttingDown returns err, the error of a method. If err only means that the namespace is
// shutting down, it returns an *rpc.Error for the client, which is not logged as a failure.
func (c *core) shuttingDown(err error) error {
	if !errors.Is(err, ErrClosed) {
		return err
	}
	if _, answered := errors.AsType[*rpc.Error](err); answered || !c.isClosing() {
		return err // it may be of another namespace
	}
	return (&rpc.Error{Code: rpc.CodeServiceUnavailable, Message: "Shutting down"}).WithCause(err)
}

// methods has the methods that were registered with Handle. None can be added after the first call
// of one.
type methods struct {
	mu     sync.Mutex // guards routes until router is created from them
	routes []rpc.Route
	router *rpc.Router
}

// add adds a method. The errors follow the path of the method.
func (m *methods) add(route rpc.Route) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.router != nil {
		return errors.New("is registered after a client has called a method")
	}
	if route.TakesEvents() {
		return errors.New("has a stream of events as its input, which methods cannot have")
	}
	for _, other := range m.routes {
		switch path, known := route.Path(), other.Path(); {
		case path == known:
			return errors.New("is registered twice")
		case strings.HasPrefix(path, known+"."), strings.HasPrefix(known, path+"."):
			return fmt.Errorf("conflicts with %s: a method cannot be a group too", known)
		}
	}
	m.routes = append(m.routes, route)
	return nil
}

// complete returns the router of the methods.
func (m *methods) complete() *rpc.Router {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.router == nil {
		m.router = rpc.NewRouter(m.routes...)
	}
	return m.router
}
