package main

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/rpc"
)

// Room is a durable object: everybody in it gets what is published on it, and may call
// its methods.
type Room struct {
	*durableobject.Object[Event]
}

// Say publishes lines, one after the other. When it returns they are in the log, each once,
// however often the page has sent it.
func (r *Room) Say(ctx context.Context, ws *durableobject.Websocket, in SayInput) (rpc.Void, error) {
	for _, line := range in.Lines {
		m := &Message{Key: line.Key, From: name(ws), Text: line.Text, At: time.Now()}
		key := durableobject.JoinKey(m.From, m.Key) // nobody can take the key of somebody else
		if err := r.PublishEvent(ctx, Event{Said: m}, durableobject.WithIdempotencyKey(key)); err != nil {
			return rpc.Void{}, err
		}
	}
	return rpc.Void{}, nil
}

// Typing sends the caller's name to the others who are here now. It is not worth
// keeping, so it does not go through the log.
func (r *Room) Typing(ctx context.Context, ws *durableobject.Websocket, _ rpc.Void) (rpc.Void, error) {
	for other := range r.Websockets() {
		if other == ws {
			continue
		}
		err := other.Send(ctx, Event{Typing: name(ws)})
		if err != nil && !errors.Is(err, durableobject.ErrNotSubscribed) {
			return rpc.Void{}, err
		}
	}
	return rpc.Void{}, nil
}

// People streams who comes and who leaves, on whichever node. Somebody is here as long as
// one of their pages is.
func (r *Room) People(
	ctx context.Context, _ *durableobject.Websocket, _ rpc.Void, w *rpc.EventWriter[Person],
) (rpc.Void, error) {
	pages := map[string]int{}
	for change, err := range r.PresenceChanges(ctx) {
		if err != nil {
			return rpc.Void{}, err
		}
		who := nameIn(change.Member.Att)
		before := pages[who]
		switch change.Kind {
		case durableobject.PresenceJoined:
			pages[who]++
		case durableobject.PresenceLeft:
			pages[who]--
		case durableobject.PresenceChanged:
		}
		if is := pages[who] > 0; is != (before > 0) {
			if err := w.Send(Person{who, is}); err != nil {
				return rpc.Void{}, err
			}
		}
	}
	return rpc.Void{}, nil
}

func name(ws *durableobject.Websocket) string { return nameIn(ws.Token().Att) }

// nameIn returns the name in the attachment of a token. One without a name, which this
// server does not sign, must not end the list of everybody else.
func nameIn(att json.RawMessage) string {
	var user User
	if err := json.Unmarshal(att, &user); err != nil || user.Name == "" {
		return "somebody"
	}
	return user.Name
}
