package durableobject_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject"
	"github.com/go-orpc/durable-iterator/rpc"
	"github.com/go-orpc/durable-iterator/token"
)

func ExampleObject_PublishEvent() {
	l := newLobby(durableobject.Options{})
	defer l.close()
	l.join("ann")
	l.join("bob")

	if err := l.room.PublishEvent(context.Background(), "hello"); err != nil {
		fmt.Println(err)
	}
	// Output:
	// ann: hello
	// bob: hello
}

func ExampleWithTags() {
	l := newLobby(durableobject.Options{})
	defer l.close()
	l.join("ann", "staff", "night")
	l.join("bob", "guests")

	ctx := context.Background()
	check(l.room.PublishEvent(ctx, "to staff", durableobject.WithTags("staff")))
	check(l.room.PublishEvent(ctx, "to all who have one of two tags", durableobject.WithTags("staff", "guests")))
	check(l.room.PublishEvent(ctx, "to no client", durableobject.WithTags()))
	// Output:
	// ann: to staff, to all who have one of two tags
	// bob: to all who have one of two tags
}

func ExampleWithTargets() {
	l := newLobby(durableobject.Options{})
	defer l.close()
	l.join("ann")
	l.join("bob", "guests")

	for ws := range l.room.Websockets("guests") {
		check(l.room.PublishEvent(context.Background(), "only you", durableobject.WithTargets(ws)))
	}
	// Output:
	// ann: nothing
	// bob: only you
}

func ExampleWithTargetsFunc() {
	l := newLobby(durableobject.Options{})
	defer l.close()
	l.join("ann")
	l.join("bob")

	isAnn := func(ws *durableobject.Websocket) bool {
		name, err := token.Att[string](ws.Token())
		return err == nil && name == "ann"
	}
	check(l.room.PublishEvent(context.Background(), "hello ann", durableobject.WithTargetsFunc(isAnn)))
	// Output:
	// ann: hello ann
	// bob: nothing
}

// The event is kept for a client that is away.
func ExampleWithTargetIDs() {
	l := newLobby(durableobject.Options{ResumeRetention: time.Minute})
	defer l.close()
	l.join("ann")
	bob := must(l.dial("bob"))
	check(bob.Close())

	check(l.room.PublishEvent(context.Background(), "hello bob", durableobject.WithTargetIDs("bob")))
	back := must(l.resume("bob", bob.LastEventID()))
	for event, err := range back.All() {
		fmt.Println("bob, later:", event, err)
		break
	}
	check(back.Close())
	// Output:
	// bob, later: hello bob <nil>
	// ann: nothing
}

// With Options.Subject a client cannot read the events of another one by using its id.
func ExampleWithTargetRecipients() {
	l := newLobby(durableobject.Options{Subject: func(p *token.Payload) string {
		name, _ := token.Att[string](p)
		return name
	}})
	defer l.close()
	l.join("ann")
	l.join("bob")

	ann := durableobject.Recipient{Subject: "ann", ID: "ann"}
	other := durableobject.Recipient{Subject: "ann", ID: "bob"} // bob's id, with the subject ann
	check(l.room.PublishEvent(context.Background(), "hello ann", durableobject.WithTargetRecipients(ann, other)))
	err := l.room.PublishEvent(context.Background(), "hello bob", durableobject.WithTargetIDs("bob"))
	fmt.Println(err)
	// Output:
	// durableobject: publish: ids without subject: use WithTargetRecipients or WithExcludeRecipients
	// ann: hello ann
	// bob: nothing
}

func ExampleWithExclude() {
	l := newLobby(durableobject.Options{})
	defer l.close()
	l.join("ann", "sender")
	l.join("bob")

	for ws := range l.room.Websockets("sender") {
		check(l.room.PublishEvent(context.Background(), "ann has joined", durableobject.WithExclude(ws)))
	}
	// Output:
	// ann: nothing
	// bob: ann has joined
}

func ExampleWithExcludeFunc() {
	l := newLobby(durableobject.Options{})
	defer l.close()
	l.join("ann")
	l.join("bob")

	isBob := func(ws *durableobject.Websocket) bool { return ws.ID() == "bob" }
	check(l.room.PublishEvent(context.Background(), "not for bob", durableobject.WithExcludeFunc(isBob)))
	// Output:
	// ann: not for bob
	// bob: nothing
}

// Excludes win over targets.
func ExampleWithExcludeIDs() {
	l := newLobby(durableobject.Options{})
	defer l.close()
	l.join("ann")
	l.join("bob")

	check(l.room.PublishEvent(context.Background(), "hello",
		durableobject.WithTargetIDs("ann", "bob"), durableobject.WithExcludeIDs("bob")))
	// Output:
	// ann: hello
	// bob: nothing
}

func ExampleWithExcludeRecipients() {
	l := newLobby(durableobject.Options{})
	defer l.close()
	l.join("ann")
	l.join("bob")

	check(l.room.PublishEvent(context.Background(), "hello",
		durableobject.WithExcludeRecipients(durableobject.Recipient{ID: "ann"})))
	// Output:
	// ann: nothing
	// bob: hello
}

func ExampleWithEventMeta() {
	l := newLobby(durableobject.Options{ResumeRetention: time.Minute})
	defer l.close()
	it := must(l.dial("ann"))

	// An ID would be ignored, since events that are kept have ids of their own.
	check(l.room.PublishEvent(context.Background(), "hello", durableobject.WithEventMeta(rpc.EventMeta{
		Comments: []string{"from the lobby"},
		Retry:    2 * time.Second,
	})))
	for event, err := range it.Events() {
		fmt.Println(event.Data, event.Meta.Comments, event.Meta.Retry, event.Meta.ID != "", err)
		break
	}
	check(it.Close())
	// Output:
	// hello [from the lobby] 2s true <nil>
}

// A publisher that does not know whether its event was stored publishes it again.
func ExampleWithIdempotencyKey() {
	l := newLobby(durableobject.Options{ResumeRetention: time.Minute})
	defer l.close()
	l.join("ann")

	var first, second string
	ctx := context.Background()
	key := durableobject.WithIdempotencyKey("order 17")
	check(l.room.PublishEvent(ctx, "paid", key, durableobject.WithEventID(&first)))
	check(l.room.PublishEvent(ctx, "paid", key, durableobject.WithEventID(&second)))
	fmt.Println("one event:", first == second)
	// Output:
	// one event: true
	// ann: paid
}

func ExampleWithEventID() {
	l := newLobby(durableobject.Options{ResumeRetention: time.Minute})
	defer l.close()

	var id string
	check(l.room.PublishEvent(context.Background(), "hello", durableobject.WithEventID(&id)))
	_, number, _ := strings.Cut(id, "-")
	fmt.Println("number", number)
	// Output:
	// number 1
}

// announce is the contract of a method.
var announce = rpc.Define[string, rpc.Void]("shout")

// The application repeats a call, as [rpc.WithRetry] does with a key of its own.
func ExampleCallKey() {
	l := newLobby(durableobject.Options{ResumeRetention: time.Minute})
	defer l.close()
	durableobject.Handle(l.rooms, announce, func(o *Lobby, ctx context.Context, _ *durableobject.Websocket, in string) (rpc.Void, error) {
		return rpc.Void{}, o.PublishEvent(ctx, in, durableobject.WithIdempotencyKey(durableobject.CallKey(ctx)))
	})
	ann, bob := l.join("ann"), l.join("bob")

	ctx := context.Background()
	key := rpc.WithIdempotencyKey("message-1")
	must(announce.Call(ctx, ann, "hello", key))
	must(announce.Call(ctx, ann, "hello", key))
	must(announce.Call(ctx, bob, "hello from bob", key))
	// Output:
	// ann: hello, hello from bob
	// bob: hello, hello from bob
}

// A handler over HTTP knows who calls; its key is that of the user, not of the client alone.
func ExampleJoinKey() {
	user, received := "ann", "message-1"
	key := durableobject.JoinKey(user, "say", received)
	fmt.Println(len(key), key == durableobject.JoinKey("bob", "say", received), durableobject.JoinKey(user, "say", "") == "")
	// Output:
	// 43 false true
}
