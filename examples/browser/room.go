package main

import (
	"context"
	"errors"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

// Room is a durable object: everybody in it gets what is published on it, and may call
// its methods.
type Room struct {
	*durableobject.Object[Event]

	roster roster
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

// People streams the names of those who are here: now, and whenever that changes. A slow
// page gets the newest list, not every one in between.
func (r *Room) People(
	ctx context.Context, _ *durableobject.Websocket, _ rpc.Void, w *rpc.EventWriter[[]string],
) (rpc.Void, error) {
	for {
		names, changed := r.roster.names()
		if err := w.Send(names); err != nil {
			return rpc.Void{}, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return rpc.Void{}, ctx.Err()
		}
	}
}

// OnSubscribed implements durableobject.Hub.
//
//nolint:unparam // of the interface
func (r *Room) OnSubscribed(_ context.Context, ws *durableobject.Websocket, _ durableobject.Resume) error {
	r.roster.add(ws)
	return nil
}

// OnDisconnected implements durableobject.Hub.
func (r *Room) OnDisconnected(_ context.Context, ws *durableobject.Websocket) { r.roster.remove(ws) }

func name(ws *durableobject.Websocket) string {
	user, err := token.Att[User](ws.Token())
	if err != nil {
		return "somebody"
	}
	return user.Name
}
