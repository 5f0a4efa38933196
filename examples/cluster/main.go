// Command cluster is a chat that runs as several replicas on one JetStream stream.
//
//	go run ./examples/cluster                            a demonstration on this machine
//	go run ./examples/cluster -nats nats://localhost -listen :3000   one replica, as it is deployed
//
// The demonstration starts three NATS servers, three replicas and a balancer that sends
// each connection to the next replica. Three clients talk while a replica and a server
// die. It prints what each saw, and fails if that is not everything, once and in order, or
// if one does not know who is there.
//
// A replica takes the secret of its tokens, the same for all, from CHAT_SECRET. In
// deploy/ there are a file for Docker Compose and the configuration of nginx.
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

// config is what the flags set.
type config struct {
	urls, listen string
	replicas     int
}

func (c *config) register(f *flag.FlagSet) {
	f.StringVar(&c.urls, "nats", "", "run one replica with the NATS servers at these URLs, separated by commas")
	f.StringVar(&c.listen, "listen", "127.0.0.1:3000", "where the replica listens")
	f.IntVar(&c.replicas, "replicas", 3, "how many servers store the stream")
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

// serve runs one replica until ctx ends, and then sends its clients to the others.
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
