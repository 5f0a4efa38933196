// Command elsewhere publishes from a process that does not have the sockets.
//
//	go run ./examples/elsewhere
//
// It serves a hub with two users connected, starts itself a second time as a worker that
// publishes, prints the events that the users receive, and exits.
package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"time"

	"github.com/go-orpc/durable-iterator/token"
)

// The environment of a worker.
const (
	hubAddress = "ELSEWHERE_HUB"
	hubToken   = "ELSEWHERE_TOKEN"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	var err error
	if server := os.Getenv(hubAddress); server != "" {
		err = work(ctx, server, os.Getenv(hubToken))
	} else {
		err = play(ctx, os.Stdout)
	}
	cancel()
	if err != nil {
		log.Fatal(err)
	}
}

func play(ctx context.Context, out io.Writer) error {
	serviceToken := rand.Text()
	server, stop, err := serve(ctx, serviceToken)
	if err != nil {
		return err
	}
	defer stop()
	ann, err := watch(ctx, server, "ann's laptop", "ops")
	if err != nil {
		return err
	}
	defer ann.Close()
	bob, err := watch(ctx, server, "bob's phone")
	if err != nil {
		return err
	}
	defer bob.Close()

	if err := startWorker(ctx, server, serviceToken); err != nil {
		return err
	}
	if err := show(out, ann); err != nil {
		return err
	}
	return show(out, bob)
}

// startWorker runs this program again, as a worker, and waits for it.
func startWorker(ctx context.Context, server, serviceToken string) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	worker := exec.CommandContext(ctx, program) //nolint:gosec // the program is this one
	worker.Env = append(os.Environ(), hubAddress+"="+server, hubToken+"="+serviceToken)
	if output, err := worker.CombinedOutput(); err != nil {
		return fmt.Errorf("worker: %w: %s", err, output)
	}
	return nil
}

// serve starts the hub. stop stops it and closes its sockets.
func serve(ctx context.Context, serviceToken string) (url string, stop func(), err error) {
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	handler, shutdown := newHub(token.Secret(rand.Text()), serviceToken)
	srv := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = srv.Serve(ln) }()
	return "http://" + ln.Addr().String(), func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = srv.Shutdown(ctx)
		_ = shutdown(ctx)
	}, nil
}
