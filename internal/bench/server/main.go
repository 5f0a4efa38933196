// Command server is the library under a load generator: one channel, events
// published in the process through the public API, with the memory log, resume on
// and everything else at its default. It prints where it listens as one line of
// JSON.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/token"
)

const (
	channel = "bench"
	secret  = token.Secret("bench")
)

// payload is the event. It is what the load generator finds its figures by.
type payload struct {
	Seq int64  `json:"bseq"`
	TS  int64  `json:"bts"` // Unix nanoseconds, taken just before publishing
	Pad string `json:"pad"`
}

// firstSeq gives all sequence numbers the same number of digits.
const firstSeq = 1_000_000_000

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address")
	flag.Int("queue", 0, "not used: nothing is queued per socket")
	flag.Int("history", 0, "not used: events are kept by age")
	flag.String("store", "", "not used yet")
	flag.Parse()
	if err := run(*listen); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(listen string) error {
	rooms := durableobject.NewNamespace(func(_ context.Context, o *durableobject.Object[payload]) (*durableobject.Object[payload], error) {
		return o, nil
	}, &durableobject.Options{Verifier: secret, ResumeRetention: 10 * time.Minute})
	room, err := rooms.Get(context.Background(), channel)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/durable", durableobject.UpgradeHandler(rooms, nil))
	mux.HandleFunc("/bench/token", giveToken)
	mux.Handle("POST /bench/publish", &publisher{room})
	mux.HandleFunc("GET /bench/stats", giveStats)
	mux.HandleFunc("POST /bench/gc", giveStats)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)

	ln, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	hello, err := json.Marshal(map[string]any{"ws": ln.Addr().String(), "http": ln.Addr().String(), "pid": os.Getpid()})
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
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
		return srv.Close()
	}
}

func giveToken(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	tok, err := secret.Sign(r.Context(), &token.Payload{Channel: channel, IssuedAt: now, ExpiresAt: now.Add(24 * time.Hour)})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]string{"id": "bench", "token": tok})
}

// publisher answers a request to publish count events of size bytes, at a rate a
// second, staying at most window ahead of the count that the body keeps saying.
type publisher struct {
	room *durableobject.Object[payload]
}

func (p *publisher) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	num := func(name string) int64 {
		n, _ := strconv.ParseInt(r.URL.Query().Get(name), 10, 64)
		return n
	}
	count, rate, start, window := num("count"), num("rate"), num("start"), num("window")
	event := payload{Seq: firstSeq, TS: time.Now().UnixNano()}
	bare, err := json.Marshal(event)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	event.Pad = strings.Repeat("x", max(int(num("size"))-len(bare), 0))
	acks := &acks{body: r.Body, seen: start}
	began := time.Now()
	for i := range count {
		if rate > 0 {
			time.Sleep(time.Until(began.Add(time.Duration(i) * time.Second / time.Duration(rate))))
		}
		if window > 0 && !acks.wait(start+i-window) {
			http.Error(w, "acks ended", http.StatusBadRequest)
			return
		}
		event.Seq, event.TS = firstSeq+start+i, time.Now().UnixNano()
		if err := p.room.PublishEvent(r.Context(), event); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]int64{"count": count, "wall_ns": int64(time.Since(began))})
}
