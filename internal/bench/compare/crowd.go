//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
)

// crowd is a number of sockets that subscribe to a server.
type crowd struct {
	dialect dialect
	addr    netip.AddrPort
	first   int64         // the number of the first event that a new socket receives
	kept    *bytes.Buffer // nil, or the messages that the only socket receives

	sockets []*socket
	readers sync.WaitGroup
	failed  chan error // the first failure of a socket
	closing atomic.Bool
	round   atomic.Pointer[round]
}

func newCrowd(d dialect, addr netip.AddrPort) *crowd {
	c := &crowd{dialect: d, addr: addr, failed: make(chan error, 1)}
	c.expect(0, nil)
	return c
}

// round counts down the answers and events that the sockets must receive together.
type round struct {
	left atomic.Int64
	done chan struct{}
	pace *pace // nil unless the publisher waits for the slowest socket
}

// expect begins a round of n arrivals. None may arrive meanwhile.
func (c *crowd) expect(n int64, p *pace) {
	r := &round{done: make(chan struct{}), pace: p}
	r.left.Store(n)
	c.round.Store(r)
}

// arrive counts arrivals at a socket whose next event has advanced from one number to
// another.
func (r *round) arrive(n, from, to int64) {
	if n == 0 {
		return
	}
	if r.pace != nil {
		r.pace.moved(from, to)
	}
	if r.left.Add(-n) == 0 {
		close(r.done)
	}
}

// wait returns once all have arrived, with an error unless they were in order.
func (c *crowd) wait(ctx context.Context) error {
	r := c.round.Load()
	select {
	case <-r.done:
		return nil
	case err := <-c.failed:
		return err
	case <-ctx.Done():
		return fmt.Errorf("%d deliveries are missing: %w", r.left.Load(), ctx.Err())
	}
}

// check returns an error unless every socket has received exactly the events before next.
func (c *crowd) check(next int64) error {
	for i, s := range c.sockets {
		if s.next != next {
			return fmt.Errorf("the next event of socket %d is %d instead of %d", i, s.next, next)
		}
	}
	select {
	case err := <-c.failed:
		return err
	default:
		return nil
	}
}

// dialers is how many sockets are dialed at a time.
const dialers = 64

// connect opens n sockets.
func (c *crowd) connect(ctx context.Context, n int) error {
	c.sockets = make([]*socket, n)
	errs := make(chan error, n)
	turn := make(chan struct{}, dialers)
	for i := range n {
		turn <- struct{}{}
		go func() {
			s, err := c.dial(ctx, i)
			c.sockets[i] = s
			errs <- err
			<-turn
		}()
	}
	var failed error
	for range n {
		if err := <-errs; err != nil {
			failed = err
		}
	}
	if failed != nil {
		return failed
	}
	for _, s := range c.sockets {
		c.readers.Go(func() { c.read(s) })
	}
	return nil
}

func (c *crowd) read(s *socket) {
	if err := s.read(); err != nil && !c.closing.Load() {
		select {
		case c.failed <- err:
		default:
		}
	}
}

// subscribe subscribes all sockets, after a position unless that is empty.
func (c *crowd) subscribe(after string) error {
	for _, s := range c.sockets {
		if err := s.subscribe(after); err != nil {
			return err
		}
	}
	return nil
}

// open opens n sockets and waits until they are subscribed.
func (c *crowd) open(ctx context.Context, n int) error {
	c.expect(int64(n), nil)
	if err := c.connect(ctx, n); err != nil {
		return err
	}
	if err := c.subscribe(""); err != nil {
		return err
	}
	return c.wait(ctx)
}

// close closes all sockets, and waits for their readers.
func (c *crowd) close() {
	c.closing.Store(true)
	for _, s := range c.sockets {
		if s != nil {
			s.close()
		}
	}
	c.readers.Wait()
	c.closing.Store(false)
	c.sockets = nil
}
