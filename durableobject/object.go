package durableobject

import (
	"context"
	"iter"
)

// Object is one channel: what is published on it reaches the sockets that are
// connected with a token for it. It is oRPC's DurableIteratorObject. The type of
// its events is T.
//
// A [Namespace] makes objects. Embed *Object[T] in a type of your own to give
// the object state, methods and hooks, or use it as it is. It is safe for
// concurrent use, and stays valid when it is kept: the channel behind it is
// found anew after it was evicted.
type Object[T any] struct {
	core *core
	name string
}

// Hub is the type of the objects of a namespace: an *Object[T], or a type that
// embeds one and may declare its own OnSubscribed, OnDisconnected and OnEvicted.
// Only such types satisfy it.
type Hub[T any] interface {
	OnSubscribed(ctx context.Context, ws *Websocket, r Resume) error
	OnDisconnected(ctx context.Context, ws *Websocket)
	OnEvicted(ctx context.Context)
	object() *Object[T]
}

// hooks are what the library calls of a hub.
type hooks interface {
	OnSubscribed(ctx context.Context, ws *Websocket, r Resume) error
	OnDisconnected(ctx context.Context, ws *Websocket)
	OnEvicted(ctx context.Context)
}

// Resume says how a subscription went on from an earlier one.
type Resume struct {
	// LastEventID is the last event that the client says it has seen; empty if it
	// named none.
	LastEventID string
	// Replayed is how many events it was sent since.
	Replayed int
	// Truncated is set if some events are gone that the client should have got,
	// or may be: with resume off, always. Send a snapshot then.
	Truncated bool
}

// Channel gives the object's name, which is the token's channel.
func (o *Object[T]) Channel() string { return o.name }

// OnSubscribed is called when a socket has subscribed and has been sent what it
// missed. Live events wait for it to return, at most Options.HookTimeout, so what
// it sends with [Websocket.Send] arrives before them. An error or a panic closes
// the socket with 1011; the client tries again. ctx ends with the subscription.
// The default does nothing; declare the method on your own type to replace it.
func (o *Object[T]) OnSubscribed(context.Context, *Websocket, Resume) error { return nil }

// OnDisconnected is called once for each socket when it is gone, subscribed or
// not. The default does nothing.
func (o *Object[T]) OnDisconnected(context.Context, *Websocket) {}

// OnEvicted is called when the object is dropped from memory because nobody has
// used it for Options.IdleTimeout, or because the namespace shuts down. It runs on a
// goroutine of its own, so it may block; its ctx ends after Options.HookTimeout.
// Another object may by then stand for the channel. The default does nothing.
func (o *Object[T]) OnEvicted(context.Context) {}

// Websockets gives the sockets that are connected now, subscribed or not: those
// with one of the tags, or all of them if none is given.
func (o *Object[T]) Websockets(tags ...string) iter.Seq[*Websocket] {
	return func(yield func(*Websocket) bool) {
		ch := o.core.lookup(o.name)
		if ch == nil {
			return
		}
		for _, ws := range ch.connected(tags) {
			if !yield(ws) {
				return
			}
		}
	}
}

func (o *Object[T]) object() *Object[T] { return o }
