package host

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// Hello is the line of JSON that a server prints when it listens.
type Hello struct {
	WS   string `json:"ws"`   // address of the sockets
	HTTP string `json:"http"` // address of everything else
	PID  int    `json:"pid"`
}

// NewMux returns a mux with the handlers that every server has: publishing and memory statistics.
func NewMux(p *Publisher) *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle("POST /bench/publish", p)
	mux.HandleFunc("GET /bench/stats", writeStats)
	mux.HandleFunc("POST /bench/gc", writeStats)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	return mux
}

// Serve prints a Hello and serves until it is stopped by a signal or, with BENCH_STDIN
// in the environment, by the end of standard input, so that a server does not outlive
// the program that has started it.
func Serve(listen string, handler http.Handler) error {
	ln, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	hello, err := json.Marshal(Hello{WS: ln.Addr().String(), HTTP: ln.Addr().String(), PID: os.Getpid()})
	if err != nil {
		return err
	}
	fmt.Println(string(hello))
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if os.Getenv("BENCH_STDIN") != "" {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			stop()
		}()
	}
	srv := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
		return srv.Close()
	}
}
