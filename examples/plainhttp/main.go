// Command plainhttp adds live notices to a web service with net/http that has its own
// routes, middleware and response format.
//
//	go run ./examples/plainhttp
//
// It starts a server and two users who send each other notices, and exits.
package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/token"
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	server, stop, err := serve(ctx)
	if err != nil {
		return err
	}
	defer stop()

	ann, bob := account{server, "ann"}, account{server, "bob"}
	annsNotices, err := ann.notices(ctx)
	if err != nil {
		return err
	}
	defer annsNotices.Close()
	bobsNotices, err := bob.noticesOfMe(ctx)
	if err != nil {
		return err
	}
	defer bobsNotices.Close()

	if err := ann.notify(ctx, "bob", "lunch?"); err != nil {
		return err
	}
	if err := show(out, "bob", bobsNotices); err != nil {
		return err
	}
	if err := bob.notify(ctx, "ann", "at noon"); err != nil {
		return err
	}
	return show(out, "ann", annsNotices)
}

// show waits for a notice and prints it.
func show(out io.Writer, name string, notices *client.Iterator[Notice]) error {
	for n, err := range notices.All() {
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s hears from %s: %s\n", name, n.From, n.Text)
		break
	}
	return nil
}

// serve starts the service. stop stops it and closes its sockets.
func serve(ctx context.Context) (url string, stop func(), err error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	handler, shutdown := newServer(token.Secret(rand.Text()))
	srv := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = srv.Serve(ln) }()
	return "http://" + ln.Addr().String(), func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = srv.Shutdown(ctx)
		_ = shutdown(ctx)
	}, nil
}
