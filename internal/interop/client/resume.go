package main

import (
	"time"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/token"
)

// resumeChecks returns the checks of connections that are lost and iterators that resume.
// Some servers replay events in the order of their ids as strings, so a room has at most
// nine events.
func resumeChecks() []check {
	return []check{
		{name: "resume: each event once and in order", run: func(t *T) {
			r, p := t.room(), t.proxy(t.chat)
			l := r.subscribe(subscribeInput{}, p.through)
			r.publishAll("m1", "m2")
			l.expect("m1", "m2")
			p.block()
			r.publishAll(numbers(3, 7)...)
			p.mend()
			l.expect(numbers(3, 7)...)
			r.publishAll("m8", "m9")
			l.expect("m8", "m9")
			t.equal(l.connections(), 2)
		}},
		{name: "resume: events that have arrived but were not read come once", run: func(t *T) {
			r, p := t.room(), t.proxy(t.chat)
			l := r.subscribe(subscribeInput{}, p.through)
			r.publishAll(numbers(1, 5)...)
			l.expect("m1", "m2")
			p.drop()
			l.expect("m3", "m4", "m5")
			r.publish("m6")
			l.expect("m6")
		}},
		{name: "resume: several losses", run: func(t *T) {
			r, p := t.room(), t.proxy(t.chat)
			l := r.subscribe(subscribeInput{}, p.through)
			for _, m := range numbers(1, 8) {
				r.publish(m)
				l.expect(m)
				p.drop()
			}
			l.down()
			r.publish("m9")
			l.expect("m9")
		}},
		{name: "resume: filters are applied again", run: checkFiltersAgain},
		{name: "resume: a target is known by its id", run: checkTargetAgain},
		{name: "resume: natives and metadata are replayed", run: func(t *T) {
			r, p := t.room(), t.proxy(t.chat)
			l := r.subscribe(subscribeInput{}, p.through)
			r.publish("before")
			l.expect("before")
			p.block()
			sent := publishInput{Data: samples()[len(samples())-1].value, Meta: eventMeta{Retry: 5, Comments: []string{"c"}}}
			r.publish("m", sent)
			p.mend()
			e := l.next()
			t.equal(e.Data, event{"m", sent.Data})
			t.equal(e.Meta.Retry.String(), "5ms")
			t.equal(e.Meta.Comments, []string{"c"})
		}},
		{name: "resume: the last event id of the application", run: func(t *T) {
			r := t.room()
			l := r.subscribe(subscribeInput{})
			r.publishAll(numbers(1, 9)...)
			l.expect("m1", "m2")
			id := l.LastEventID()
			t.equal(l.next().Data.Message, "m3")
			t.ok(l.Close())
			r.subscribeFrom(id, subscribeInput{}).expect(numbers(3, 9)...)
			r.subscribeFrom("0", subscribeInput{}).expect(numbers(1, 9)...)
		}},
		{name: "resume: the pause that an event asks for", run: checkPause},
		{name: "resume: nothing, where rooms keep no events", run: checkPlainLoss},
	}
}

func checkPause(t *T) {
	r, p := t.room(), t.proxy(t.chat)
	l := r.subscribe(subscribeInput{}, p.through)
	r.publish("hint", publishInput{Meta: eventMeta{Retry: 400}})
	l.expect("hint")
	start := time.Now()
	p.drop()
	r.publish("after")
	l.expect("after")
	pause := time.Since(start)
	t.assertf(pause >= 400*time.Millisecond, "the client has waited: %v", pause)
}

func checkPlainLoss(t *T) {
	p := t.proxy(t.plain())
	l, publish := t.plainRoom(p.address)
	publish(publishInput{Message: "before"})
	l.expect("before")
	p.block()
	publish(publishInput{Message: "lost"})
	p.mend()
	t.until("another connection", func() bool { return l.connections() == 2 })
	publish(publishInput{Message: "after"})
	e, err := l.take()
	if gap(err) != 0 { // which not all servers report
		e, err = l.take()
	}
	t.ok(err)
	t.equal(e.Data.Message, "after")
}

func checkFiltersAgain(t *T) {
	r, p := t.room(), t.proxy(t.chat)
	id := newRoom()
	l := r.subscribe(subscribeInput{Tags: []string{"a"}, Att: attachment{Role: "user"}}, p.through, withID(id))
	r.publish("before")
	l.expect("before")
	// The filters are applied to the open sockets.
	other := r.subscribe(subscribeInput{Att: attachment{Role: "admin"}})
	p.block()
	r.publish("a", publishInput{Tags: []string{"a"}})
	r.publish("b", publishInput{Tags: []string{"b"}})
	r.publish("for another", publishInput{TargetIDs: []string{other.ID()}})
	r.publish("for admins", publishInput{Role: "admin"})
	r.publish("end")
	p.mend()
	l.expect("a", "end")
	other.expect("for another", "for admins", "end")
}

func checkTargetAgain(t *T) {
	r := t.room()
	l := r.subscribe(subscribeInput{Att: attachment{Welcome: true}})
	l.expect("welcome")
	t.ok(l.Close())
	r.publish("end")
	r.subscribeFrom("0", subscribeInput{}, withID(l.ID())).expect("welcome", "end")
	r.subscribeFrom("0", subscribeInput{}).expect("end")
}

// withID returns a change that sets the id of an iterator.
func withID(id string) func(*client.Options) {
	return func(o *client.Options) {
		o.CreateID = func(*token.Payload) string { return id }
	}
}
