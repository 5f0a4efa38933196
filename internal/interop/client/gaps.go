package main

import (
	"errors"

	"github.com/go-orpc/durable-iterator/client"
)

// gapChecks returns the checks of what servers of this library add to resume: no event is
// lost or omitted without an error, however the connection is lost.
func gapChecks() []check {
	return []check{
		{name: "resume: past ten events", weakness: "W1", run: func(t *T) {
			r, p := t.room(), t.proxy(t.chat)
			l := r.subscribe(subscribeInput{}, p.through)
			r.publish("m1")
			l.expect("m1")
			p.block()
			r.publishAll(numbers(2, 25)...)
			p.mend()
			l.expect(numbers(2, 25)...)
			p.drop()
			r.publish("m26")
			l.expect("m26")
		}},
		{name: "resume: lost again and again while events come", weakness: "W1", run: func(t *T) {
			r, p := t.room(), t.proxy(t.chat)
			l := r.subscribe(subscribeInput{}, p.through)
			for i, m := range numbers(1, 100) {
				r.publish(m)
				if i%20 == 10 {
					p.drop()
				}
			}
			l.expect(numbers(1, 100)...)
		}},
		{name: "resume: lost before the first event", weakness: "W2", run: func(t *T) {
			r, p := t.room(), t.proxy(t.chat)
			l := r.subscribe(subscribeInput{}, p.through)
			p.block()
			r.publishAll("m1", "m2")
			p.mend()
			l.expect("m1", "m2")
		}},
		{name: "resume: read too slowly, nothing is lost", weakness: "W39", run: func(t *T) {
			r := t.room()
			l := r.subscribe(subscribeInput{}, func(o *client.Options) { o.BufferSize = 4 })
			r.publishAll(numbers(1, 40)...)
			l.expect(numbers(1, 40)...)
		}},
		{name: "gap: an id that the server does not know", weakness: "W6", run: func(t *T) {
			r := t.room()
			r.publish("m1")
			l := r.subscribeFrom("unknown-9", subscribeInput{})
			_, err := l.take()
			t.equal(gap(err), client.GapTruncated)
			r.publish("m2")
			t.assertf(l.readTo("m2"), "the iterator goes on")
		}},
		{name: "gap: rooms that keep no events", extension: true, run: func(t *T) {
			p := t.proxy(t.plain())
			l, publish := t.plainRoom(p.address)
			publish(publishInput{Message: "before"})
			l.expect("before")
			p.drop()
			_, err := l.take()
			t.equal(gap(err), client.GapNoResume)
			publish(publishInput{Message: "after"})
			l.expect("after")
		}},
	}
}

// gap returns the reason of a gap, or 0 if err is not a gap.
func gap(err error) client.GapReason {
	if g, ok := errors.AsType[*client.GapError](err); ok {
		return g.Reason
	}
	return 0
}
