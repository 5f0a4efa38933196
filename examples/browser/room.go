package main

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/rpc"
)

// Room is a durable object: everybody in it receives the events that are published on it,
// and may call its methods.
type Room struct {
	*durableobject.Object[Event]
}

// Say publishes lines, one after the other. When it returns each is stored once, however
// often the page has sent it.
func (r *Room) Say(ctx context.Context, ws *durableobject.Websocket, in SayInput) (rpc.Void, error) {
	for _, line := range in.Lines {
		m := &Message{Key: line.Key, From: name(ws), Text: line.Text, At: time.Now()}
		key := durableobject.JoinKey(m.From, m.Key) // so that nobody can use the key of somebody else
		if err := r.PublishEvent(ctx, Event{Said: m}, durableobject.WithIdempotencyKey(key)); err != nil {
			return rpc.Void{}, err
		}
	}
	return rpc.Void{}, nil
}

// Typing sends the caller's name to the others who are connected now. It is not stored, so
// it does not use the log.
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

// People streams the people who join and leave, on all nodes. Somebody is present while one
// of their pages is connected.
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

// nameIn returns the name in the attachment of a token. This server signs only tokens with
// names. Another one must not end the list of everybody else.
func nameIn(att json.RawMessage) string {
	var user User
	if err := json.Unmarshal(att, &user); err != nil || user.Name == "" {
		return "somebody"
	}
	return user.Name
}
