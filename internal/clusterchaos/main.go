// Command clusterchaos checks the guarantees for nodes that share a log. Clients, four of
// them under Node with the client of oRPC, move between three hubs. Meanwhile three NATS
// servers are killed, the connections between servers, hubs and clients are cut, stalled
// and half-closed, and single messages to hubs are dropped. Every client of a channel must
// receive every acknowledged event once and in order, or an error for each gap, and all
// clients must be live again 12 seconds after a fault. All hubs publish repeatedly with the
// same idempotency keys; each key must be stored once. Most channels are quiet, so that
// only the tail check of the log can detect that the last event of one is missing.
//
//	go run ./internal/clusterchaos -length 5m
//	go run ./internal/clusterchaos -tail-check=false   must fail
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
	flag.DurationVar(&c.length, "length", time.Minute, "how long to publish events and cause faults")
	flag.DurationVar(&c.pause, "pause", 8*time.Millisecond, "longest pause between the events of a publisher")
	flag.StringVar(&c.scripts, "scripts", "internal/interop/node", "directory of the script of the clients under Node; empty for none")
	flag.IntVar(&c.quiet, "quiet", 500, "number of channels with few events")
	flag.BoolVar(&c.tailCheck, "tail-check", true, "compare feeds with the stream")
	flag.Uint64Var(&c.seed, "seed", uint64(time.Now().UnixNano()), "seed of the faults")
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
