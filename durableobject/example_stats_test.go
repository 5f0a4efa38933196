package durableobject_test

import (
	"context"
	"encoding/json"
	"expvar"
	"fmt"
	"os"

	"github.com/go-orpc/durable-iterator/durableobject"
)

// With expvar the figures are at /debug/vars of the default mux.
func ExampleNamespace_Stats() {
	l := newLobby(durableobject.Options{})
	l.join("ann")
	check(l.room.PublishEvent(context.Background(), "hello"))

	figures := expvar.Func(func() any { return l.rooms.Stats() }) // expvar.Publish("rooms", figures)
	var s durableobject.Stats
	check(json.Unmarshal([]byte(figures.String()), &s))
	fmt.Println(s.Channels, s.Websockets, s.Subscriptions, s.Behind)
	fmt.Println(s.Publishes, s.PublishErrors, s.Calls, s.ResumesTruncated)
	l.close()
	fmt.Println(l.rooms.Stats().Closes)
	// Output:
	// 1 1 1 0
	// 1 0 map[] 0
	// ann: hello
	// map[1000:1]
}

func ExampleNamespace_Channels() {
	l := newLobby(durableobject.Options{})
	defer l.close()
	l.join("ann")
	l.join("bob")
	check(l.room.PublishEvent(context.Background(), "hello"))

	for _, ch := range l.rooms.Channels() {
		fmt.Println(ch.Name, ch.Websockets, ch.Subscriptions, ch.Behind, ch.Publishes)
	}
	// Output:
	// lobby 2 2 0 1
	// ann: hello
	// bob: hello
}

func ExampleNamespace_Websockets() {
	l := newLobby(durableobject.Options{})
	defer l.close()
	l.join("ann", "staff")
	l.join("bob")

	for ws := range l.rooms.Websockets("lobby", "staff") {
		fmt.Println(ws.ID())
	}
	for range l.rooms.Websockets("a channel that is not in memory") {
		fmt.Println("none") // is not reached, and no object is made
	}
	// Output:
	// ann
	// ann: nothing
	// bob: nothing
}

// State is "behind" where the client takes too little.
func ExampleWebsocket_Stats() {
	l := newLobby(durableobject.Options{})
	defer l.close()
	l.join("ann")

	for ws := range l.room.Websockets() {
		s := ws.Stats()
		fmt.Println(s.State == durableobject.WebsocketBehind, s.LagEvents, s.LagBytes, s.Since.IsZero())
	}
	// Output:
	// false 0 0 false
	// ann: nothing
}

// The text format of Prometheus needs no library.
func ExampleStats_prometheus() {
	l := newLobby(durableobject.Options{})
	defer l.close()
	check(l.room.PublishEvent(context.Background(), "hello"))

	w := os.Stdout // of a handler: http.ResponseWriter
	s := l.rooms.Stats()
	fmt.Fprintf(w, "rooms_sockets %d\nrooms_sockets_behind %d\n", s.Websockets, s.Behind)
	fmt.Fprintf(w, "rooms_published_total %d\nrooms_delivered_total %d\n", s.Publishes, s.Deliveries)
	for result, n := range s.Calls {
		fmt.Fprintf(w, "rooms_calls_total{result=%q} %d\n", result, n)
	}
	// Output:
	// rooms_sockets 0
	// rooms_sockets_behind 0
	// rooms_published_total 1
	// rooms_delivered_total 0
}
