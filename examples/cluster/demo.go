package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

// timeout is how long the demonstration may take.
const timeout = 2 * time.Minute

// stage has the servers, replicas and clients of the demonstration.
type stage struct {
	out      io.Writer
	dir      string
	servers  []*server.Server
	replicas []*replica
	web      []*httptest.Server
	balancer *balancer
	guests   []*guest
	said     []string
}

// guest is a client.
type guest struct {
	name string
	link *rpc.Link
	room *client.Iterator[Message]

	mu   sync.Mutex
	seen []string
}

// demo plays the demonstration. It returns an error if a client misses an event.
func demo(ctx context.Context, out io.Writer) (err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	s := &stage{out: out}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := s.build(ctx); err != nil {
		return err
	}
	steps := []struct {
		about string
		do    func()
	}{
		{"three replicas, three NATS servers", func() {}},
		{"replica 1 is killed, and its clients come back at another one", func() { s.kill(0) }},
		{"NATS server 2 is killed, and the others elect who leads", func() { s.servers[1].Shutdown() }},
		{"cat leaves, and is on no list once the grace of 5 s has passed", s.leave},
	}
	for _, step := range steps {
		fmt.Fprintf(out, "\n-- %s\n", step.about)
		step.do()
		for _, g := range s.guests {
			if err := s.say(ctx, g, fmt.Sprint("message ", len(s.said)+1)); err != nil {
				return err
			}
			fmt.Fprintf(out, "%s says %q\n", g.name, s.said[len(s.said)-1])
		}
		if err := s.check(ctx); err != nil {
			return err
		}
	}
	fmt.Fprintln(out, "\nEverybody saw everything, once and in order, and knows who is there.")
	return nil
}

func (s *stage) build(ctx context.Context) (err error) {
	if s.dir, err = os.MkdirTemp("", "cluster"); err != nil {
		return err
	}
	var urls []string
	if s.servers, urls, err = startNATS(3, s.dir); err != nil {
		return err
	}
	secret, addrs := token.Secret(rand.Text()), []string{}
	for i := range 3 {
		r, err := newReplica(ctx, fmt.Sprint("replica ", i+1), strings.Join(urls, ","), len(urls), secret)
		if err != nil {
			return err
		}
		web := httptest.NewServer(r.handler)
		s.replicas, s.web, addrs = append(s.replicas, r), append(s.web, web), append(addrs, web.Listener.Addr().String())
	}
	if s.balancer, err = newBalancer(addrs...); err != nil {
		return err
	}
	for _, name := range []string{"ann", "bob", "cat"} {
		g, err := s.enter(ctx, name)
		if err != nil {
			return err
		}
		s.guests = append(s.guests, g)
	}
	return nil
}

func (s *stage) enter(ctx context.Context, name string) (*guest, error) {
	addr := s.balancer.Addr().String()
	g := &guest{name: name, link: rpc.NewLink("http://"+addr+"/rpc", &rpc.LinkOptions{
		HTTPClient: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, // each call reaches the next replica
		Plugins: []rpc.LinkPlugin{&client.LinkPlugin{
			URL:     "ws://" + addr + "/room",
			Backoff: func(int) time.Duration { return 100 * time.Millisecond },
		}},
	})}
	var err error
	if g.room, err = client.Subscribe(ctx, g.link, Join, Guest{name}); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	go func() {
		for m, err := range g.room.All() {
			g.mu.Lock()
			if err != nil { // includes gaps
				g.seen = append(g.seen, err.Error())
			} else {
				g.seen = append(g.seen, m.Text)
			}
			g.mu.Unlock()
		}
	}()
	return g, nil
}

// say publishes at a replica. If that is gone, it tries another one.
func (s *stage) say(ctx context.Context, g *guest, text string) error {
	if _, err := Say.Call(ctx, g.link, Message{g.name, text}); err != nil {
		return fmt.Errorf("%s says %q: %w", g.name, text, err)
	}
	s.said = append(s.said, text)
	return nil
}

// check waits until all clients have all events and the right list of members, and prints
// them.
func (s *stage) check(ctx context.Context) error {
	for _, g := range s.guests {
		if err := until(ctx, func() (bool, error) { return g.sawAll(s.said), nil }); err != nil {
			return fmt.Errorf("%s saw %q, want %q: %w", g.name, g.seen, s.said, err)
		}
		where, err := Where.Call(ctx, g.room, rpc.Void{}, rpc.WithRetry(10))
		if err != nil {
			return fmt.Errorf("%s: %w", g.name, err)
		}
		here, want := []string{}, s.names()
		err = until(ctx, func() (_ bool, err error) { // replicas learn of each other's clients after a short time
			here, err = Here.Call(ctx, g.room, rpc.Void{}, rpc.WithRetry(10))
			slices.Sort(here)
			return slices.Equal(here, want), err
		})
		if err != nil {
			return fmt.Errorf("%s sees %q there, want %q: %w", g.name, here, want, err)
		}
		fmt.Fprintf(s.out, "%s, at %s, saw %d of %d; there are %s\n",
			g.name, where, len(s.said), len(s.said), strings.Join(here, ", "))
	}
	return nil
}

// until calls done until it returns true or an error, or ctx ends.
func until(ctx context.Context, done func() (bool, error)) error {
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// names returns the names of the connected guests.
func (s *stage) names() []string {
	names := make([]string, 0, len(s.guests))
	for _, g := range s.guests {
		names = append(names, g.name)
	}
	return slices.Sorted(slices.Values(names))
}

func (g *guest) sawAll(said []string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Equal(g.seen, said)
}

// kill stops a replica. For its clients it looks like a crash.
func (s *stage) kill(i int) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = s.web[i].Listener.Close()
	_ = s.replicas[i].rooms.Shutdown(ctx) // cuts its sockets
}

// leave disconnects the last guest.
func (s *stage) leave() {
	last := len(s.guests) - 1
	s.guests[last].room.Close()
	s.guests = s.guests[:last]
}

func (s *stage) close() (err error) {
	for _, g := range s.guests {
		g.room.Close()
	}
	if s.balancer != nil {
		err = s.balancer.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for i, r := range s.replicas {
		err = errors.Join(err, r.close(ctx))
		s.web[i].Close()
	}
	for _, server := range s.servers {
		server.Shutdown()
		server.WaitForShutdown()
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}
