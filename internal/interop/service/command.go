// Package service is the server for tests with other implementations. Its programs choose
// its log. It uses only the public API.
package service

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog/filelog"
)

// shutdownTimeout makes the process end within ten seconds.
const shutdownTimeout = 8 * time.Second

// Main runs the command server. If it has several nodes, they use the logs that open
// returns.
func Main(open Opener) {
	addr := flag.String("addr", "127.0.0.1:8788", "address to listen on")
	data := flag.String("data", "", "directory of the chat rooms' event log; without it, the log is in memory")
	nodes := flag.Int("nodes", 1, "how many hubs share a log, behind a balancer")
	retention := flag.Duration("retention", 2*time.Minute, "how long the chat rooms keep events")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	err := run(ctx, os.Stdout, *addr, options{data: *data, nodes: *nodes, open: open, retention: *retention, logger: slog.Default()})
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "server:", err)
		os.Exit(1)
	}
}

// addresses is the output of the server when it is ready.
type addresses struct {
	RPC    string `json:"rpc"`
	Chat   string `json:"chat"`
	Plain  string `json:"plain"`
	Latest string `json:"latest"`
}

// run serves until ctx ends, and writes the addresses to ready.
func run(ctx context.Context, ready io.Writer, addr string, o options) error {
	switch {
	case o.data != "" && o.nodes > 1:
		return errors.New("a log on disk belongs to one node")
	case o.nodes > 1:
		c, err := newCluster(ctx, o)
		if err != nil {
			return err
		}
		return serve(ctx, ready, addr, c)
	case o.data == "":
		return serve(ctx, ready, addr, newServer(o))
	}
	log, err := filelog.Open(o.data, &filelog.Options{Retention: o.retention, Logger: o.logger})
	if err != nil {
		return err
	}
	o.log = log
	return errors.Join(serve(ctx, ready, addr, newServer(o)), log.Close())
}

// service is a server or a cluster of servers.
type service interface {
	http.Handler
	drain()
	shutdown(ctx context.Context) error
}

// serve serves s until ctx ends, and then shuts it down.
func serve(ctx context.Context, ready io.Writer, addr string, s service) (err error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	host := ln.Addr().String()
	err = json.NewEncoder(ready).Encode(addresses{
		RPC: "http://" + host + "/rpc", Chat: "ws://" + host + "/chat-room", Plain: "ws://" + host + "/plain-room",
		Latest: "ws://" + host + "/latest-room",
	})
	if err != nil {
		return errors.Join(err, ln.Close())
	}
	srv := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	srv.RegisterOnShutdown(s.drain)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	err = errors.Join(srv.Shutdown(ctx), s.shutdown(ctx))
	if ended := <-served; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return err
}
