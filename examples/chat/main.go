// Command chat is a chat room on durable iterators, and a first lesson in them.
//
//	go run ./examples/chat                                         serve, and chat here
//	go run ./examples/chat -join http://localhost:3000 -name ann   chat from another terminal
//	go run ./examples/chat -demo                                   watch a scripted conversation
package main

import (
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/go-orpc/durable-iterator/token"
)

func main() {
	server := flag.String("join", "", "join the chat at this URL instead of serving one")
	name := flag.String("name", "admin", "your name; the admin may announce")
	demo := flag.Bool("demo", false, "play a scripted conversation, check it and exit")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *server, *name, *demo); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "chat:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, server, name string, demo bool) error {
	if server != "" {
		return chat(ctx, server, name, os.Stdin, os.Stdout)
	}
	addr := "127.0.0.1:3000"
	if demo {
		addr = "127.0.0.1:0"
	}
	url, stop, err := serve(addr, token.Secret(rand.Text()))
	if err != nil {
		return err
	}
	defer stop()
	if demo {
		return playDemo(ctx, url, os.Stdout)
	}
	fmt.Printf("Serving. Others join with: go run ./examples/chat -join %s -name NAME\n", url)
	return chat(ctx, url, name, os.Stdin, os.Stdout)
}

// serve starts the server. stop ends it, and the sockets with it.
func serve(addr string, secret token.Secret) (url string, stop func(), err error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return "", nil, err
	}
	handler, shutdown := newServer(secret)
	srv := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = srv.Serve(ln) }()
	return "http://" + ln.Addr().String(), func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = srv.Shutdown(ctx)
		_ = shutdown(ctx)
	}, nil
}
