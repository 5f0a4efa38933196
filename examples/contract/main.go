// Command contract has its contracts in a separate package, tickets, from which server and
// client take names and types.
//
//	go run ./examples/contract                                      serve, buy tickets and exit
//	go run ./examples/contract -planets http://localhost:3000/rpc   call a server in TypeScript
//
// The contract of the latter is package planets.
package main

import (
	"context"
	"crypto/rand"
	"flag"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/go-orpc/durable-iterator/token"
)

func main() {
	address := flag.String("planets", "", "call planet.find of the TypeScript server at this address")
	id := flag.Int("id", 1, "which planet")
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	var err error
	if *address != "" {
		err = find(ctx, *address, *id, os.Stdout)
	} else {
		err = play(ctx, os.Stdout)
	}
	cancel()
	if err != nil {
		log.Fatal(err)
	}
}

func play(ctx context.Context, out io.Writer) error {
	server, stop, err := serve(ctx)
	if err != nil {
		return err
	}
	defer stop()
	return visit(ctx, server, out)
}

// serve starts a box office with eight seats. stop stops it and closes its sockets.
func serve(ctx context.Context) (url string, stop func(), err error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	handler, shutdown := newServer(token.Secret(rand.Text()), 8)
	srv := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = srv.Serve(ln) }()
	return "http://" + ln.Addr().String(), func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = srv.Shutdown(ctx)
		_ = shutdown(ctx)
	}, nil
}
