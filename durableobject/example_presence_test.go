package durableobject_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/durableiterator"
	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

// presenceLobby shows its clients who else is there.
type presenceLobby struct {
	*durableobject.Object[string]
	welcomed chan struct{}
}

// watchMembers is a method that returns a stream.
var watchMembers = rpc.DefineEvents[rpc.Void, string, rpc.Void]("watch")

func (l *presenceLobby) watch(ctx context.Context, _ *durableobject.Websocket, _ rpc.Void, w *rpc.EventWriter[string]) (rpc.Void, error) {
	for change, err := range l.PresenceChanges(ctx) {
		if err != nil {
			return rpc.Void{}, err
		}
		if err := w.Send(fmt.Sprint(change.Member.ID, " ", change.Kind)); err != nil {
			return rpc.Void{}, err
		}
	}
	return rpc.Void{}, nil
}

func (l *presenceLobby) OnJoined(_ context.Context, m durableobject.Member) {
	fmt.Println("welcome,", m.ID)
	close(l.welcomed)
}

func (l *presenceLobby) OnLeft(_ context.Context, m durableobject.Member) {
	fmt.Println("farewell,", m.ID)
}

func ExampleObject_Presence() {
	key := token.Secret("secret-key")
	lobbies := durableobject.NewNamespace(
		func(_ context.Context, o *durableobject.Object[string]) (*presenceLobby, error) {
			return &presenceLobby{o, make(chan struct{})}, nil
		},
		&durableobject.Options{Verifier: key, Presence: &durableobject.PresenceOptions{}})
	durableobject.HandleEvents(lobbies, watchMembers, (*presenceLobby).watch)
	server := httptest.NewServer(durableobject.NewHandler(lobbies, nil))
	defer server.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	source := client.TokenFunc(durableiterator.New[string]("lobby", &durableiterator.Options{Signer: key}).RPC(watchMembers).Token)
	it, err := client.Dial[string](ctx, source, &client.Options{
		URL:      strings.Replace(server.URL, "http", "ws", 1),
		CreateID: func(*token.Payload) string { return "ann" },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	lobby, _ := lobbies.Get(ctx, "lobby")
	<-lobby.welcomed // hooks run on goroutines of their own
	changes, err := watchMembers.Call(ctx, it, rpc.Void{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for change, err := range changes.All() {
		fmt.Println(change, err)
		break
	}
	present, err := lobby.Presence(ctx)
	fmt.Println(lobby.PresenceCount(), present.Members[0].ID, err)
	fmt.Println(it.Close(), lobbies.Shutdown(ctx))
	// Output:
	// welcome, ann
	// ann joined <nil>
	// 1 ann <nil>
	// farewell, ann
	// <nil> <nil>
}
