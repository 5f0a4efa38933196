// Command relay forwards JSON that is posted to a channel to all clients of the channel.
// Its objects need no type.
//
// go run ./examples/relay                          demonstrate and exit
//
//	go run ./examples/relay -serve 127.0.0.1:3000    serve, and listen to the channel "builds"
//	curl -d '{"ok":true}' http://127.0.0.1:3000/channels/builds
package main

import (
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/token"
)

func main() {
	addr := flag.String("serve", "", "serve at this address until interrupted")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	var err error
	if *addr != "" {
		err = follow(ctx, *addr, os.Stdout)
	} else {
		err = play(ctx, os.Stdout)
	}
	interrupted := ctx.Err() != nil
	stop()
	if err != nil && !interrupted {
		log.Fatal(err)
	}
}

// follow serves, and prints the hooks of one channel.
func follow(ctx context.Context, addr string, out io.Writer) error {
	server, stop, err := serve(ctx, addr)
	if err != nil {
		return err
	}
	defer stop()
	builds, err := listen(ctx, out, server, "builds")
	if err != nil {
		return err
	}
	defer builds.Close()
	return show(out, "builds", builds, 0)
}

// play posts to two channels and prints the events of their clients.
func play(ctx context.Context, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	server, stop, err := serve(ctx, "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer stop()
	builds, err := listen(ctx, out, server, "builds")
	if err != nil {
		return err
	}
	defer builds.Close()
	deploys, err := listen(ctx, out, server, "deploys")
	if err != nil {
		return err
	}
	defer deploys.Close()

	for _, hook := range []struct{ channel, text string }{
		{"builds", `{"commit":"a1b2c3","ok":true}`},
		{"deploys", `["staging","production"]`},
		{"builds", `{"commit":"d4e5f6","ok":false}`},
	} {
		if err := post(ctx, server, hook.channel, hook.text); err != nil {
			return err
		}
	}
	if err := show(out, "builds", builds, 2); err != nil {
		return err
	}
	return show(out, "deploys", deploys, 1)
}

// show prints n hooks as they arrive; 0 means all.
func show(out io.Writer, channel string, hooks *client.Iterator[Hook], n int) error {
	for hook, err := range hooks.All() {
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s: %s\n", channel, hook)
		if n--; n == 0 {
			break
		}
	}
	return nil
}

// serve starts the relay. stop stops it and closes its sockets.
func serve(ctx context.Context, addr string) (url string, stop func(), err error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
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
