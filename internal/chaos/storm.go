package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/go-orpc/durable-iterator/client"
)

const (
	// tickAtLeast is how long a tick takes.
	tickAtLeast = 200 * time.Millisecond
	// settlePatience is how long servers may take to publish a burst.
	settlePatience = 30 * time.Second
	// lastMoments bounds the time between the last burst of a server and its end.
	lastMoments = 50 * time.Millisecond
	// sharePercent is the smallest part of a room's events that a member receives.
	sharePercent = 76
)

// storm is a running plan.
type storm struct {
	plan
	dir    string
	random *rand.Rand

	proxies          []*proxy // without and with TLS
	around           surroundings
	watchers         []*watcher
	record           record
	server           *process
	dropped          atomic.Int64
	graceful, killed int
}

func (s *storm) run(ctx context.Context) error {
	if err := s.prepare(); err != nil {
		return err
	}
	for run := 1; run <= s.restarts+1; run++ {
		err := s.live(ctx, run)
		if err == nil {
			err = s.endServer(ctx, run)
		}
		if err != nil {
			return fmt.Errorf("run %d of the server: %w", run, err)
		}
	}
	return nil
}

// prepare creates everything except the server.
func (s *storm) prepare() error {
	pool, err := makeCertificate(s.dir)
	if err != nil {
		return err
	}
	for stream := range uint64(2) {
		p, err := startProxy(newRandom(s.seed, 2+stream), func() { s.dropped.Add(1) })
		if err != nil {
			return err
		}
		s.proxies = append(s.proxies, p)
	}
	s.around.plain, s.around.secure, s.around.seed = s.proxies[0].addr(), s.proxies[1].addr(), s.seed
	s.around.http = &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
	}}
	return nil
}

// live starts a server and runs its part of the ticks; the last one runs the rest.
func (s *storm) live(ctx context.Context, run int) error {
	if err := s.start(ctx, run); err != nil {
		return err
	}
	last := run == s.restarts+1
	for n := 0; n < s.ticks/(s.restarts+1) || last && !s.enough(); n++ {
		if err := s.tick(ctx); err != nil {
			return err
		}
	}
	if last {
		return s.calm(ctx)
	}
	return nil
}

// start starts a server. With the first server it also starts the clients, before anything
// is published, so that they receive all events.
func (s *storm) start(ctx context.Context, run int) (err error) {
	s.record.begin()
	members := (s.clients + rooms - 1) / rooms
	if s.server, err = startProcess(ctx, s.dir, run, members, s.record.ack); err != nil {
		return err
	}
	if err := s.server.Wait(ctx); err != nil {
		return err
	}
	s.proxies[0].point(s.server.plain)
	s.proxies[1].point(s.server.secure)
	for number := len(s.watchers); number < s.clients; number++ {
		w, err := s.around.watch(ctx, number)
		if err != nil {
			return err
		}
		s.watchers = append(s.watchers, w)
	}
	return nil
}

// enough reports whether the plan's minimum numbers are reached.
func (s *storm) enough() bool {
	return s.around.tally.yields.Load() >= int64(s.events) && s.dropped.Load() >= int64(s.drops)
}

// tick makes the rooms publish while faults happen.
func (s *storm) tick(ctx context.Context) error {
	start := time.Now()
	if err := s.burst(); err != nil {
		return err
	}
	faults := s.drops/s.ticks + 1
	for range faults {
		if err := sleep(ctx, tickAtLeast/time.Duration(faults)); err != nil {
			return err
		}
		s.proxies[s.random.IntN(len(s.proxies))].strike()
	}
	if err := s.settle(ctx); err != nil {
		return err
	}
	return sleep(ctx, time.Until(start.Add(tickAtLeast)))
}

// burst makes the rooms publish as many events as a tick needs.
func (s *storm) burst() error {
	events := s.events*100/sharePercent/s.clients/s.ticks + 1
	s.record.tell(events, false)
	return s.server.Tell(burstCommand, events)
}

// settle waits until the server has published all bursts.
func (s *storm) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, settlePatience)
	defer cancel()
	for !s.record.settled() {
		select {
		case <-s.server.Ended():
			return errors.Join(errors.New("the server ended"), s.server.Err())
		default:
		}
		if err := sleep(ctx, time.Millisecond); err != nil {
			return fmt.Errorf("wait for events to be published: %w", err)
		}
	}
	return nil
}

// calm ends the faults, publishes the last event when all clients are connected, so that
// none misses it, and waits until they have received it.
func (s *storm) calm(ctx context.Context) error {
	s.around.calm.Store(true)
	for _, p := range s.proxies {
		p.soothe()
	}
	for _, w := range s.watchers {
		for w.it.State() != client.StateLive && w.it.State() != client.StateClosed {
			if err := sleep(ctx, 10*time.Millisecond); err != nil {
				return fmt.Errorf("client %s does not reconnect: %w", w.id(), err)
			}
		}
	}
	s.record.tell(1, true)
	if err := s.server.Tell(endCommand); err != nil {
		return err
	}
	for _, w := range s.watchers {
		if err := w.wait(ctx); err != nil {
			return fmt.Errorf("client %s: %w", w.id(), err)
		}
	}
	return nil
}

// endServer shuts the server down or kills it while it publishes.
func (s *storm) endServer(ctx context.Context, run int) error {
	if run <= s.restarts {
		if err := s.burst(); err != nil {
			return err
		}
		if err := sleep(ctx, time.Duration(s.random.Int64N(int64(lastMoments)))); err != nil {
			return err
		}
	}
	server := s.server
	s.server = nil
	defer func() {
		for _, p := range s.proxies {
			p.point("")
		}
	}()
	if run%2 == 0 {
		s.killed++
		return server.Kill()
	}
	s.graceful++
	return server.Stop()
}

// close closes everything, in the order of dependencies.
func (s *storm) close() {
	for _, w := range s.watchers {
		w.close()
	}
	if s.server != nil {
		_ = s.server.Kill()
	}
	for _, p := range s.proxies {
		p.close()
	}
	if s.around.http != nil {
		s.around.http.CloseIdleConnections()
	}
}
