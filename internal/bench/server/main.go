// Command server is the library under a load generator. Events are kept in memory, or
// with -store=file:DIR in a filelog that syncs each commit, or every second with
// -store=everysec:DIR. It prints where it listens as one line of JSON.
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
	store := flag.String("store", "", "file:DIR or everysec:DIR keeps events in a folder instead of in memory")
	publishers := flag.Int("publishers", 1,
		"goroutines that publish, unless at a rate or in a window; their events are numbered in another order than they are stored")
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
