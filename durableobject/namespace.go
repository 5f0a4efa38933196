package durableobject

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/go-orpc/durable-iterator/rpc"
)

// Namespace creates and holds objects of type H, one for each channel. It is oRPC's
// DurableObjectNamespace. It is safe for concurrent use. Call Shutdown to end it.
type Namespace[H any] struct{ class *class }

// NewNamespace returns a namespace. When a channel is first used, it calls newHub with the
// channel's object; newHub must return that object or a value that embeds it. newHub must
// not block for long, because the users of the channel wait for it. If it fails, they
// receive the error, and newHub is called again for the next user.
//
// newHub may use the object that it is called with at once: it may publish, and it may compute the
// state of the object with [Object.History]. It may get other objects.
// A Get that would wait for the newHub that calls it, directly or through the newHub of
// other objects, returns [ErrRecursive]. This is detected by the ctx of newHub or by its
// goroutine. A Get on another goroutine with another context waits until that context ends.
//
// If the objects have no state and no methods, return the object itself:
//
//	durableobject.NewNamespace(func(_ context.Context, o *durableobject.Object[Message]) (*durableobject.Object[Message], error) {
//		return o, nil
//	}, options)
//
// NewNamespace panics if newHub is nil or if options are wrong: no Verifier, negative numbers,
// a nil interceptor or plugin, or serializers that contradict each other. Its counterpart in
// oRPC is a class that extends DurableIteratorObject.
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
		if err := checkHub(hub, object); err != nil {
			return nil, err
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

// checkHub returns an error unless hub is object or embeds it.
func checkHub[T any](hub Hub[T], object *Object[T]) error {
	if v := reflect.ValueOf(hub); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		return errors.New("newHub returned nil")
	}
	embedded := false
	err := try(func() error { // an embedded pointer to the Object may be in a struct that is nil
		embedded = hub.object() == object
		return nil
	})
	if err != nil || !embedded {
		return errors.New("newHub did not embed the object that it was called with")
	}
	return nil
}

// Get returns the object of a channel, and creates it if it is not in memory. Objects that
// are not used are evicted, together with their state: call Get again rather than keep
// them. The error is that of newHub, of the log or of ctx, [ErrRecursive] or [ErrClosed].
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

// Handle registers a method of the namespace's objects, which clients whose token allows it
// can call over their socket. fn is a method expression: it is called with the object, the
// caller's socket and the input. Calls run concurrently. An event that fn publishes with its
// ctx is sent to the caller's socket before the answer. The interceptors run around fn, after
// the input was decoded and validated.
//
// Handle panics if an interceptor is nil, if the path is already registered, if a client has
// already called a method, and if the input is a stream of events, which oRPC's protocol of
// methods does not support.
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

// HandleEvents registers a method whose output is a stream of events, which fn sends with w.
// In all other respects it is like [Handle]. An event of the stream is sent after the events
// that fn has published before it.
//
// Like all answers, a stream waits while the client has too many unread bytes.
// Options.MaxStreams limits the number of streams of a socket.
func HandleEvents[H, In, T, R any](ns *Namespace[H], p rpc.EventProcedure[In, T, R],
	fn func(H, context.Context, *Websocket, In, *rpc.EventWriter[T]) (R, error), ics ...rpc.Interceptor,
) {
	// Errors that the method declares are not sent as such: see undeclared in procedures.go.
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
		panic(fmt.Sprintf("durableobject: Handle: %s %v", route.Path(), err))
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

// Drain begins a shutdown: from now on no object is created and no socket is accepted, and
// every socket is closed with code 1012, after which clients reconnect. It does not wait, so
// it can be passed to http.Server.RegisterOnShutdown.
func (ns *Namespace[H]) Drain() { ns.class.drain() }

// Shutdown calls Drain, waits for the sockets to close and for calls and hooks to return,
// evicts all objects, and waits for OnEvicted. It closes the log if the namespace has created
// it. No goroutine is left.
//
// If ctx ends before that, the remaining connections are cut off and Shutdown returns an error
// at once, even if methods and hooks hang. The error wraps the cause of ctx and lists the
// methods and hooks that are still running, with their channels; they continue. Objects are
// evicted nevertheless: unused ones after half of the time until the deadline of ctx, the
// others when ctx ends. Shutdown may be called again to continue waiting.
func (ns *Namespace[H]) Shutdown(ctx context.Context) error { return ns.class.shutdown(ctx) }

// Disconnect closes the sockets that match, on all nodes, with a WebSocket close code and a
// reason, and returns their number, including sockets that were admitted but are not open yet.
// It does not prevent clients from reconnecting, which most do at once: see
// [Namespace.Revoke]. Without Options.Bus and a log that has a bus, only the sockets of this
// node are closed. Valid codes are those of [Websocket.Close]. Clients of this library treat
// 4000 plus an HTTP status as a refusal with that status, and do not reconnect after 4403 and
// 4410. A reason longer than 123 bytes is truncated. The clients leave [Object.Presence] when
// their sockets have closed, without PresenceOptions.Grace.
//
// If the error wraps [ErrWho] or [ErrCloseCode], nothing was closed. It wraps [ErrSilent] if a
// node did not answer within 600 ms, or is that of the bus or of ctx if the other nodes could
// not be asked; n then counts only the sockets of nodes that have answered.
func (ns *Namespace[H]) Disconnect(ctx context.Context, w Who, code int, reason string) (n int, err error) {
	if n, err = ns.class.disconnect(ctx, w, code, reason); err != nil {
		return n, fmt.Errorf("durableobject: disconnect: %w", err)
	}
	return n, nil
}

// Revoke refuses the tokens that match until a time, which does not have to be later than
// their expiry. Clients that connect with such a token, or send one over an open socket, are
// refused with 401, and open sockets are closed with code 1008, "Token expired". Clients then
// request a new token, and the application decides whether they get one. They leave
// [Object.Presence] as after Disconnect. An earlier revocation
// with the same selector is extended, never shortened, on all nodes. A time that is more than
// 100 years in the future counts as 100 years.
//
// Revoke returns when the revocation is stored and in force on this node. Other nodes apply it
// within a second, or 2.5 s if a message is lost; nodes that start later apply it from the
// beginning. A node that has not reached the bus for 10 s refuses all clients with 503. The
// revocation is stored by Options.Bus, or by the bus of Options.Log; a filelog.Log has one.
// Without a bus it is lost when the process exits, and other nodes do not apply it.
//
// The error wraps [ErrWho] or [ErrTooManyRevocations], or is that of the bus; in the last case
// the revocation may be in force or not. It is an error if until has passed.
func (ns *Namespace[H]) Revoke(ctx context.Context, w Who, until time.Time) error {
	if err := ns.class.revoke(ctx, w, until); err != nil {
		return fmt.Errorf("durableobject: revoke: %w", err)
	}
	return nil
}
