// Command chaos exposes clients to faults of networks and servers, and checks that every
// iterator yields each of its events once and in order, or reports a gap.
//
//	go run ./internal/chaos
//	go run ./internal/chaos -events 100000 -clients 48 -drops 500
//	go run ./internal/chaos -herd
//
// It runs itself as a server whose rooms keep their events in logs on disk. Some rooms keep
// them for the whole run, and some only for two seconds. Clients connect through a proxy,
// half of them with TLS, and range over their iterators. The proxy cuts, stalls, delays and
// half-closes connections; tokens expire after seconds; the server is alternately shut down
// and killed. Meanwhile the rooms publish in bursts, and clients call a method from time to
// time.
//
// The publishers record which events were acknowledged, when, and for which clients. In the
// end this record is compared with what each iterator has yielded: see judge. The exit
// status is 1 if there is any fault.
//
// With -herd it counts how many of a thousand clients reconnect in each tenth of a second,
// after their server was unreachable for five seconds.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"time"
)

// The number of clients of -herd, and how long their server is unreachable.
const (
	herdSize   = 1000
	herdOutage = 5 * time.Second
)

func main() {
	var err error
	if os.Getenv(asServer) != "" {
		err = serve(os.Args[1:], os.Stdin, os.Stdout)
	} else {
		err = command(os.Args[1:], os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

// command runs the command line and writes the figures to out.
func command(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("chaos", flag.ContinueOnError)
	var p plan
	flags.IntVar(&p.events, "events", 1_000_000, "minimum number of events that the iterators yield")
	flags.IntVar(&p.clients, "clients", 240, "number of clients; several for each room")
	flags.IntVar(&p.drops, "drops", 5000, "minimum number of connections that the proxy ends")
	flags.IntVar(&p.restarts, "restarts", 12, "number of restarts of the server")
	flags.IntVar(&p.ticks, "ticks", 300, "number of bursts of events and faults")
	flags.Uint64Var(&p.seed, "seed", 0, "seed of the faults; 0 means a random one")
	timeout := flags.Duration("timeout", 8*time.Minute, "maximum duration of the run")
	herds := flags.Bool("herd", false, "only count how clients reconnect after an outage")
	if err := flags.Parse(args); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), *timeout)
	defer cancel()
	if *herds {
		h := &herd{size: herdSize, outage: herdOutage}
		return h.run(ctx, out)
	}
	if p.clients < rooms || p.events < 1 || p.drops < 1 || p.restarts < 0 || p.ticks < 1 {
		return fmt.Errorf("there must be %d clients or more, and 1 or more events, drops and ticks", rooms)
	}
	p.seed = cmp.Or(p.seed, rand.Uint64()) //nolint:gosec // it need not be hard to guess
	dir, err := os.MkdirTemp("", "chaos-*")
	if err != nil {
		return err
	}
	start := time.Now()
	result, err := p.run(ctx, dir)
	if err != nil {
		return fmt.Errorf("seed %d: %w (the logs are kept in %s)", p.seed, err, dir)
	}
	_, err = fmt.Fprintf(out, "seed %d, %.1f s\n%v\n", p.seed, time.Since(start).Seconds(), result)
	if err := errors.Join(err, result.err()); err != nil {
		return fmt.Errorf("%w (the logs are kept in %s)", err, dir)
	}
	return os.RemoveAll(dir)
}
