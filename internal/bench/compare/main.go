//go:build linux

// Command compare measures this library and github.com/centrifugal/centrifuge on one
// machine and prints the ratios:
//
//	go run ./compare
//
// Both have their defaults: see the packages library and, here, newCentrifuge. Each run is
// a fresh process of the server, and one of the client, which reads frames on one CPU
// and checks that every socket receives every event, in order. The servers take turns, so
// that other load on the machine affects both. It uses the loopback device, and takes
// about a minute and 150 MB.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/go-orpc/durable-iterator/internal/bench/host"
	"github.com/go-orpc/durable-iterator/internal/bench/library"
)

// serve is the argument that makes this program one of the servers.
const serve = "serve"

const (
	// mostTime is the maximum duration of the program.
	mostTime = 3 * time.Minute
	// mostRun is the maximum duration of one run. Neither server sends a ping before that,
	// so that the client need not answer any.
	mostRun = 20 * time.Second
)

func main() {
	rounds := flag.Int("rounds", 3, "number of runs of each scenario")
	only := flag.String("only", "", "only run scenarios whose names contain this")
	flag.Parse()
	var err error
	if flag.Arg(0) == serve {
		err = serveAs(flag.Arg(1))
	} else {
		err = compare(*rounds, *only)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

// The contestants.
const (
	ours   = "durable-iterator"
	theirs = "centrifuge"
)

// serveAs runs one of the servers until standard input ends.
func serveAs(server string) error {
	handler, err := newServer(server)
	if err != nil {
		return err
	}
	return host.Serve("127.0.0.1:0", handler)
}

func newServer(server string) (http.Handler, error) {
	if server == ours {
		return library.NewHandler(nil, 1)
	}
	return newCentrifuge()
}

func compare(rounds int, only string) error {
	// One CPU for the client leaves the others to the server, and is an event loop.
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(400)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeoutCause(ctx, mostTime, errors.New("the program took too long"))
	defer cancel()

	t := &table{}
	for round := range rounds {
		for i := range scenarios {
			s := &scenarios[i]
			if !strings.Contains(s.name, only) {
				continue
			}
			pair, err := runBoth(ctx, s, round)
			if err != nil {
				return err
			}
			t.add(s.name, pair)
		}
	}
	fmt.Printf("%s, %d CPUs, %s/%s, %d rounds\n\n%s", runtime.Version(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, rounds, t)
	return nil
}

// pair is the figures of both servers in a scenario, measured one right after the other.
type pair struct{ ours, theirs figures }

func runBoth(ctx context.Context, s *scenario, round int) (p pair, err error) {
	turns := []string{ours, theirs}
	if round%2 == 1 {
		turns = []string{theirs, ours}
	}
	for _, server := range turns {
		f, err := run(ctx, s, server)
		if err != nil {
			return p, fmt.Errorf("%s, %s: %w", server, s.name, err)
		}
		fmt.Fprintf(os.Stderr, "%s, %s: %s\n", server, s.name, f)
		if server == ours {
			p.ours = f
		} else {
			p.theirs = f
		}
	}
	return p, nil
}

// run runs a scenario with a new server.
func run(ctx context.Context, s *scenario, server string) (figures, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, mostRun, errors.New("the run took too long"))
	defer cancel()
	c, err := start(ctx, server)
	if err != nil {
		return figures{}, err
	}
	defer c.stop()
	return measure(ctx, s, server, c)
}

func measure(ctx context.Context, s *scenario, server string, c *contestant) (figures, error) {
	var d dialect = centrifugeJSON{}
	if server == ours {
		token, err := c.token(ctx)
		if err != nil {
			return figures{}, err
		}
		d = durableIterator{token}
	}
	addr, err := netip.ParseAddrPort(c.hello.WS)
	if err != nil {
		return figures{}, err
	}
	t := &target{c, newCrowd(d, addr)}
	defer t.close()
	return s.run(ctx, s, t)
}
