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

// WithIdempotencyKey stores the event once for each key of the object: a publisher that does
// not know whether its event was stored publishes it again, with the same key. If the log
// remembers the key, nothing is stored and nobody is sent anything, and PublishEvent
// succeeds as the first time, whatever the event and its other options are this time. If
// the first one is being stored meanwhile, PublishEvent waits for its outcome.
//
// A key is remembered for 2 minutes, or for Options.ResumeRetention if that is shorter;
// Options.IdempotencyWindow and the options of the logs make it longer. A log that keeps
// events over a crash keeps their keys as well, and nodes that share a log share keys.
//
// The key is any string of up to 128 bytes, or PublishEvent returns eventlog.ErrKey. "" is no
// key, as [CallKey] returns for a call without one. Without events that are kept, and with a
// log that has no keys, PublishEvent returns [ErrNoKeys], also for "", so that it shows with
// the first call; while the log has no place for another key, eventlog.ErrTooManyKeys. The last
// eighth of the places is for objects with few keys, so that one with many leaves some to the
// others. Never use a key of a client's alone, with which it could suppress the events of
// others: see [CallKey] and [JoinKey].
//
// oRPC has no counterpart.
func WithIdempotencyKey(key string) PublishOption {
	return publishOptionFunc(func(p *publication) { p.key, p.keyed = key, true })
}

// WithEventID stores the id of the event in *id when PublishEvent returns nil: that which
// clients see, and for a repetition under [WithIdempotencyKey] that of the first event. It
// is that of the metadata, or "", where events are not kept. oRPC has no counterpart.
func WithEventID(id *string) PublishOption {
	return publishOptionFunc(func(p *publication) { p.id = id })
}

// CallKey returns a key for an event that a method publishes, or "" if the client has sent
// no idempotency key with the call that ctx is of, or it did not come over a socket:
//
//	func (r *Room) Say(ctx context.Context, _ *durableobject.Websocket, in Message) (rpc.Void, error) {
//		return rpc.Void{}, r.PublishEvent(ctx, in, durableobject.WithIdempotencyKey(durableobject.CallKey(ctx)))
//	}
//
// When the connection is lost during a call, and the client repeats it as rpc.WithRetry
// does, the event is published once. The key is that of the call (see rpc.WithIdempotencyKey)
// joined with the channel, the path of the method and the caller: the subject of its token where
// Options.Subject returns one, else its id. So other clients that send the same key
// publish events of their own. Where ids are not secret, set Options.Subject. A client can
// make as many keys as it can publish events: see eventlog.ErrTooManyKeys.
//
// A method that publishes several events makes a key for each, with [JoinKey]. So does a
// handler that is called over HTTP, where only the application knows who the caller is.
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
		caller.ID = "" // it may come back with another
	}
	return joinKey(state.ws.ch.name, strings.Join(call.Path, "."), caller.Subject, caller.ID, key)
}

// JoinKey returns a key for [WithIdempotencyKey] that stands for all parts: other parts, and the same
// ones in another order, have another key. They may be of any length. It returns "" if a
// part is "", and if there are none, so that what is made of an absent key is none.
//
//	durableobject.JoinKey(durableobject.CallKey(ctx), "second event")
//
// For a call over HTTP the parts are the user, as the application has authenticated it, the procedure
// and the IdempotencyKey of the rpc.Call.
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
