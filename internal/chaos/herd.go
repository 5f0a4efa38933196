package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/token"
)

const (
	binWidth = 100 * time.Millisecond
	// slack is how much longer a busy machine may take to serve the last client.
	slack = 500 * time.Millisecond
	// maxPeak is the largest ratio of a bin to the mean.
	maxPeak = 2
	// dialers is the number of clients that connect at the same time at first.
	dialers = 50
)

// herd is a large number of clients of one server that is unreachable for a while.
type herd struct {
	size    int
	outage  time.Duration
	log     eventlog.Log
	addr    string
	iters   []*client.Iterator[event]
	fetches atomic.Int64

	// mu guards arrivals, which are the times of accepted connections.
	mu       sync.Mutex
	arrivals []time.Time
}

// run stops and restarts the server once, and writes how the clients reconnect. They have
// the defaults of package client.
func (h *herd) run(ctx context.Context, out io.Writer) (err error) {
	h.log = eventlog.NewMemory(nil)
	defer func() { err = errors.Join(err, h.log.Close()) }()
	stop, err := h.serve("127.0.0.1:0")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	defer h.close()
	if err := h.connect(ctx); err != nil {
		return err
	}
	if err := stop(); err != nil {
		return err
	}
	if err := sleep(ctx, h.outage); err != nil {
		return err
	}
	h.mu.Lock()
	h.arrivals = nil
	h.mu.Unlock()
	back := time.Now()
	if stop, err = h.serve(h.addr); err != nil {
		return err
	}
	for _, it := range h.iters {
		for it.State() != client.StateLive {
			if err := sleep(ctx, time.Millisecond); err != nil {
				return err
			}
		}
	}
	return h.report(out, back)
}

// serve starts the server. stop closes it and may be called again.
func (h *herd) serve(addr string) (stop func() error, err error) {
	listener, err := net.Listen("tcp", addr) //nolint:noctx // at once
	if err != nil {
		return func() error { return nil }, err
	}
	h.addr = listener.Addr().String()
	objects := durableobject.NewNamespace(func(_ context.Context, o *durableobject.Object[event]) (*durableobject.Object[event], error) {
		return o, nil
	}, &durableobject.Options{Verifier: secret, ResumeRetention: time.Minute, Log: h.log, TrimLog: true})
	srv := &http.Server{Handler: durableobject.NewHandler(objects, nil), ReadHeaderTimeout: 10 * time.Second}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = srv.Serve(counter{listener, h})
	}()
	return sync.OnceValue(func() error {
		err := srv.Close()
		<-served
		return errors.Join(err, objects.Shutdown(context.Background()))
	}), nil
}

// counter is a listener that records the times of accepted connections.
type counter struct {
	net.Listener
	herd *herd
}

func (c counter) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err == nil {
		c.herd.mu.Lock()
		c.herd.arrivals = append(c.herd.arrivals, time.Now())
		c.herd.mu.Unlock()
	}
	return conn, err
}

// connect connects the clients.
func (h *herd) connect(ctx context.Context) error {
	h.iters = make([]*client.Iterator[event], h.size)
	failures := make([]error, h.size)
	var next atomic.Int64
	var dialing sync.WaitGroup
	for range dialers {
		dialing.Go(func() {
			for i := int(next.Add(1)) - 1; i < h.size; i = int(next.Add(1)) - 1 {
				h.iters[i], failures[i] = client.Dial[event](ctx, client.TokenFunc(h.token), &client.Options{URL: "ws://" + h.addr})
			}
		})
	}
	dialing.Wait()
	return errors.Join(failures...)
}

func (h *herd) token(ctx context.Context) (string, error) {
	h.fetches.Add(1)
	now := time.Now()
	return secret.Sign(ctx, &token.Payload{Channel: "herd", IssuedAt: now, ExpiresAt: now.Add(time.Hour)})
}

func (h *herd) close() {
	var closing sync.WaitGroup
	for _, it := range h.iters {
		if it != nil {
			closing.Go(func() { _ = it.Close() })
		}
	}
	closing.Wait()
}

// report writes the figures, and returns an error if one is out of its bounds.
func (h *herd) report(out io.Writer, back time.Time) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	last := h.arrivals[len(h.arrivals)-1].Sub(back)
	bins := make([]int, last/binWidth+1)
	for _, at := range h.arrivals {
		bins[at.Sub(back)/binWidth]++
	}
	mean := float64(len(h.arrivals)) / float64(len(bins))
	peak := slices.Max(bins)
	var b strings.Builder
	fmt.Fprintf(&b, "%d clients, server down for %v: %d connections accepted within %.1f s of its restart\n",
		h.size, h.outage, len(h.arrivals), last.Seconds())
	fmt.Fprintf(&b, "accepted in each %v: %d\n", binWidth, bins)
	fmt.Fprintf(&b, "mean %.1f, peak %d, which is %.2f times the mean; %d tokens fetched\n",
		mean, peak, float64(peak)/mean, h.fetches.Load())
	_, err := io.WriteString(out, b.String())
	homecoming := max(h.outage/2, time.Second) + slack // as package client has it by default
	return errors.Join(err,
		check(last <= homecoming, "the last client connected after %v, not within %v", last, homecoming),
		check(float64(peak) <= maxPeak*mean, "the peak is more than %d times the mean", maxPeak),
		check(len(h.arrivals) == h.size, "%d connections for %d clients", len(h.arrivals), h.size),
		check(h.fetches.Load() == int64(h.size), "%d tokens fetched for %d lifetimes", h.fetches.Load(), h.size))
}

func check(ok bool, format string, args ...any) error {
	if ok {
		return nil
	}
	return fmt.Errorf(format, args...)
}
