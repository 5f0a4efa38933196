// Command clusterchaos checks what is promised where nodes share a log: three NATS servers
// are killed, the connections between all of servers, hubs and clients are cut, stalled and
// closed on one side, and hubs are deprived of single messages, while clients roam between
// three hubs, four of them under Node with the client of oRPC. Every event that was acknowledged
// has to reach every client of its channel once and in order, with no gap that is not
// reported; 12 seconds after a fault everybody has to be live again. What all hubs publish under one
// idempotency key, again and again, has to be stored once. Most channels are quiet, so that nothing but the tail check of the log can
// find out that the last event of one is missing.
//
//	go run ./internal/clusterchaos -length 5m
//	go run ./internal/clusterchaos -tail-check=false   has to fail
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"
)

func main() {
	if config := os.Getenv(serveEnv); config != "" {
		if err := serveNATS(config); err != nil {
			fmt.Fprintln(os.Stderr, "clusterchaos:", err)
			os.Exit(1)
		}
		return
	}
	c := config{}
	flag.DurationVar(&c.length, "length", time.Minute, "how long events are published and things broken")
	flag.DurationVar(&c.pause, "pause", 8*time.Millisecond, "between the events of a publisher, at most")
	flag.StringVar(&c.scripts, "scripts", "internal/interop/node", "where the script of the clients under Node is; empty for none")
	flag.IntVar(&c.quiet, "quiet", 500, "channels that have an event now and then")
	flag.BoolVar(&c.tailCheck, "tail-check", true, "compare feeds with the stream")
	flag.Uint64Var(&c.seed, "seed", uint64(time.Now().UnixNano()), "of what is broken when")
	flag.Parse()
	r, err := run(context.Background(), c)
	if err == nil {
		fmt.Println(r)
		err = r.verdict()
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "clusterchaos: seed %d: %v\n", c.seed, err)
		os.Exit(1)
	}
}
