package durableobject

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-orpc/durable-iterator/rpc"
)

// Namespace makes and holds the objects of one class, one for each channel: oRPC's
// DurableObjectNamespace. H is the type of the objects. It is safe for concurrent
// use; end it with Shutdown.
type Namespace[H any] struct{ class *class }

// NewNamespace returns a namespace. It calls newHub when a channel is first used,
// with the live object to embed; the hub that newHub returns must be that object or
// embed it. newHub must not block for long, since the users of the channel wait for
// it; if it fails, they get the error and the next user tries again.
//
// A newHub may publish with the object that it was given, and may get other objects.
// A Get that would wait for this very newHub, directly or through the newHub of other
// objects, fails with [ErrRecursive]. It is recognized by the ctx of newHub or by its
// goroutine. On another goroutine and with another context it waits until that context
// ends.
//
// If the objects have no state and no methods, return the object itself:
//
//	durableobject.NewNamespace(func(_ context.Context, o *durableobject.Object[Message]) (*durableobject.Object[Message], error) {
//		return o, nil
//	}, options)
//
// It panics if newHub is nil, and on options that are wrong: without a Verifier, with negative
// numbers, a nil interceptor or plugin, serializers that contradict each other. oRPC: the class
// that extends DurableIteratorObject.
func NewNamespace[T any, H Hub[T]](newHub func(context.Context, *Object[T]) (H, error), o *Options) *Namespace[H] {
	if newHub == nil {
		panic("durableobject: NewNamespace: newHub is nil")
	}
	c, err := newClass(o, func(ctx context.Context, c *class, channel string) (any, error) {
		object := &Object[T]{channels: &c.channels, name: channel}
		hub, err := newHub(ctx, object)
		if err != nil {
			return nil, err
		}
		if any(hub) == nil || hub.object() != object {
			return nil, errors.New("newHub did not embed the object that it was given")
		}
		return hub, nil
	})
	if err != nil {
		panic(fmt.Sprintf("durableobject: NewNamespace: %v", err))
	}
	c.connectNodes()
	c.startTasks()
	return &Namespace[H]{c}
}

// Get returns the object of a channel, and makes it if it is not in memory. Objects
// that are not used are evicted, with the state that they hold: get them again
// rather than keep them. The error is that of newHub, of the log, of ctx,
// [ErrRecursive] or [ErrClosed].
func (ns *Namespace[H]) Get(ctx context.Context, channel string) (H, error) {
	var zero H
	ch, err := ns.class.channels.acquireHub(ctx, channel)
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
// socket by clients whose token allows it. fn is a method expression: it is called with
// the object, the caller's socket and the input. It runs concurrently with itself
// and with everything else. An event that it publishes with its ctx reaches the
// caller's socket before its answer does. The interceptors run around it, after
// the input was decoded and checked.
//
// Handle panics if an interceptor is nil, if the path is taken, if a client has called
// a method, and if the input is a stream of events, which the protocol of methods cannot
// carry.
func Handle[H, In, Out any](ns *Namespace[H], p rpc.Procedure[In, Out],
	fn func(H, context.Context, *Websocket, In) (Out, error), ics ...rpc.Interceptor,
) {
	ns.class.handle(p.Handler(func(ctx context.Context, in In) (Out, error) {
		hub, call, err := target[H](ctx, p.Path())
		if err != nil {
			var zero Out
			return zero, err
		}
		out, err := fn(hub, ctx, call.ws, in)
		return out, call.ws.core().shuttingDown(err)
	}, ics...))
}

// HandleEvents registers a method whose output is a stream of events, which fn sends
// with w. Otherwise it is as [Handle]: an event of the stream, too, comes after the
// events that fn has published before it.
//
// A stream waits while the client has too much unread, as all answers do. Options.MaxStreams
// bounds the streams of a socket.
func HandleEvents[H, In, T, R any](ns *Namespace[H], p rpc.EventProcedure[In, T, R],
	fn func(H, context.Context, *Websocket, In, *rpc.EventWriter[T]) (R, error), ics ...rpc.Interceptor,
) {
	// Clients see the errors of "call", which declares none: see undeclared in procedures.go.
	bare := rpc.DefineEvents[In, T, R](p.Path())
	ns.class.handle(bare.Handler(func(ctx context.Context, in In, w *rpc.EventWriter[T]) (R, error) {
		hub, call, err := target[H](ctx, p.Path())
		if err != nil {
			var zero R
			return zero, err
		}
		result, err := fn(hub, ctx, call.ws, in, w)
		return result, call.ws.core().shuttingDown(err)
	}, ics...))
}

func (c *class) handle(route rpc.Route) {
	if err := c.methods.add(route); err != nil {
		panic(fmt.Sprintf("durableobject: Handle: %s: %v", route.Path(), err))
	}
}

// target returns the object that a method is called on, and the call.
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
func (ns *Namespace[H]) Drain() { ns.class.drain() }

// Shutdown drains, then waits for the sockets to close and for calls and hooks to
// return, evicts all objects, and waits for OnEvicted. A log of the namespace's own
// is closed, and no goroutine is left.
//
// If ctx ends before, the connections that are left are cut off and Shutdown returns
// an error at once, even if methods and hooks hang. The error wraps the cause of ctx
// and names the methods and hooks that still run, with their channels; they go on.
// Objects are evicted all the same: unused ones after half of the time until the
// deadline of ctx, the others when ctx ends. Shutdown may be called again to continue
// waiting.
func (ns *Namespace[H]) Shutdown(ctx context.Context) error { return ns.class.shutdown(ctx) }

// Disconnect closes the sockets that match, on all nodes, with a WebSocket close code and a
// reason, and returns how many the nodes have closed, those included that are admitted and
// not open yet. It does not keep clients from coming back, which most do at once: see
// [Namespace.Revoke]. Nodes that are connected by no bus, as with an eventlog.Shared that
// has none and without Options.Bus, are not asked. Codes are as in [Websocket.Close]. This
// library's clients take 4000 plus an HTTP status for a refusal with that status, and do not
// come back after 4403 and 4410. A reason longer than 123 bytes is cut.
//
// The error wraps [ErrWho] or [ErrCloseCode], and nothing is closed then. It wraps
// [ErrSilent] if a node did not answer within 600 ms, and is that of the bus or of ctx if
// the other nodes could not be asked; n counts those that have answered.
func (ns *Namespace[H]) Disconnect(ctx context.Context, w Who, code int, reason string) (n int, err error) {
	if n, err = ns.class.disconnect(ctx, w, code, reason); err != nil {
		return n, fmt.Errorf("durableobject: disconnect: %w", err)
	}
	return n, nil
}

// Revoke refuses the tokens that match until a time, which need not be later than they
// expire: clients that connect with one, or send one over an open socket, get 401, and open
// sockets are closed with 1008 "Token expired". Clients then ask for a new token, which is
// where the application decides whether they get one. A revocation that was made before for
// the same selector is extended, never cut short, on this node or on another. A time that is
// more than 100 years ahead counts as 100 years.
//
// Revoke returns when the revocation is stored and in force on this node. The others obey
// within a second, or 2.5 s if a message is lost, and nodes that start later from the
// beginning. A node that has not reached the bus for 10 s accepts nobody, with 503. The
// revocation is kept by Options.Bus, or by the bus of Options.Log: a filelog.Log keeps it
// beside its segments. Without any it ends with the process, and no other node learns of it.
//
// The error wraps [ErrWho], [ErrTooManyRevocations], or is that of the bus, and the
// revocation may then be in force or not. It is an error if until has passed.
func (ns *Namespace[H]) Revoke(ctx context.Context, w Who, until time.Time) error {
	if err := ns.class.revoke(ctx, w, until); err != nil {
		return fmt.Errorf("durableobject: revoke: %w", err)
	}
	return nil
}
