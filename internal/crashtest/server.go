package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/durableobject/eventlog/filelog"
	"github.com/go-orpc/durable-iterator/token"
)

const (
	// asServer is the environment variable that makes this program the server.
	asServer = "CRASHTEST_SERVER"

	secret  = token.Secret("a secret for the crash test")
	channel = "room"

	// retention is longer than any run, so that the log drops nothing.
	retention = 24 * time.Hour
	// segmentBytes is small, so that some kills happen while a segment is created.
	segmentBytes = 256 << 10
	// listenPatience is how long to wait while another socket has the address.
	listenPatience = 10 * time.Second
)

// The commands that the server reads, one per line.
const (
	publishCommand = "publish" // start the publishers
	endCommand     = "end"     // publish the last event
)

// The lines that the server writes: a word and its argument.
const (
	readyWord  = "ready"  // the address
	ackedWord  = "acked"  // the mark of an event that PublishEvent has published, and its id
	failedWord = "failed" // the error of PublishEvent
)

type room = durableobject.Object[event]

// serve runs the server process. It returns at the end of in, which means that the
// process that should have killed it has ended.
func serve(args []string, in io.Reader, out io.Writer) error {
	flags := flag.NewFlagSet("server", flag.ContinueOnError)
	dir := flags.String("dir", "", "directory of the log")
	addr := flags.String("addr", "", "address to listen on")
	run := flags.Int("run", 0, "number of this run")
	publishers := flags.Int("publishers", 0, "number of goroutines that publish")
	next := flags.String("next", "", "the next event of each goroutine that publishes with keys")
	forgetful := flags.Bool("forgetful", false, "forget keys at once")
	if err := flags.Parse(args); err != nil {
		return err
	}
	o := &filelog.Options{Sync: filelog.SyncCommit, SegmentBytes: segmentBytes, KeyWindow: retention}
	if *forgetful {
		o.KeyWindow = 1
	}
	log, err := filelog.Open(*dir, o)
	if err != nil {
		return err
	}
	if err := log.Report().Err(); err != nil {
		return errors.Join(err, log.Close())
	}
	rooms := durableobject.NewNamespace(func(_ context.Context, o *room) (*room, error) { return o, nil },
		&durableobject.Options{Verifier: secret, ResumeRetention: retention, Log: log, TrimLog: true})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r, err := rooms.Get(ctx, channel)
	if err != nil {
		return err
	}
	ln, err := listen(ctx, *addr)
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: durableobject.NewHandler(rooms, nil), ReadHeaderTimeout: 10 * time.Second}
	var goroutines sync.WaitGroup
	goroutines.Go(func() { _ = srv.Serve(ln) })
	if err := write(out, readyWord, ln.Addr()); err != nil {
		return err
	}
	for commands := bufio.NewScanner(in); commands.Scan(); {
		switch commands.Text() {
		case publishCommand:
			for publisher := range *publishers {
				goroutines.Go(func() { publish(ctx, r, mark{Run: *run, Publisher: publisher + 1}, out) })
			}
			for i, n := range strings.Fields(*next) {
				m := mark{Publisher: *publishers + 1 + i}
				if m.Number, err = strconv.Atoi(n); err != nil {
					return err
				}
				goroutines.Go(func() { publishKeyed(ctx, r, m, out) })
			}
		case endCommand:
			_ = publishOne(ctx, r, mark{Run: *run, Number: 1}, out)
		}
	}
	cancel()
	err = errors.Join(srv.Close(), rooms.Shutdown(context.Background()), log.Close())
	goroutines.Wait()
	return err
}

// publish publishes events one after another.
func publish(ctx context.Context, r *room, m mark, out io.Writer) {
	var err error
	for err == nil {
		m.Number++
		err = publishOne(ctx, r, m, out)
	}
}

// publishKeyed publishes events with keys from m on, each twice at the same time, and
// sometimes one that was published before, in this run or an earlier one.
func publishKeyed(ctx context.Context, r *room, m mark, out io.Writer) {
	earlier := mark{Publisher: m.Publisher, Number: 1}
	var err error
	if m.Number > 1 {
		err = publishOne(ctx, r, earlier, out)
	}
	for err == nil {
		twin := make(chan error)
		go func() { twin <- publishOne(ctx, r, m, out) }()
		err = errors.Join(publishOne(ctx, r, m, out), <-twin)
		if err == nil && m.Number%4 == 0 {
			if earlier.Number = 1; m.Number%8 == 0 {
				earlier.Number = m.Number*3/4 - m.Number%3
			}
			err = publishOne(ctx, r, earlier, out)
		}
		m.Number++
	}
}

// publishOne publishes an event and writes the result.
func publishOne(ctx context.Context, r *room, m mark, out io.Writer) error {
	var id string
	opts := []durableobject.PublishOption{durableobject.WithEventID(&id)}
	if m.keyed() {
		opts = append(opts, durableobject.WithIdempotencyKey(m.String()))
	}
	err := r.PublishEvent(ctx, m.event(), opts...)
	if err == nil {
		return write(out, ackedWord, m.String()+" "+id)
	}
	if ctx.Err() == nil {
		err = errors.Join(err, write(out, failedWord, err))
	}
	return err
}

// write writes a line. Lines are so short that each is written completely or not at all,
// even if the process is killed.
func write(out io.Writer, word string, argument any) error {
	_, err := fmt.Fprintln(out, word, argument)
	return err
}

// listen listens on the address, and waits while another socket has its port: while no
// server runs, the system may use it for a connection.
func listen(ctx context.Context, addr string) (net.Listener, error) {
	ctx, cancel := context.WithTimeout(ctx, listenPatience)
	defer cancel()
	for {
		ln, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
		if !errors.Is(err, syscall.EADDRINUSE) {
			return ln, err
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return nil, err
		}
	}
}
