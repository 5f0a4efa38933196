package natslog_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog/natslog"
)

// printer is a follower that prints what it receives.
type printer chan string

func (p printer) Deliver(r *eventlog.Record) { p <- string(r.Data) }
func (p printer) Lost(err error)             { p <- err.Error() }

// Two nodes share a stream: one follows and replays the records of the other.
func ExampleOpen() {
	ctx := context.Background()
	url, stop := exampleServer()
	defer stop()
	var nodes []*natslog.Log
	for range 2 {
		nc, err := nats.Connect(url, nats.MaxReconnects(-1))
		if err != nil {
			panic(err)
		}
		defer nc.Close()
		node, err := natslog.Open(ctx, nc, &natslog.Options{Stream: "chat", Retention: time.Hour})
		if err != nil {
			panic(err)
		}
		defer func() { _ = node.Close() }()
		nodes = append(nodes, node)
	}

	events := make(printer, 8)
	from, unfollow, err := nodes[1].Follow(ctx, "room", events)
	if err != nil {
		panic(err)
	}
	defer unfollow()
	if err := nodes[0].Append(ctx, "room", &eventlog.Record{Data: []byte("hello")}, nil); err != nil {
		panic(err)
	}
	fmt.Println("followed:", <-events)

	replay, err := nodes[1].After(ctx, "room", from)
	if err != nil {
		panic(err)
	}
	for r, err := range replay.Records {
		fmt.Println("replayed:", string(r.Data), err)
	}
	// Output:
	// followed: hello
	// replayed: hello <nil>
}

// The newest records are read without earlier ones.
func ExampleLog_Newest() {
	ctx := context.Background()
	url, stop := exampleServer()
	defer stop()
	nc, err := nats.Connect(url)
	if err != nil {
		panic(err)
	}
	defer nc.Close()
	log, err := natslog.Open(ctx, nc, &natslog.Options{Stream: "chat"})
	if err != nil {
		panic(err)
	}
	defer func() { _ = log.Close() }()
	for _, text := range []string{"one", "two", "three"} {
		if err := log.Append(ctx, "room", &eventlog.Record{Data: []byte(text)}, nil); err != nil {
			panic(err)
		}
	}
	replay, err := log.Newest(ctx, "room", eventlog.Position{})
	if err != nil {
		panic(err)
	}
	for r, err := range replay.Records {
		fmt.Println(string(r.Data), err)
	}
	// Output:
	// three <nil>
	// two <nil>
	// one <nil>
}

// exampleServer starts a NATS server in this process.
func exampleServer() (url string, stop func()) {
	dir, err := os.MkdirTemp("", "natslog")
	if err != nil {
		panic(err)
	}
	s, err := server.NewServer(&server.Options{
		JetStream: true, StoreDir: dir, Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true,
	})
	if err != nil {
		panic(err)
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		panic("the server does not start")
	}
	return s.ClientURL(), func() {
		s.Shutdown()
		s.WaitForShutdown()
		_ = os.RemoveAll(dir)
	}
}
