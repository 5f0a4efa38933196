// Command server serves the library for a load generator. Events are stored in memory, with
// -store=file:DIR in a filelog that syncs each commit, or with -store=everysec:DIR in one
// that syncs every second. It prints its addresses as one line of JSON.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog/filelog"
	"github.com/go-orpc/durable-iterator/internal/bench/host"
	"github.com/go-orpc/durable-iterator/internal/bench/library"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address")
	flag.Int("queue", 0, "not used: nothing is queued per socket")
	flag.Int("history", 0, "not used: events are kept by age")
	store := flag.String("store", "", "file:DIR or everysec:DIR stores events in a directory instead of in memory")
	publishers := flag.Int("publishers", 1,
		"number of goroutines that publish, unless there is a rate or a window; events are then not stored in the order of their numbers")
	flag.Parse()
	if err := run(*listen, *store, *publishers); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(listen, store string, publishers int) (err error) {
	var log eventlog.Log // in memory
	if kind, dir, ok := strings.Cut(store, ":"); ok {
		o := &filelog.Options{Retention: library.Retention}
		if kind == "everysec" {
			o.Sync, o.SyncInterval = filelog.SyncInterval, time.Second
		}
		files, err := filelog.Open(dir, o)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, files.Close()) }()
		log = files
	}
	handler, err := library.NewHandler(log, publishers)
	if err != nil {
		return err
	}
	return host.Serve(listen, handler)
}
