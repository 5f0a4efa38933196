package main

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/go-orpc/durable-iterator/durableiterator"
	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

const (
	// retention is how long a client may be away without missing events.
	retention = 2 * time.Minute
	// kept is how long the log keeps them, for the history.
	kept = 24 * time.Hour
)

// Room is a durable object: everybody in it receives the events that are published on it,
// and may call those of its methods that their token lists.
type Room struct {
	*durableobject.Object[Message]
}

// Say publishes to all except the caller.
func (r *Room) Say(ctx context.Context, ws *durableobject.Websocket, in Text) (rpc.Void, error) {
	return rpc.Void{}, r.PublishEvent(ctx, Message{name(ws), in.Text}, durableobject.WithExclude(ws))
}

// Whisper publishes to one person, on all of that person's sockets on all nodes: each token
// has a tag for its user.
func (r *Room) Whisper(ctx context.Context, ws *durableobject.Websocket, in WhisperInput) (rpc.Void, error) {
	return rpc.Void{}, r.PublishEvent(ctx, Message{name(ws), "(whispers) " + in.Text}, durableobject.WithTags(userTag(in.To)))
}

// Report publishes to clients whose token has the tag "admin".
func (r *Room) Report(ctx context.Context, ws *durableobject.Websocket, in Text) (rpc.Void, error) {
	return rpc.Void{}, r.PublishEvent(ctx, Message{name(ws), "(reports) " + in.Text}, durableobject.WithTags("admin"))
}

// Announce publishes to all. Only the admin's token allows it.
func (r *Room) Announce(ctx context.Context, ws *durableobject.Websocket, in Text) (rpc.Void, error) {
	return rpc.Void{}, r.PublishEvent(ctx, Message{name(ws), "(announces) " + in.Text})
}

// Who returns the names of all connected people, on all nodes. It publishes nothing.
func (r *Room) Who(ctx context.Context, _ *durableobject.Websocket, _ rpc.Void) ([]string, error) {
	present, err := r.Presence(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, member := range present.Members {
		var user User
		if err := json.Unmarshal(member.Att, &user); err != nil {
			return nil, err
		}
		names = append(names, user.Name)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// History returns the last fifty messages that are for the caller, or the fifty before.
func (r *Room) History(ctx context.Context, ws *durableobject.Websocket, in HistoryInput) (HistoryPage, error) {
	page, err := r.Object.History(ctx, durableobject.HistoryOptions{
		Before: cmp.Or(in.Before, durableobject.HistoryNewest), Limit: 50, For: ws,
	})
	lines := make([]Line, 0, len(page.Events))
	for _, e := range page.Events {
		lines = append(lines, Line{e.ID, e.Event})
	}
	return HistoryPage{lines, page.Next}, err
}

// userTag returns the tag of a user's tokens. It differs from the tags of roles.
func userTag(name string) string { return "user:" + name }

func name(ws *durableobject.Websocket) string {
	user, err := token.Att[User](ws.Token())
	if err != nil {
		return "somebody"
	}
	return user.Name
}

// newServer returns the handler of the whole chat, and a function to shut it down. The log
// stores the events for clients that reconnect.
func newServer(secret token.Secret, log eventlog.Log) (http.Handler, func(context.Context) error) {
	rooms := durableobject.NewNamespace(func(_ context.Context, o *durableobject.Object[Message]) (*Room, error) {
		return &Room{o}, nil
	}, &durableobject.Options{
		Verifier: secret, ResumeRetention: retention, Log: log,
		Presence: &durableobject.PresenceOptions{Grace: -1}, // lists only people who are connected now
	})
	durableobject.Handle(rooms, Say, (*Room).Say)
	durableobject.Handle(rooms, Whisper, (*Room).Whisper)
	durableobject.Handle(rooms, Report, (*Room).Report)
	durableobject.Handle(rooms, Announce, (*Room).Announce)
	durableobject.Handle(rooms, Who, (*Room).Who)
	durableobject.Handle(rooms, History, (*Room).History)

	router := rpc.NewRouter(Join.Handler(func(_ context.Context, in JoinInput) (*durableiterator.Subscription[Message], error) {
		options := &durableiterator.Options{Att: User(in), Tags: []string{userTag(in.Name)}}
		methods := []rpc.Method{Say, Whisper, Report, Who, History}
		if in.Name == "admin" { // a real server asks for a password here
			options.Tags = append(options.Tags, "admin")
			methods = append(methods, Announce)
		}
		return durableiterator.New[Message]("lobby", options).RPC(methods...), nil
	}))

	mux := http.NewServeMux()
	mux.Handle("/rpc/", rpc.NewHandler(router, &rpc.HandlerOptions{
		Prefix:  "/rpc",
		Plugins: []rpc.HandlerPlugin{&durableiterator.HandlerPlugin{Signer: secret}},
	}))
	mux.Handle("/room", durableobject.NewHandler(rooms, nil))
	return mux, rooms.Shutdown
}
