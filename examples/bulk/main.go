// Command bulk sends many values: several calls in one request, and streams of events as
// inputs.
//
//	go run ./examples/bulk
//
// It starts a server, calls it, and exits.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/go-orpc/durable-iterator/rpc"
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: newServer(), ReadHeaderTimeout: 10 * time.Second}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) }) // until Close
	defer serving.Wait()
	defer server.Close()

	address := "http://" + listener.Addr().String() + "/rpc"
	if err := showNames(ctx, out, address); err != nil {
		return err
	}
	if err := showSummary(ctx, out, address); err != nil {
		return err
	}
	return showSmooth(ctx, out, address)
}

// showNames makes three calls, which share a request.
func showNames(ctx context.Context, out io.Writer, address string) error {
	link := rpc.NewLink(address, &rpc.LinkOptions{Plugins: []rpc.LinkPlugin{&rpc.BatchLinkPlugin{}}})
	names := make([]string, 3)
	errs := make([]error, len(names))
	var calls sync.WaitGroup
	for i, sensor := range []string{"attic", "cellar", "garden"} {
		calls.Go(func() { names[i], errs[i] = Name.Call(ctx, link, sensor) })
	}
	calls.Wait()
	fmt.Fprintln(out, names)
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

var readings = []Reading{{"attic", 20}, {"attic", 22}, {"attic", 30}}

// showSummary sends readings and waits for the only answer.
func showSummary(ctx context.Context, out io.Writer, address string) error {
	link := rpc.NewLink(address, nil)
	summary, err := Import.Call(ctx, link, rpc.EventsOf(ctx, slices.Values(readings)))
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%d readings, mean %.0f\n", summary.Count, summary.Mean)
	return nil
}

// showSmooth reads answers while it sends.
func showSmooth(ctx context.Context, out io.Writer, address string) error {
	link := rpc.NewLink(address, nil)
	input := rpc.NewEvents(ctx, func(_ context.Context, w *rpc.EventWriter[Reading]) (rpc.Void, error) {
		for _, reading := range readings {
			if err := w.Send(reading); err != nil {
				return rpc.Void{}, err
			}
		}
		return rpc.Void{}, nil
	})
	smoothed, err := Smooth.Call(ctx, link, input)
	if err != nil {
		return err
	}
	defer smoothed.Close()
	for reading, err := range smoothed.All() {
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s: %.1f\n", reading.Sensor, reading.Value)
	}
	return nil
}
