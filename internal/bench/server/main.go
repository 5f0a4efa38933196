// Command server is the library under a load generator: one channel, events
// published in the process through the public API, with resume on and everything
// else at its default. Events are kept in memory, or with -store=file:DIR in a
// filelog that syncs each commit, or every second with -store=everysec:DIR. It prints
// where it listens as one line of JSON.
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
	"github.com/go-orpc/durable-iterator/durableobject/eventlog/filelog"
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
	store := flag.String("store", "", "file:DIR or everysec:DIR keeps events in a folder instead of in memory")
	publishers := flag.Int("publishers", 1, "goroutines that publish, unless at a rate or in a window; their events are numbered in another order than they are stored")
	flag.Parse()
	if err := run(*listen, *store, *publishers); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

const retention = 10 * time.Minute

func run(listen, store string, publishers int) error {
	options := &durableobject.Options{Verifier: secret, ResumeRetention: retention}
	if kind, dir, ok := strings.Cut(store, ":"); ok {
		o := &filelog.Options{Retention: retention}
		if kind == "everysec" {
			o.Sync, o.SyncInterval = filelog.SyncInterval, time.Second
		}
		log, err := filelog.Open(dir, o)
		if err != nil {
			return err
		}
		defer log.Close()
		options.Log = log
	}
	rooms := durableobject.NewNamespace(func(_ context.Context, o *durableobject.Object[payload]) (*durableobject.Object[payload], error) {
		return o, nil
	}, options)
	room, err := rooms.Get(context.Background(), channel)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/durable", durableobject.UpgradeHandler(rooms, nil))
	mux.HandleFunc("/bench/token", giveToken)
	mux.Handle("POST /bench/publish", &publisher{room, publishers})
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
	room     *durableobject.Object[payload]
	parallel int
}

func (p *publisher) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	num := func(name string) int64 {
		n, _ := strconv.ParseInt(r.URL.Query().Get(name), 10, 64)
		return n
	}
	pad, err := padding(int(num("size")))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	l := &loop{room: p.room, pad: pad, count: num("count"), start: num("start"), rate: num("rate"), window: num("window"), began: time.Now()}
	l.acks = &acks{body: r.Body, seen: l.start}
	if err := l.run(r.Context(), p.parallel); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]int64{"count": l.count, "wall_ns": int64(time.Since(l.began))})
}

// padding gives what makes an event size bytes long.
func padding(size int) (string, error) {
	bare, err := json.Marshal(payload{Seq: firstSeq, TS: time.Now().UnixNano()})
	return strings.Repeat("x", max(size-len(bare), 0)), err
}
