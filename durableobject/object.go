package durableobject

import (
	"context"
	"iter"
)

// Object is a channel whose events are of type T: events that are published on it are sent
// to the sockets that are connected with a token for it. It is oRPC's DurableIteratorObject.
//
// A [Namespace] creates objects. Embed *Object[T] in your own type to add state, methods and
// hooks to the object, or use it directly. It is safe for concurrent use. It remains valid
// after an eviction: the next use creates its channel again.
type Object[T any] struct {
	channels *channels
	name     string
}

// Hub is implemented by the types of a namespace's objects: *Object[T], and types that embed
// it, which may declare their own OnSubscribed, OnDisconnected, OnJoined, OnLeft and
// OnEvicted. No other types can implement it.
type Hub[T any] interface {
	OnSubscribed(ctx context.Context, ws *Websocket, r Resume) error
	OnDisconnected(ctx context.Context, ws *Websocket)
	OnJoined(ctx context.Context, m Member)
	OnLeft(ctx context.Context, m Member)
	OnEvicted(ctx context.Context)
	object() *Object[T]
}

// Channel returns the object's name, which is the channel in its tokens.
func (o *Object[T]) Channel() string { return o.name }

// OnSubscribed is called when a socket has subscribed and the events that it missed have been
// sent. Live events wait until it returns, for at most Options.HookTimeout, so events that it
// sends with [Websocket.Send] arrive before them. If it returns an error or panics, the socket
// is closed with code 1011 and the client tries again. ctx ends with the subscription. The
// default does nothing; declare the method on your own type to replace it.
func (o *Object[T]) OnSubscribed(context.Context, *Websocket, Resume) error { return nil }

// OnDisconnected is called once for each socket when it has closed, whether it had a
// subscription or not. ctx has the values of HandlerOptions.Context and does not end. The
// default does nothing.
func (o *Object[T]) OnDisconnected(context.Context, *Websocket) {}

// OnEvicted is called when the object is removed from memory because it has not been used for
// Options.IdleTimeout, or because the namespace shuts down. It runs on a separate goroutine,
// so it may block. ctx ends after Options.HookTimeout. Meanwhile the channel may have a new
// object. The default does nothing.
func (o *Object[T]) OnEvicted(context.Context) {}

// Websockets returns the sockets that are currently connected, whether they have a
// subscription or not: those with at least one of the tags or, without tags, all of them.
// In contrast, [WithTags] without tags selects no clients.
func (o *Object[T]) Websockets(tags ...string) iter.Seq[*Websocket] {
	return o.channels.websockets(o.name, tags)
}

func (o *Object[T]) object() *Object[T] { return o }
