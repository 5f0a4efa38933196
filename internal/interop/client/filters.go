package main

import (
	"slices"

	"github.com/go-orpc/durable-iterator/rpc/value"
)

// filterChecks returns the checks of the audience of events. Each ends with an event for
// everybody, so that an unexpected event is detected.
func filterChecks() []check {
	return []check{
		{name: "filters: tags", run: func(t *T) {
			r := t.room()
			both := r.subscribe(subscribeInput{Tags: []string{"a", "b"}})
			b := r.subscribe(subscribeInput{Tags: []string{"b"}})
			none := r.subscribe(subscribeInput{})
			r.publish("a", publishInput{Tags: []string{"a"}})
			r.publish("a or b", publishInput{Tags: []string{"a", "b", "a"}})
			r.publish("c", publishInput{Tags: []string{"c"}})
			r.publish("nobody", publishInput{Tags: []string{}})
			r.publish("end")
			both.expect("a", "a or b", "end")
			b.expect("a or b", "end")
			none.expect("end")
		}},
		{name: "filters: targets by role", run: func(t *T) {
			r := t.room()
			admin := r.subscribe(subscribeInput{Att: attachment{Role: "admin"}})
			user := r.subscribe(subscribeInput{Att: attachment{Role: "user"}})
			none := r.subscribe(subscribeInput{})
			r.publish("for admins", publishInput{Role: "admin"})
			r.publish("for users", publishInput{Role: "user"})
			r.publish("end")
			admin.expect("for admins", "end")
			user.expect("for users", "end")
			none.expect("end")
		}},
		{name: "filters: targets and exclude by id", run: func(t *T) {
			r := t.room()
			one, two := r.subscribe(subscribeInput{}), r.subscribe(subscribeInput{})
			r.publish("for one", publishInput{TargetIDs: []string{one.ID()}})
			r.publish("not for one", publishInput{ExcludeIDs: []string{one.ID()}})
			r.publish("exclude wins", publishInput{TargetIDs: []string{one.ID(), two.ID()}, ExcludeIDs: []string{two.ID()}})
			r.publish("end")
			one.expect("for one", "exclude wins", "end")
			two.expect("not for one", "end")
		}},
		{name: "filters: tags and targets together", run: func(t *T) {
			r := t.room()
			a, b := r.subscribe(subscribeInput{Tags: []string{"a"}}), r.subscribe(subscribeInput{Tags: []string{"b"}})
			r.publish("both must hold", publishInput{Tags: []string{"a"}, TargetIDs: []string{a.ID(), b.ID()}})
			r.publish("nobody", publishInput{Tags: []string{"a"}, TargetIDs: []string{b.ID()}})
			r.publish("end")
			a.expect("both must hold", "end")
			b.expect("end")
		}},
		{name: "filters: exclude of the sender", run: func(t *T) {
			r := t.room()
			sender, other := r.subscribe(subscribeInput{}), r.subscribe(subscribeInput{})
			_, err := singleClient.Call(t, sender, textMessage{"from the sender"})
			t.ok(err)
			r.publish("end")
			other.expect("from the sender", "end")
			sender.expect("end")
		}},
		{name: "filters: publish by a method", run: checkPublishByMethod},
		{name: "filters: welcome from onSubscribed", run: func(t *T) {
			r := t.room()
			other := r.subscribe(subscribeInput{})
			welcome := r.subscribe(subscribeInput{Att: attachment{Welcome: true}})
			welcome.expect("welcome")
			r.publish("end")
			welcome.expect("end")
			other.expect("end")
		}},
	}
}

func checkPublishByMethod(t *T) {
	r := t.room()
	sender := r.subscribe(subscribeInput{Tags: []string{"a"}})
	other := r.subscribe(subscribeInput{Tags: []string{"b"}, Att: attachment{Role: "admin"}})
	for _, in := range []publishInput{
		{Message: "everybody", Data: value.Set{1.0}},
		{Message: "a", Tags: []string{"a"}},
		{Message: "admins", Role: "admin"},
		{Message: "other", TargetIDs: []string{other.ID()}},
		{Message: "not other", ExcludeIDs: []string{other.ID()}},
		{Message: "end"},
	} {
		_, err := toolboxPublish.Call(t, sender, in)
		t.ok(err)
	}
	t.equal(sender.next().Data, event{"everybody", value.Set{1.0}})
	sender.expect("a", "not other", "end")
	other.expect("everybody", "admins", "other", "end")
	_, err := toolboxPublish.Call(t, sender, publishInput{Message: "m", Meta: eventMeta{Retry: -1}})
	t.assertf(slices.Contains([]int{400, 500}, t.sent(err).Status), "metadata that cannot be sent is refused: %v", err)
}
