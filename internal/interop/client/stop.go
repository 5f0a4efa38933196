package main

import (
	"context"
	"errors"
	"time"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/internal/leak"
)

// stopChecks returns the checks of the end of iterators.
func stopChecks() []check {
	return []check{
		{name: "stop: Close", run: checkClose},
		{name: "stop: by context", run: checkStopByContext},
		{name: "stop: Close reaches running methods", run: func(t *T) {
			r := t.room()
			l := r.subscribe(subscribeInput{})
			answer := t.slow(t, l)
			t.ok(l.Close())
			err := t.answer(answer)
			t.assertf(errors.Is(err, client.ErrClosed), "the error of the call: %v", err)
			t.aborted(r.subscribe(subscribeInput{}), 1)
		}},
		{name: "stop: Close while there is no connection", run: func(t *T) {
			p := t.proxy(t.chat)
			l := t.room().subscribe(subscribeInput{}, p.through)
			p.block()
			l.down()
			t.soon("Close", func() { t.ok(l.Close()) })
			t.equal(l.State(), client.StateClosed)
		}},
		{name: "stop: nothing is left of it", run: checkNothingLeft},
	}
}

func checkClose(t *T) {
	r, p := t.room(), t.proxy(t.chat)
	l := r.subscribe(subscribeInput{}, p.through)
	r.publishAll("m1", "m2")
	l.expect("m1")
	t.soon("Close", func() { t.ok(l.Close()) })
	for e, err := range l.All() {
		t.failf("after the end there is %v, %v", e, err)
	}
	_, err := routerPing.Call(t, l, nil)
	t.assertf(errors.Is(err, client.ErrClosed), "the error of a call: %v", err)
	t.equal(l.State(), client.StateClosed)
	t.ok(l.Close())
	t.until("the close frame", func() bool { return p.closeCode() != 0 })
	t.equal(p.closeCode(), 1000)
	t.equal(l.connections(), 1)
}

func checkStopByContext(t *T) {
	r, p := t.room(), t.proxy(t.chat)
	cause := errors.New("no more interest")
	ctx, cancel := context.WithCancelCause(t)
	defer cancel(nil)
	o := t.options(p.through)
	it, err := client.Subscribe(ctx, t.link(o), onMessage, subscribeInput{Room: r.name})
	t.ok(err)
	t.cleanup(func() { _ = it.Close() }) // always returns nil
	r.publish("m1")
	var last error
	n := 0
	for _, err := range it.All() {
		n, last = n+1, err
		cancel(cause)
	}
	t.equal(n, 2) // the event and the error
	t.assertf(errors.Is(last, context.Canceled) && errors.Is(last, cause), "the error of the loop: %v", last)
	t.until("the end of the iterator", func() bool { return it.State() == client.StateClosed })
	_, err = routerPing.Call(t, it, nil)
	t.assertf(errors.Is(err, client.ErrClosed), "the error of a call: %v", err)
	t.until("the close frame", func() bool { return p.closeCode() != 0 })
	t.equal(p.closeCode(), 1000)
}

// checkNothingLeft ends iterators in several states, and counts the goroutines of the
// client before and after.
func checkNothingLeft(t *T) {
	before := goroutines()
	r, p := t.room(), t.proxy(t.chat)
	closed := r.subscribe(subscribeInput{TTL: 60}, p.through, early)
	ctx, cancel := context.WithCancel(t)
	defer cancel()
	stopped, err := client.Subscribe(ctx, t.link(t.options()), onMessage, subscribeInput{Room: r.name})
	t.ok(err)
	waiting := r.subscribe(subscribeInput{}, p.through, func(o *client.Options) {
		o.Backoff = func(int) time.Duration { return time.Hour }
	})
	_, err = routerPing.Call(t, closed, nil)
	t.ok(err)
	t.assertf(goroutines() > before, "the goroutines of iterators are counted: %d", before)
	t.ok(closed.Close())
	p.block()
	t.until("the pause", func() bool { return waiting.State() == client.StateWaiting })
	t.ok(waiting.Close())
	cancel()
	t.until("the end", func() bool { return stopped.State() == client.StateClosed })
	t.ok(stopped.Close())
	t.until("the end of all goroutines", func() bool { return goroutines() <= before })
}

// goroutines returns the number of goroutines that package client has started, with those
// of sockets.
func goroutines() int { return len(leak.Find("go-orpc/durable-iterator/client.")) }

// soon ends the check if fn takes too long.
func (t *T) soon(what string, fn func()) {
	start := time.Now()
	fn()
	took := time.Since(start)
	t.assertf(took < 5*time.Second, "%s returns within 5 s: %v", what, took)
}
