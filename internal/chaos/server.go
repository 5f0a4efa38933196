package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject"
)

const (
	// asServer is the environment variable that makes this program the server.
	asServer = "CHAOS_SERVER"
	// shutdownPatience is how long a shutdown may take.
	shutdownPatience = 10 * time.Second
)

// The commands that the server reads, one per line with its argument. At the end of its
// input it shuts down.
const (
	burstCommand = "burst" // each room publishes that many events
	endCommand   = "end"   // each room publishes the last event of all
)

// The lines that the server writes: a word and its arguments.
const (
	readyWord  = "ready"  // the addresses without and with TLS
	ackedWord  = "acked"  // the place of an event that PublishEvent has published
	failedWord = "failed" // the error of PublishEvent
)

// server is the server process.
type server struct {
	out     io.Writer
	run     int
	members int
	houses  map[string]*house
	work    [rooms]chan mark // events to be published
}

// serve runs the server process. It returns at the end of in, unless the process is killed.
func serve(args []string, in io.Reader, out io.Writer) (err error) {
	flags := flag.NewFlagSet("server", flag.ContinueOnError)
	dir := flags.String("dir", "", "directory of the logs and the certificate")
	s := &server{out: out, houses: map[string]*house{}}
	flags.IntVar(&s.run, "run", 0, "number of this run")
	flags.IntVar(&s.members, "members", 0, "number of clients of a room")
	if err := flags.Parse(args); err != nil {
		return err
	}
	mux := http.NewServeMux()
	for _, kind := range []string{"kept", "brief"} {
		h, err := openHouse(filepath.Join(*dir, kind), kind)
		if err != nil {
			return err
		}
		s.houses[kind] = h
		mux.Handle("/"+kind, durableobject.NewHandler(h.rooms, nil))
	}
	certificate, err := loadCertificate(*dir)
	if err != nil {
		return err
	}
	plain, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // at once
	if err != nil {
		return err
	}
	secure, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // at once
	if err != nil {
		return err
	}
	srv := &http.Server{
		Handler: mux, TLSConfig: certificate, ReadHeaderTimeout: 10 * time.Second,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), // cut handshakes are not faults
	}
	var goroutines sync.WaitGroup
	goroutines.Go(func() { _ = srv.Serve(plain) })
	goroutines.Go(func() { _ = srv.ServeTLS(secure, "", "") })
	ctx, stopPublishing := context.WithCancel(context.Background())
	defer stopPublishing()
	for number := range s.work {
		s.work[number] = make(chan mark, 10_000)
		goroutines.Go(func() { s.publish(ctx, number) })
	}
	if _, err := fmt.Fprintln(out, readyWord, plain.Addr(), secure.Addr()); err != nil {
		return err
	}
	s.obey(in)
	stopPublishing()
	patience, cancel := context.WithTimeout(context.Background(), shutdownPatience)
	defer cancel()
	for _, h := range s.houses {
		h.rooms.Drain()
	}
	err = srv.Shutdown(patience)
	for _, h := range s.houses {
		err = errors.Join(err, h.close(patience))
	}
	goroutines.Wait()
	return err
}

// obey runs commands until the end of its input.
func (s *server) obey(in io.Reader) {
	var numbers [rooms]int
	next := func(last bool) {
		for number := range s.work {
			numbers[number]++
			s.work[number] <- mark{Room: number, Run: s.run, Number: numbers[number], Last: last}
		}
	}
	for lines := bufio.NewScanner(in); lines.Scan(); {
		var word string
		var size int
		_, _ = fmt.Sscan(lines.Text(), &word, &size) // the second is missing from some
		if word == endCommand {
			next(true)
		}
		for range size {
			next(false)
		}
	}
}

// publish publishes the events of a room, one after the other, and writes the result of
// each.
func (s *server) publish(ctx context.Context, number int) {
	r, err := s.houses[kindOf(number)].rooms.Get(ctx, channelOf(number))
	for err == nil {
		select {
		case <-ctx.Done():
			return
		case m := <-s.work[number]:
			if err = r.PublishEvent(ctx, m.event(), m.options(s.members)...); err == nil {
				_, err = fmt.Fprintln(s.out, ackedWord, m.Room, m.Run, m.Number, m.Last)
			}
		}
	}
	if ctx.Err() == nil {
		_, _ = fmt.Fprintln(s.out, failedWord, err)
	}
}
