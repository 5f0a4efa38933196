package durableobject_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/internal/memhttp"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

// If the objects have no state and no methods, the namespace can use the object itself.
func ExampleNewNamespace() {
	lobbies := durableobject.NewNamespace(func(_ context.Context, o *Lobby) (*Lobby, error) {
		fmt.Println("made", o.Channel())
		return o, nil
	}, &durableobject.Options{Verifier: signingKey, ResumeRetention: 2 * time.Minute})

	lobby, err := lobbies.Get(context.Background(), "lobby")
	fmt.Println(lobby.Channel(), err)
	fmt.Println(lobbies.Shutdown(context.Background()))
	// Output:
	// made lobby
	// lobby <nil>
	// <nil>
}

func ExampleNamespace_Get() {
	l := newLobby(durableobject.Options{})
	ctx := context.Background()

	first, _ := l.rooms.Get(ctx, "garden")
	second, _ := l.rooms.Get(ctx, "garden")
	fmt.Println(first == second)

	l.close()
	_, err := l.rooms.Get(ctx, "garden")
	fmt.Println(err)
	// Output:
	// true
	// durableobject: get: namespace closed
}

// Drain suits http.Server.RegisterOnShutdown, which does not wait.
func ExampleNamespace_Drain() {
	l := newLobby(durableobject.Options{})
	server := &http.Server{Handler: durableobject.NewHandler(l.rooms, nil), ReadHeaderTimeout: time.Minute}
	server.RegisterOnShutdown(l.rooms.Drain)

	ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
	defer stop()
	fmt.Println(server.Shutdown(ctx), l.rooms.Shutdown(ctx))
	l.server.Close()
	// Output: <nil> <nil>
}

// Shutdown closes the sockets, waits for calls and hooks, and evicts the objects.
func ExampleNamespace_Shutdown() {
	rooms := durableobject.NewNamespace(func(_ context.Context, o *Lobby) (*Lobby, error) { return o, nil },
		&durableobject.Options{Verifier: signingKey})
	_, err := rooms.Get(context.Background(), "lobby")
	fmt.Println(err)

	ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
	defer stop()
	fmt.Println(rooms.Shutdown(ctx))
	// Output:
	// <nil>
	// <nil>
}

func ExampleObject_Channel() {
	l := newLobby(durableobject.Options{})
	fmt.Println(l.room.Channel())
	l.close()
	// Output: lobby
}

func ExampleObject_Websockets() {
	l := newLobby(durableobject.Options{})
	defer l.close()
	l.join("ann", "staff")
	l.join("bob", "guests")

	for _, tags := range [][]string{nil, {"staff"}, {"staff", "guests"}, {"robots"}} {
		var ids []string
		for ws := range l.room.Websockets(tags...) {
			ids = append(ids, ws.ID())
		}
		slices.Sort(ids)
		fmt.Println(tags, ids)
	}
	// Output:
	// [] [ann bob]
	// [staff] [ann]
	// [staff guests] [ann bob]
	// [robots] []
	// ann: nothing
	// bob: nothing
}

// Guestbook greets each client, and writes down who leaves.
type Guestbook struct{ *Lobby }

func (g *Guestbook) OnSubscribed(ctx context.Context, ws *durableobject.Websocket, r durableobject.Resume) error {
	if r.LastEventID != "" && !r.Truncated {
		return nil // it has missed nothing
	}
	return ws.Send(ctx, "welcome "+ws.ID())
}

func (g *Guestbook) OnDisconnected(_ context.Context, ws *durableobject.Websocket) {
	fmt.Println("left:", ws.ID()) //nolint:forbidigo // the output of an example
}

func (g *Guestbook) OnEvicted(context.Context) {
	fmt.Println("evicted:", g.Channel()) //nolint:forbidigo // the output of an example
}

func newGuestbook() *lobby[*Guestbook] {
	return lobbyOf(func(room *Lobby) *Guestbook { return &Guestbook{room} }, durableobject.Options{}, nil)
}

// A new client is sent a snapshot before any live event.
func ExampleObject_OnSubscribed() {
	l := newGuestbook()
	it := must(l.dial("ann"))
	check(l.publish(context.Background(), "hello"))
	events := 0
	for event := range it.All() {
		fmt.Println(event)
		if events++; events == 2 {
			break
		}
	}
	check(it.Close())
	l.close()
	// Output:
	// welcome ann
	// hello
	// left: ann
	// evicted: lobby
}

func ExampleObject_OnDisconnected() {
	l := newGuestbook()
	check(must(l.dial("ann")).Close())
	l.close()
	// Output:
	// left: ann
	// evicted: lobby
}

func ExampleObject_OnEvicted() {
	newGuestbook().close() // Shutdown evicts all objects
	// Output: evicted: lobby
}

// shout is the contract of a method, which the server and its clients share.
var shout = rpc.Define[string, string]("shout")

// A method publishes to all but its caller, and answers it.
func ExampleHandle() {
	l := newLobby(durableobject.Options{})
	durableobject.Handle(l.rooms, shout, func(o *Lobby, ctx context.Context, ws *durableobject.Websocket, in string) (string, error) {
		loud := strings.ToUpper(in)
		return "sent " + loud, o.PublishEvent(ctx, ws.ID()+": "+loud, durableobject.WithExclude(ws))
	})
	defer l.close()
	ann := l.join("ann")
	l.join("bob")

	fmt.Println(shout.Call(context.Background(), ann, "hello"))
	// Output:
	// sent HELLO <nil>
	// ann: nothing
	// bob: ann: HELLO
}

func ExampleHandleEvents() {
	countDown := rpc.DefineEvents[int, int, string]("countDown")
	l := newLobby(durableobject.Options{})
	durableobject.HandleEvents(l.rooms, countDown,
		func(_ *Lobby, _ context.Context, _ *durableobject.Websocket, from int, w *rpc.EventWriter[int]) (string, error) {
			for i := from; i > 0; i-- {
				if err := w.Send(i); err != nil {
					return "", err // the caller has gone
				}
			}
			return "lift-off", nil
		})
	defer l.close()

	events, err := countDown.Call(context.Background(), l.join("ann"), 3)
	if err != nil {
		fmt.Println(err)
		return
	}
	for i, err := range events.All() {
		fmt.Println(i, err)
	}
	fmt.Println(events.Result())
	// Output:
	// 3 <nil>
	// 2 <nil>
	// 1 <nil>
	// lift-off <nil>
	// ann: nothing
}

func ExampleNewHandler() {
	lobbies := durableobject.NewNamespace(func(_ context.Context, o *Lobby) (*Lobby, error) { return o, nil },
		&durableobject.Options{Verifier: signingKey})
	mux := http.NewServeMux()
	mux.Handle("/lobby", durableobject.NewHandler(lobbies, &durableobject.HandlerOptions{
		OriginPatterns: []string{"*.example.com"},
		Authorize: func(_ *http.Request, p *token.Payload) error {
			if name, _ := token.Att[string](p); name == "mallory" {
				return rpc.Errorf(rpc.CodeForbidden, "Not you")
			}
			return nil
		},
	}))
	server := memhttp.NewServer(mux)

	response, err := server.Client().Get(server.URL() + "/lobby")
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = response.Body.Close()
	fmt.Println(response.Status)
	fmt.Println(lobbies.Shutdown(context.Background()))
	server.Close()
	// Output:
	// 426 Upgrade Required
	// <nil>
}
