// Command client checks that a server of oRPC's durable iterators behaves as the client of
// this library expects, over HTTP and over the sockets of rooms. It uses only the public
// API.
//
//	client <rpcUrl> <chatUrl> [-only TEXT] [-extensions]
//
// It prints a line for each check and the number of each outcome. The exit status is 1 if a
// check has failed. Checks that oRPC's server cannot pass, because only servers of this
// library have the feature or because of a known weakness, count only with -extensions.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"
)

// patience is how long a check may take.
const patience = 30 * time.Second

var (
	errFailed = errors.New("some checks have failed")
	errUsage  = errors.New("usage: client <rpcUrl> <chatUrl> [-only TEXT] [-extensions]")
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	err := run(ctx, os.Stdout, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "client:", err)
		os.Exit(1)
	}
}

// run runs the checks that the arguments select, and writes the outcomes to out.
func run(ctx context.Context, out io.Writer, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	s := suite{out: out, only: o.only, extensions: o.extensions, patience: patience}
	return s.run(ctx, allChecks(), o.target)
}

type options struct {
	target     target
	only       string
	extensions bool
}

// parse reads the arguments; flags may be before, between and after the addresses.
func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("client", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.only, "only", "", "only run checks whose names contain this")
	flags.BoolVar(&o.extensions, "extensions", false, "count checks that oRPC's server cannot pass")
	var addresses []string
	for len(args) > 0 {
		if err := flags.Parse(args); err != nil {
			return o, fmt.Errorf("%w: %w", errUsage, err)
		}
		args = flags.Args()
		if len(args) > 0 {
			addresses, args = append(addresses, args[0]), args[1:]
		}
	}
	if len(addresses) != 2 {
		return o, errUsage
	}
	o.target = target{rpc: addresses[0], chat: addresses[1]}
	return o, errors.Join(checkAddress(o.target.rpc, "http", "https"), checkAddress(o.target.chat, "ws", "wss"))
}

func checkAddress(address string, schemes ...string) error {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || !slices.Contains(schemes, u.Scheme) {
		return fmt.Errorf("%w: %q is not an address with scheme %s", errUsage, address, schemes[0])
	}
	return nil
}

// allChecks returns the checks in the order in which they are run.
func allChecks() []check {
	return slices.Concat(
		httpChecks(),
		httpErrorChecks(),
		httpEventChecks(),
		httpFileChecks(),
		subscriptionChecks(),
		filterChecks(),
		resumeChecks(),
		gapChecks(),
		tokenChecks(),
		callChecks(),
		callErrorChecks(),
		callEventChecks(),
		callFileChecks(),
		protocolChecks(),
		stopChecks(),
		upgradeChecks(),
		weaknessChecks(),
	)
}
