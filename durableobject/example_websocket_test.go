package durableobject_test

import (
	"context"
	"fmt"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/token"
)

func ExampleWebsocket_ID() {
	l := newLobby(durableobject.Options{})
	defer l.close()
	l.join("ann")

	for ws := range l.room.Websockets() {
		fmt.Println(ws.ID())
	}
	// Output:
	// ann
	// ann: nothing
}

func ExampleWebsocket_Channel() {
	l := newLobby(durableobject.Options{})
	defer l.close()
	l.join("ann")

	for ws := range l.room.Websockets() {
		fmt.Println(ws.Channel())
	}
	// Output:
	// lobby
	// ann: nothing
}

func ExampleWebsocket_Token() {
	l := newLobby(durableobject.Options{})
	defer l.close()
	l.join("ann", "staff")

	for ws := range l.room.Websockets() {
		name, err := token.Att[string](ws.Token())
		fmt.Println(name, ws.Token().Tags, err)
	}
	// Output:
	// ann [staff] <nil>
	// ann: nothing
}

func ExampleWebsocket_Attach() {
	type visit struct{ pages int }
	l := newLobby(durableobject.Options{})
	defer l.close()
	l.join("ann")

	for ws := range l.room.Websockets() {
		ws.Attach(&visit{pages: 1})
	}
	for ws := range l.room.Websockets() {
		if v, ok := ws.Attachment().(*visit); ok {
			fmt.Println(v.pages)
		}
	}
	// Output:
	// 1
	// ann: nothing
}

func ExampleWebsocket_Attachment() {
	l := newLobby(durableobject.Options{})
	defer l.close()
	l.join("ann")

	for ws := range l.room.Websockets() {
		fmt.Println(ws.Attachment())
		ws.Attach("a value")
		fmt.Println(ws.Attachment())
	}
	// Output:
	// <nil>
	// a value
	// ann: nothing
}

// Send reaches one socket, and stores nothing.
func ExampleWebsocket_Send() {
	l := newLobby(durableobject.Options{})
	defer l.close()
	l.join("ann")
	l.join("bob", "guests")

	for ws := range l.room.Websockets("guests") {
		if err := ws.Send(context.Background(), "a snapshot for "+ws.ID()); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// ann: nothing
	// bob: a snapshot for bob
}

// The client connects again after any close code, and misses nothing.
func ExampleWebsocket_Close() {
	l := newLobby(durableobject.Options{ResumeRetention: time.Minute})
	defer l.close()
	l.join("ann")

	for ws := range l.room.Websockets() {
		ws.Close(4000, "change places")
	}
	check(l.room.PublishEvent(context.Background(), "hello again"))
	// Output: ann: hello again
}
