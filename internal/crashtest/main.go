// Command crashtest kills a server many times, and checks that no event is lost.
//
//	go run ./internal/crashtest
//	go run ./internal/crashtest -kills 1000 -clients 8 -timeout 20m
//
// It runs itself as a server whose rooms keep their events in a log on disk, and in
// which several goroutines publish. The server writes a line for each event once
// PublishEvent has returned. It is killed at random moments, some of them before it is
// ready, and restarted on the same address and directory. Meanwhile clients range
// over their iterators, each of which lasts for the whole run.
//
// Some of the publishers use idempotency keys. They publish each event twice at the same
// time, again after a restart unless it was acknowledged, and sometimes much later. The
// event must be stored once, and all acknowledgements must have its id.
//
// In the end the acknowledged events, the events that each client has received and those
// in the log are compared: see verdict. The exit status is 1 if there is any fault.
//
// A system without signals is not supported: the cause of the server's end cannot be determined there.
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

func main() {
	var err error
	if os.Getenv(asServer) != "" {
		err = serve(os.Args[1:], os.Stdin, os.Stdout)
	} else {
		err = command(os.Args[1:], os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "crashtest:", err)
		os.Exit(1)
	}
}

// command runs the command line and writes the figures to out.
func command(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("crashtest", flag.ContinueOnError)
	var p plan
	flags.IntVar(&p.kills, "kills", 200, "number of kills of the server")
	flags.IntVar(&p.publishers, "publishers", 4, "number of goroutines of the server that publish")
	flags.IntVar(&p.keyed, "keyed", 2, "number of goroutines of the server that publish with idempotency keys")
	flags.IntVar(&p.clients, "clients", 3, "number of clients that range over the events")
	flags.Uint64Var(&p.seed, "seed", 0, "seed of the times of the kills; 0 means a random one")
	timeout := flags.Duration("timeout", 8*time.Minute, "maximum duration of the run")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if p.kills < 1 || p.publishers < 1 || p.clients < 1 {
		return errors.New("kills, publishers and clients must be 1 or more")
	}
	if p.keyed < 0 {
		return errors.New("keyed must be 0 or more")
	}
	p.seed = cmp.Or(p.seed, rand.Uint64()) //nolint:gosec // it need not be hard to guess
	dir, err := os.MkdirTemp("", "crashtest-*")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), *timeout)
	defer cancel()
	start := time.Now()
	result, err := p.run(ctx, dir)
	if err != nil {
		return fmt.Errorf("seed %d: %w (the log is kept in %s)", p.seed, err, dir)
	}
	_, err = fmt.Fprintf(out, "seed %d, %.1f s\n%v\n", p.seed, time.Since(start).Seconds(), result)
	if err := errors.Join(err, result.err()); err != nil {
		return fmt.Errorf("%w (the log is kept in %s)", err, dir)
	}
	return os.RemoveAll(dir)
}
