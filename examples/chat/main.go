// Command chat is a chat room with durable iterators, as a first example.
//
//	go run ./examples/chat                                         serve, and chat here
//	go run ./examples/chat -data DIR                               the same, with the events on disk
//	go run ./examples/chat -join http://localhost:3000 -name ann   chat from another terminal
//	go run ./examples/chat -demo                                   watch a scripted conversation
//
// With -join it waits for a server that is not running yet.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog/filelog"
	"github.com/go-orpc/durable-iterator/token"
)

func main() {
	server := flag.String("join", "", "join the chat at this URL instead of serving one")
	name := flag.String("name", "admin", "your name; the admin may announce")
	data := flag.String("data", "", "keep the events in this directory; nothing is lost if the server is killed")
	demo := flag.Bool("demo", false, "play a scripted conversation, check it and exit")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *server, *name, *data, *demo); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "chat:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, server, name, data string, demo bool) error {
	if server != "" {
		return chat(ctx, visitor{server: server, name: name}, os.Stdin, os.Stdout)
	}
	addr := "127.0.0.1:3000"
	if demo {
		addr = "127.0.0.1:0"
	}
	url, stop, err := serve(addr, data)
	if err != nil {
		return err
	}
	defer stop()
	if demo {
		return playDemo(ctx, url, os.Stdout)
	}
	fmt.Printf("Serving. Others join with: go run ./examples/chat -join %s -name NAME\n", url)
	return chat(ctx, visitor{server: url, name: name}, os.Stdin, os.Stdout)
}

// serve starts the server. stop stops it and closes its sockets.
//
// Its secret is a new one each time. Clients that reconnect with a token of the previous
// server are refused, and fetch another one.
func serve(addr, data string) (url string, stop func(), err error) {
	log, err := openLog(data)
	if err != nil {
		return "", nil, err
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return "", nil, errors.Join(err, log.Close())
	}
	handler, shutdown := newServer(token.Secret(rand.Text()), log)
	srv := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = srv.Serve(ln) }()
	return "http://" + ln.Addr().String(), func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = srv.Shutdown(ctx)
		_ = shutdown(ctx)
		_ = log.Close()
	}, nil
}

// openLog opens the log in a directory, or one in memory if there is none.
func openLog(dir string) (eventlog.Log, error) {
	if dir == "" {
		return eventlog.NewMemory(&eventlog.MemoryOptions{Retention: kept}), nil
	}
	return filelog.Open(dir, &filelog.Options{Retention: kept})
}
