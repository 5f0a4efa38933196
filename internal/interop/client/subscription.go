package main

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/rpc"
)

// subscriptionChecks returns the checks of subscriptions without faults.
func subscriptionChecks() []check {
	checks := []check{
		{name: "subscription: events in order", run: func(t *T) {
			r := t.room()
			l := r.subscribe(subscribeInput{})
			r.publishAll(numbers(1, 50)...)
			l.expect(numbers(1, 50)...)
		}},
		{name: "subscription: ids rise", run: func(t *T) {
			r := t.room()
			l := r.subscribe(subscribeInput{})
			var ids []int
			for range 12 { // beyond 9 and 10, whose order as strings differs
				r.publish("m")
				ids = append(ids, t.number(l.next().Meta.ID))
			}
			t.assertf(slices.IsSorted(ids) && len(slices.Compact(ids)) == 12, "the ids rise: %v", ids)
		}},
		{name: "subscription: 1 MiB event", run: func(t *T) {
			r := t.room()
			l := r.subscribe(subscribeInput{})
			large := strings.Repeat("x", 1<<20)
			r.publishAll(large, "end")
			l.expect(large, "end")
		}},
		{name: "subscription: retry and comments are kept, the id is not", run: func(t *T) {
			r := t.room()
			l := r.subscribe(subscribeInput{})
			r.publish("m", publishInput{Meta: eventMeta{ID: "own", Retry: 4321, Comments: []string{"one", "zwei é"}}})
			meta := l.next().Meta
			t.assertf(meta.ID != "own" && meta.ID != "", "the id is that of the server: %q", meta.ID)
			meta.ID = ""
			t.equal(meta, rpc.EventMeta{Retry: 4321 * time.Millisecond, Comments: []string{"one", "zwei é"}})
		}},
		{name: "subscription: metadata without resume is as it was given", run: func(t *T) {
			l, publish := t.plainRoom(t.plain())
			publish(publishInput{Message: "m", Meta: eventMeta{ID: "own", Retry: 4321, Comments: []string{"one"}}})
			t.equal(l.next().Meta, rpc.EventMeta{ID: "own", Retry: 4321 * time.Millisecond, Comments: []string{"one"}})
			publish(publishInput{Message: "none"})
			t.equal(l.next().Meta, rpc.EventMeta{})
		}},
		{name: "subscription: metadata that an event cannot carry", run: func(t *T) {
			for _, meta := range []eventMeta{{Retry: -1}, {Comments: []string{"a\nb"}}} {
				_, err := sendMessage.Call(t, t.link(client.Options{}), publishInput{Message: "m", Room: newRoom(), Meta: meta})
				e := t.sent(err)
				t.assertf(e.Status >= 400, "the status is that of an error: %d", e.Status)
			}
		}},
		{name: "subscription: rooms are apart", run: func(t *T) {
			one, other := t.room(), t.room()
			listenerOfOne, listenerOfOther := one.subscribe(subscribeInput{}), other.subscribe(subscribeInput{})
			one.publishAll("for one", "end")
			other.publishAll("for the other", "end")
			listenerOfOne.expect("for one", "end")
			listenerOfOther.expect("for the other", "end")
		}},
		{name: "subscription: the seed has two tags, and no methods", run: func(t *T) { checkSeed(t) }},
		{name: "subscription: without input", run: func(t *T) {
			l := subscribe(t, onSomeMessage, rpc.Void{}, t.options())
			t.equal(l.Token().Channel, "some-room")
			t.equal(l.Token().RPC, []string{"singleClient", "routerClient", "toolbox"})
			t.assertf(l.Token().Tags == nil, "there are no tags: %v", l.Token().Tags)
			t.equal(l.Token().ExpiresAt.Sub(l.Token().IssuedAt).String(), "24h0m0s")
		}},
		{name: "subscription: addresses keep their own query", run: func(t *T) {
			l := t.room().subscribe(subscribeInput{}, func(o *client.Options) { o.URL += "?id=another&a=b" })
			me, err := toolboxWhoami.Call(t, l, rpc.Void{})
			t.ok(err)
			t.equal(me.ID, l.ID())
		}},
		{name: "subscription: two loops share the events", run: checkTwoLoops},
	}
	for _, s := range samples() {
		checks = append(checks, check{name: "subscription: event with data: " + s.name, run: func(t *T) {
			r := t.room()
			l := r.subscribe(subscribeInput{})
			// The value is in a list, because a null member cannot be distinguished from an
			// absent one.
			r.publish("m", publishInput{Data: []any{s.value}})
			t.equal(l.next().Data, event{"m", []any{s.value}})
		}})
	}
	return checks
}

// plainRoom subscribes to a room without resume, and returns a function that publishes in it.
func (t *T) plainRoom(address string) (l *listener, publish func(publishInput)) {
	name := newRoom()
	o := t.options(func(o *client.Options) { o.URL = address })
	link := t.link(o)
	return subscribe(t, onPlainMessage, subscribeInput{Room: name}, o), func(in publishInput) {
		in.Room = name
		_, err := sendPlainMessage.Call(t, link, in)
		t.ok(err)
	}
}

var digits = regexp.MustCompile(`[0-9]+$`)

// number returns the number at the end of an event id.
func (t *T) number(id string) int {
	n, err := strconv.Atoi(digits.FindString(id))
	t.assertf(err == nil, "the id %q ends in a number", id)
	return n
}

// checkSeed searches for its own event among those of others, since all share the room.
func checkSeed(t *T) {
	l := subscribe(t, onSeedMessage, rpc.Void{}, t.options())
	t.equal(l.Token().Tags, []string{"tag1", "tag2"})
	_, err := singleClient.Call(t, l, textMessage{"m"})
	t.forbidden(err)
	own := newRoom()
	_, err = sendMessage.Call(t, t.link(client.Options{}), publishInput{Message: own, Tags: []string{"tag2"}})
	t.ok(err)
	t.assertf(l.readTo(own), "the event comes")
}

func checkTwoLoops(t *T) {
	r := t.room()
	l := r.subscribe(subscribeInput{})
	const n = 40
	seen := make(chan string, n)
	done := make(chan struct{})
	for range 2 {
		go func() {
			for e, err := range l.All() {
				if err != nil {
					break
				}
				seen <- e.Message
			}
			done <- struct{}{}
		}()
	}
	r.publishAll(numbers(1, n)...)
	t.until("all events", func() bool { return len(seen) == n })
	t.ok(l.Close())
	<-done
	<-done
	close(seen)
	got := slices.Sorted(values(seen))
	want := slices.Sorted(slices.Values(numbers(1, n)))
	t.equal(got, want)
}

// values returns the values of a closed channel.
func values(c <-chan string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for v := range c {
			if !yield(v) {
				return
			}
		}
	}
}
