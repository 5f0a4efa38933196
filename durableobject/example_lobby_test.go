package durableobject_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/internal/memhttp"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

// signingKey is the key of the examples.
const signingKey = token.Secret("keep this secret")

// Lobby is the object of the shorter examples. Its events are strings.
type Lobby = durableobject.Object[string]

// lobby is one object of a namespace, behind a server in memory, and its clients.
type lobby[H any] struct {
	rooms   *durableobject.Namespace[H]
	room    H
	publish func(ctx context.Context, event string, opts ...durableobject.PublishOption) error
	server  *memhttp.Server
	clients []*client.Iterator[string]
}

// newLobby returns the object "lobby" of a namespace without a type of its own.
func newLobby(o durableobject.Options) *lobby[*Lobby] {
	return lobbyOf(func(room *Lobby) *Lobby { return room }, o, nil)
}

// lobbyOf returns the object "lobby" of a namespace whose objects hub makes.
func lobbyOf[H durableobject.Hub[string]](hub func(*Lobby) H, o durableobject.Options, u *durableobject.HandlerOptions) *lobby[H] {
	o.Verifier = signingKey
	var l lobby[H]
	l.rooms = durableobject.NewNamespace(func(_ context.Context, room *Lobby) (H, error) {
		l.publish = room.PublishEvent
		return hub(room), nil
	}, &o)
	l.room = must(l.rooms.Get(context.Background(), "lobby"))
	l.server = memhttp.NewServer(durableobject.NewHandler(l.rooms, u))
	return &l
}

// dial connects a client with this id and attachment, and subscribes.
func (l *lobby[H]) dial(name string, tags ...string) (*client.Iterator[string], error) {
	return l.resume(name, "", tags...)
}

// resume is dial for a client that has seen an event.
func (l *lobby[H]) resume(name, lastEventID string, tags ...string) (*client.Iterator[string], error) {
	now := time.Now()
	tok := must(signingKey.Sign(context.Background(), &token.Payload{
		Channel: "lobby", Tags: tags, Att: must(json.Marshal(name)),
		RPC: []string{"shout", "countDown", "recent"}, IssuedAt: now, ExpiresAt: now.Add(time.Hour),
	}))
	return client.Dial[string](context.Background(), client.StaticToken(tok), &client.Options{
		URL: l.server.URL(), HTTPClient: l.server.Client(), CreateID: func(*token.Payload) string { return name },
		Backoff: func(int) time.Duration { return time.Millisecond },
	}, rpc.WithLastEventID(lastEventID))
}

// join is dial for a client whose events close prints. It returns once the subscription
// counts, which may be after the client has the answer.
func (l *lobby[H]) join(name string, tags ...string) *client.Iterator[string] {
	before := l.rooms.Stats().Subscriptions
	it := must(l.dial(name, tags...))
	for l.rooms.Stats().Subscriptions == before {
		runtime.Gosched()
	}
	l.clients = append(l.clients, it)
	return it
}

// close prints the events of each client, and shuts down.
func (l *lobby[H]) close() {
	check(l.publish(context.Background(), "end"))
	for _, it := range l.clients {
		var events []string
		for event, err := range it.All() {
			check(err)
			if event == "end" {
				break
			}
			events = append(events, event)
		}
		fmt.Printf("%s: %s\n", it.ID(), cmp.Or(strings.Join(events, ", "), "nothing")) //nolint:forbidigo // the output of an example
		check(it.Close())
	}
	check(l.rooms.Shutdown(context.Background()))
	l.server.Close()
}

func must[T any](v T, err error) T {
	check(err)
	return v
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
