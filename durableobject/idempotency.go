package durableobject

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"slices"
	"strings"

	"github.com/go-orpc/durable-iterator/rpc"
)

// WithIdempotencyKey sets a key for which the object stores only one event. A publisher that
// does not know whether its event was stored can publish it again with the same key. If the
// log remembers the key, PublishEvent stores and sends nothing and returns nil, whatever the
// event and the other options are. If the first event with the key is still being stored,
// PublishEvent waits for the result.
//
// A key is remembered for 2 minutes, or for Options.ResumeRetention if that is shorter;
// Options.IdempotencyWindow and the options of the logs set another time. A log that keeps
// events after a crash keeps their keys too, and nodes that share a log share keys.
//
// A key has at most 128 bytes; for a longer one PublishEvent returns eventlog.ErrKey. The
// empty string means no key; [CallKey] returns it for a call without one. If events are not
// kept, or the log does not support keys, PublishEvent returns [ErrNoKeys], even for the empty
// string. If the log has no capacity for another key, it returns eventlog.ErrTooManyKeys; the
// last eighth of the capacity is reserved for objects with few keys. Do not use a key that a
// client has sent without adding to it, since a client could suppress the events of others:
// see [CallKey] and [JoinKey].
//
// oRPC has no counterpart.
func WithIdempotencyKey(key string) PublishOption {
	return publishOptionFunc(func(p *publication) { p.key, p.keyed = key, true })
}

// WithEventID stores the id of the event, as clients receive it, in *id when PublishEvent
// returns nil. For a repetition with [WithIdempotencyKey] it is the id of the first event. If
// events are not kept, it is that of the metadata, or "". oRPC has no counterpart.
func WithEventID(id *string) PublishOption {
	return publishOptionFunc(func(p *publication) { p.id = id })
}

// CallKey returns a key for an event that a method publishes. ctx is the context of the call.
// It returns "" if the client has sent no idempotency key, or if the call was not made over the
// socket of an object:
//
//	func (r *Room) Say(ctx context.Context, _ *durableobject.Websocket, in Message) (rpc.Void, error) {
//		return rpc.Void{}, r.PublishEvent(ctx, in, durableobject.WithIdempotencyKey(durableobject.CallKey(ctx)))
//	}
//
// If the connection is lost during a call, and the client repeats it, for example with
// rpc.WithRetry, the event is published once. The key is made of that of the call (see
// rpc.WithIdempotencyKey), the channel, the path of the method and the caller: the subject of
// its token if Options.Subject returns one, and otherwise its id. So other clients that send
// the same key publish their own events. If ids are not secret, set Options.Subject. A client
// can use as many keys as it can publish events: see eventlog.ErrTooManyKeys.
//
// A method that publishes several events must make a key for each, with [JoinKey]. So must a
// handler that is called over HTTP, because only the application knows its caller.
func CallKey(ctx context.Context) string {
	call, ok := rpc.CallOf(ctx)
	if !ok {
		return ""
	}
	state, ok := call.State().(*callState)
	key := call.IdempotencyKey()
	if !ok || key == "" {
		return ""
	}
	caller := state.ws.recipient
	if caller.Subject != "" {
		caller.ID = "" // the client may reconnect with another id
	}
	return joinKey(state.ws.ch.name, strings.Join(call.Path, "."), caller.Subject, caller.ID, key)
}

// JoinKey returns a key for [WithIdempotencyKey] that is made of all parts, which may have any
// length. Other parts, or the same parts in another order, result in another key. If a part is
// "", or if there are no parts, it returns "", so that an absent key remains absent.
//
//	durableobject.JoinKey(durableobject.CallKey(ctx), "second event")
//
// For a call over HTTP, join the user, as authenticated by the application, the path of the
// procedure and the IdempotencyKey of the rpc.Call.
func JoinKey(parts ...string) string {
	if len(parts) == 0 || slices.Contains(parts, "") {
		return ""
	}
	return joinKey(parts...)
}

func joinKey(parts ...string) string {
	var b []byte
	for _, part := range parts {
		b = append(binary.AppendUvarint(b, uint64(len(part))), part...)
	}
	sum := sha256.Sum256(b)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
