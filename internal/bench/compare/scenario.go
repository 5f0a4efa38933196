//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"time"
)

// scenario describes one measurement.
type scenario struct {
	name    string
	sockets int
	events  int64 // published in one request; for a resume, missed by each socket
	rate    int64 // events a second; 0 is as fast as possible
	window  int64 // how many events the publisher may be ahead of the slowest socket; 0 is no limit
	run     func(ctx context.Context, s *scenario, t *target) (figures, error)
}

// eventSize is the size of an event, in bytes of JSON.
const eventSize = 128

var scenarios = []scenario{
	{name: "burst, 100 sockets", sockets: 100, events: 10_000, run: fanOut},
	{name: "burst, 1,000 sockets", sockets: 1000, events: 1000, run: fanOut},
	{name: "window of 64, 1,000 sockets", sockets: 1000, events: 512, window: 64, run: fanOut},
	{name: "paced, 100 a second, 1,000 sockets", sockets: 1000, events: 200, rate: 100, run: fanOut},
	{name: "resume, 500 events, 300 sockets", sockets: 300, events: 500, run: resume},
	{name: "idle, 4,000 sockets", sockets: 4000, run: idle},
}

// target is a server under load, and its clients.
type target struct {
	*contestant
	*crowd
}

// figures are the measurements of a run; those that it has not made are 0.
type figures struct {
	deliveries int64         // to sockets, together
	wall       time.Duration // duration
	cpu        time.Duration // CPU time of the server
	client     time.Duration // CPU time of the client
	published  int64         // events
	publishing time.Duration // duration of publishing
	idle       float64       // resident bytes of the server for each socket
}

const (
	warmUp   = 20                     // events
	enough   = 500 * time.Millisecond // to measure
	mostRuns = 10                     // until there is enough
	pause    = 200 * time.Millisecond // between measurements
)

// measure runs do and waits until all expected messages have arrived.
func (t *target) measure(ctx context.Context, f *figures, do func() error) error {
	before, err := t.clock()
	if err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	if err := t.wait(ctx); err != nil {
		return err
	}
	after, err := t.clock()
	f.wall += after.now.Sub(before.now)
	f.cpu += after.server - before.server
	f.client += after.client - before.client
	return err
}

// times are readings of clocks.
type times struct {
	now            time.Time
	server, client time.Duration // on CPUs
}

func (t *target) clock() (c times, err error) {
	if c.client, err = cpuOf(os.Getpid()); err != nil {
		return c, err
	}
	c.server, err = cpuOf(t.hello.PID)
	c.now = time.Now()
	return c, err
}

// fanOut publishes events to sockets that are all connected.
func fanOut(ctx context.Context, s *scenario, t *target) (f figures, err error) {
	if err := t.open(ctx, s.sockets); err != nil {
		return f, err
	}
	first := int64(0)
	if err := t.burst(ctx, &figures{}, &scenario{sockets: s.sockets, events: warmUp}, first); err != nil {
		return f, err
	}
	first += warmUp
	time.Sleep(pause)
	for run := 0; run == 0 || (f.wall < enough && run < mostRuns); run++ {
		if err := t.burst(ctx, &f, s, first); err != nil {
			return f, err
		}
		first += s.events
	}
	return f, t.check(first)
}

// burst publishes the events of a scenario and waits until all sockets have received them.
func (t *target) burst(ctx context.Context, f *figures, s *scenario, first int64) error {
	n := int64(s.sockets) * s.events
	var p *pace
	if s.window > 0 {
		p = newPace(int64(s.sockets), first, s.events)
	}
	t.expect(n, p)
	f.deliveries += n
	var took time.Duration
	published := make(chan error, 1)
	err := t.measure(ctx, f, func() error {
		go func() {
			var err error
			took, err = t.publish(ctx, s, first, p)
			published <- err
		}()
		return nil
	})
	if p != nil {
		close(p.over)
	}
	if err := errors.Join(err, <-published); err != nil {
		return err
	}
	if s.rate == 0 && s.window == 0 { // otherwise the publisher mostly waits
		f.published += s.events
		f.publishing += took
	}
	return nil
}

// resume resumes sockets that have missed events. They are connected before the measurement
// begins.
func resume(ctx context.Context, s *scenario, t *target) (f figures, err error) {
	after, err := t.probe(ctx)
	if err != nil {
		return f, err
	}
	if _, err := t.publish(ctx, s, 1, nil); err != nil {
		return f, err
	}
	t.first = 1
	for run := 0; run == 0 || (f.wall < enough && run < mostRuns); run++ {
		n := int64(s.sockets) * s.events
		t.expect(n+int64(s.sockets), nil) // each also receives an answer
		f.deliveries += n
		if err := t.connect(ctx, s.sockets); err != nil {
			return f, err
		}
		time.Sleep(pause)
		if err := t.measure(ctx, &f, func() error { return t.subscribe(after) }); err != nil {
			return f, err
		}
		if err := t.check(1 + s.events); err != nil {
			return f, err
		}
		t.close()
	}
	return f, nil
}

// probe publishes the event before the missed ones and returns its position.
func (t *target) probe(ctx context.Context) (string, error) {
	t.kept = new(bytes.Buffer)
	if err := t.open(ctx, 1); err != nil {
		return "", err
	}
	defer func() {
		t.close()
		t.kept = nil
	}()
	if err := t.burst(ctx, &figures{}, &scenario{sockets: 1, events: 1}, 0); err != nil {
		return "", err
	}
	return t.dialect.position(t.kept.Bytes())
}

// idle subscribes sockets without publishing.
func idle(ctx context.Context, s *scenario, t *target) (f figures, err error) {
	before, err := t.resident(ctx)
	if err != nil {
		return f, err
	}
	if err := t.open(ctx, s.sockets); err != nil {
		return f, err
	}
	time.Sleep(time.Second)
	after, err := t.resident(ctx)
	f.idle = float64(after-before) / float64(s.sockets)
	return f, errors.Join(err, t.check(0))
}
