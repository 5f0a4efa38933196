package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/go-orpc/durable-iterator/durableiterator"
	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog/natslog"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

// The contract.
var (
	// Join returns a durable iterator of the room. It is called over HTTP.
	Join = durableiterator.Define[Guest, Message]("join")
	// Say publishes a message. It is called over HTTP, at any replica.
	Say = rpc.Define[Message, rpc.Void]("say")
	// Where returns the name of the replica of a socket. It is called over the socket.
	Where = rpc.Define[rpc.Void, string]("where")
	// Here returns the names of all guests, on all replicas. It is called over a socket.
	Here = rpc.Define[rpc.Void, []string]("here")
)

// Guest is the input of Join. A real service takes the name from its session.
type Guest struct {
	Name string `json:"name" validate:"required,max=64"`
}

// Message is an event.
type Message struct {
	From string `json:"from" validate:"required"`
	Text string `json:"text" validate:"required"`
}

// Room is the object of the channel, one for each replica. State that all replicas share
// belongs into a database.
type Room struct {
	*durableobject.Object[Message]
	replica string
}

// Where returns the name of the replica.
func (r *Room) Where(context.Context, *durableobject.Websocket, rpc.Void) (string, error) {
	return r.replica, nil
}

// Here returns the names of the members, in order of arrival.
func (r *Room) Here(ctx context.Context, _ *durableobject.Websocket, _ rpc.Void) ([]string, error) {
	present, err := r.Presence(ctx)
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(present.Members))
	for _, m := range present.Members {
		var g Guest
		if err := json.Unmarshal(m.Att, &g); err != nil {
			return nil, fmt.Errorf("attachment of a guest: %w", err)
		}
		names = append(names, g.Name)
	}
	return names, nil
}

// retention is how long a client may be away without missing events.
const retention = 10 * time.Minute

// replica is one process of the service. In the demonstration all are in one process.
type replica struct {
	name    string
	nc      *nats.Conn
	log     *natslog.Log
	rooms   *durableobject.Namespace[*Room]
	handler http.Handler
}

func newReplica(ctx context.Context, name, urls string, storedBy int, secret token.Secret) (*replica, error) {
	nc, err := nats.Connect(urls, nats.Name(name), nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1))
	if err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	log, err := openLog(ctx, nc, storedBy)
	if err != nil {
		nc.Close()
		return nil, err
	}
	rooms := newRooms(name, log, secret)
	return &replica{name, nc, log, rooms, newHandler(rooms, secret)}, nil
}

func newRooms(replica string, log eventlog.Log, secret token.Secret) *durableobject.Namespace[*Room] {
	rooms := durableobject.NewNamespace(func(_ context.Context, o *durableobject.Object[Message]) (*Room, error) {
		return &Room{o, replica}, nil
	}, &durableobject.Options{
		Verifier: secret, ResumeRetention: retention, Log: log, Presence: &durableobject.PresenceOptions{},
	})
	durableobject.Handle(rooms, Where, (*Room).Where)
	durableobject.Handle(rooms, Here, (*Room).Here)
	return rooms
}

func newHandler(rooms *durableobject.Namespace[*Room], secret token.Secret) *http.ServeMux {
	router := rpc.NewRouter(
		Join.Handler(func(_ context.Context, in Guest) (*durableiterator.Subscription[Message], error) {
			return durableiterator.New[Message]("lobby", &durableiterator.Options{Att: in}).RPC(Where, Here), nil
		}),
		Say.Handler(func(ctx context.Context, in Message) (rpc.Void, error) {
			room, err := rooms.Get(ctx, "lobby")
			if err != nil {
				return rpc.Void{}, err
			}
			return rpc.Void{}, room.PublishEvent(ctx, in)
		}),
	)
	mux := http.NewServeMux()
	mux.Handle("/rpc/", rpc.NewHandler(router, &rpc.HandlerOptions{
		Prefix:  "/rpc",
		Plugins: []rpc.HandlerPlugin{&durableiterator.HandlerPlugin{Signer: secret}},
	}))
	mux.Handle("/room", durableobject.NewHandler(rooms, nil))
	return mux
}

// openLog opens the log as soon as the servers have elected a leader.
func openLog(ctx context.Context, nc *nats.Conn, storedBy int) (*natslog.Log, error) {
	for {
		attempt, cancel := context.WithTimeout(ctx, 5*time.Second)
		log, err := natslog.Open(attempt, nc, &natslog.Options{Stream: "CHAT", Replicas: storedBy, Retention: retention})
		cancel()
		if err == nil {
			return log, nil
		}
		if errors.Is(err, natslog.ErrConfig) {
			return nil, fmt.Errorf("open the log: %w", err)
		}
		select {
		case <-time.After(500 * time.Millisecond):
		case <-ctx.Done():
			return nil, fmt.Errorf("open the log: %w", errors.Join(ctx.Err(), err))
		}
	}
}

// close shuts down the replica. Its HTTP server must have been shut down.
func (r *replica) close(ctx context.Context) error {
	err := errors.Join(r.rooms.Shutdown(ctx), r.log.Close())
	r.nc.Close()
	return err
}
