// Command admin serves a page for operators. It shows the channels, the connected clients,
// those that have fallen behind, and failures, and has buttons to close sockets and to
// revoke tokens.
//
//	go run ./examples/admin -demo                    some rooms with people who talk
//	go run ./examples/admin -addr HOST:PORT          rooms that clients join at /join?room=R&name=N
//	ADMIN_TOKEN=... go run ./examples/admin          a token of your own
//
// It prints the address of the page and, unless ADMIN_TOKEN is set, the token to sign in
// with. The page is panel.go and web; it works for any namespace.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/go-orpc/durable-iterator/token"
)

func main() {
	c := config{
		Key:    token.Secret(rand.Text()),
		Admin:  os.Getenv("ADMIN_TOKEN"),
		Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	}
	flag.StringVar(&c.Addr, "addr", "127.0.0.1:3000", "listen here")
	flag.BoolVar(&c.Demo, "demo", false, "let some people join and send messages")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, c, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "admin:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, c config, out io.Writer) error {
	if c.Admin == "" {
		c.Admin = rand.Text()
		fmt.Fprintln(out, "admin token:", c.Admin)
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.Addr)
	if err != nil {
		return err
	}
	s, err := newServer(c)
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	srv := &http.Server{Handler: s.handler, ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	url := "http://" + ln.Addr().String()
	fmt.Fprintln(out, url+"/admin/")
	talk := make(chan error, 1)
	if c.Demo {
		go func() { talk <- demo(ctx, s, url) }()
	} else {
		talk <- nil
	}
	if err = srv.Serve(ln); errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return errors.Join(err, s.rooms.Shutdown(last), <-talk)
}
