// Command cluster is a chat that runs as several replicas on one JetStream stream.
//
//	go run ./examples/cluster                            a demonstration on this machine
//	go run ./examples/cluster -nats nats://localhost -listen :3000   one replica, as it is deployed
//
// The demonstration starts three NATS servers, three replicas and a balancer that sends
// each connection to the next replica. Three clients send messages while a replica and a
// server crash. It prints the messages that each has received, and fails if any is missing,
// repeated or out of order, or if a client has a wrong list of members.
//
// A replica reads the secret of its tokens, the same for all, from CHAT_SECRET. The
// directory deploy has a file for Docker Compose and a configuration of nginx.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-orpc/durable-iterator/token"
)

// secretVariable is the environment variable with the secret of the tokens.
const secretVariable = "CHAT_SECRET"

// config has the values of the flags.
type config struct {
	urls, listen string
	replicas     int
}

func (c *config) register(f *flag.FlagSet) {
	f.StringVar(&c.urls, "nats", "", "run one replica with the NATS servers at these URLs, separated by commas")
	f.StringVar(&c.listen, "listen", "127.0.0.1:3000", "address to listen on")
	f.IntVar(&c.replicas, "replicas", 3, "number of servers that store the stream")
}

func main() {
	var c config
	c.register(flag.CommandLine)
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if c.urls == "" {
		err = demo(ctx, os.Stdout)
	} else {
		err = serve(ctx, &c)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
		os.Exit(1)
	}
}

// serve runs one replica until ctx ends, and then makes its clients reconnect to others.
func serve(ctx context.Context, c *config) error {
	secret := os.Getenv(secretVariable)
	if secret == "" {
		return errors.New("set " + secretVariable + ", to the same value for all replicas")
	}
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("find a name: %w", err)
	}
	r, err := newReplica(ctx, host, c.urls, c.replicas, token.Secret(secret))
	if err != nil {
		return err
	}
	srv := &http.Server{Addr: c.listen, Handler: r.handler, ReadHeaderTimeout: 10 * time.Second}
	srv.RegisterOnShutdown(r.rooms.Drain)
	failed := make(chan error, 1)
	go func() { failed <- srv.ListenAndServe() }()
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	return errors.Join(err, srv.Shutdown(ctx), r.close(ctx))
}
