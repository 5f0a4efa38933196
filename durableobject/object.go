package durableobject

import (
	"context"
	"iter"
)

// Object is one channel: events that are published on it reach the sockets that are
// connected with a token for it. It is oRPC's DurableIteratorObject. The type of
// its events is T.
//
// A [Namespace] makes objects. Embed *Object[T] in a type of your own to add
// state, methods and hooks to the object, or use it as it is. It is safe for
// concurrent use, and stays valid when it is kept: after an eviction, the next use
// makes its channel again.
type Object[T any] struct {
	channels *channels
	name     string
}

// Hub is the type of the objects of a namespace: an *Object[T], or a type that
// embeds one and may declare its own OnSubscribed, OnDisconnected, OnJoined, OnLeft and
// OnEvicted.
// Only such types satisfy it.
type Hub[T any] interface {
	OnSubscribed(ctx context.Context, ws *Websocket, r Resume) error
	OnDisconnected(ctx context.Context, ws *Websocket)
	OnJoined(ctx context.Context, m Member)
	OnLeft(ctx context.Context, m Member)
	OnEvicted(ctx context.Context)
	object() *Object[T]
}

// Channel returns the object's name, which is the channel of its tokens.
func (o *Object[T]) Channel() string { return o.name }

// OnSubscribed is called when a socket has subscribed and has been sent the events that
// it missed. Live events wait for it to return, at most Options.HookTimeout, so events
// that it sends with [Websocket.Send] arrive before them. An error or a panic closes
// the socket with 1011; the client tries again. ctx ends with the subscription.
// The default does nothing; declare the method on your own type to replace it.
func (o *Object[T]) OnSubscribed(context.Context, *Websocket, Resume) error { return nil }

// OnDisconnected is called once for each socket when it has closed, subscribed or
// not. ctx has the values of UpgradeOptions.Context and does not end. The default does
// nothing.
func (o *Object[T]) OnDisconnected(context.Context, *Websocket) {}

// OnEvicted is called when the object is dropped from memory because it has not been
// used for Options.IdleTimeout, or because the namespace shuts down. It runs on a
// goroutine of its own, so it may block; its ctx ends after Options.HookTimeout.
// The channel may have a new object by then. The default does nothing.
func (o *Object[T]) OnEvicted(context.Context) {}

// Websockets returns the sockets that are connected now, subscribed or not: those
// with one of the tags, or all of them if there are no tags. An empty slice of tags
// is no tags, as with any variadic function; it differs in that from [WithTags],
// where no tags are no clients.
func (o *Object[T]) Websockets(tags ...string) iter.Seq[*Websocket] {
	return o.channels.websockets(o.name, tags)
}

func (o *Object[T]) object() *Object[T] { return o }
