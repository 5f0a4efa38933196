package eventlog_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// A client has received the first event, misses two more and reconnects.
func ExampleMemory() {
	ctx := context.Background()
	log := eventlog.NewMemory(nil)
	defer log.Close()

	publish := func(text string, audience eventlog.Audience) (id string) {
		r := &eventlog.Record{Data: []byte(text), Audience: audience}
		if err := log.Append(ctx, "room", r, func(*eventlog.Record) {}); err != nil {
			panic(err)
		}
		return r.Position().String()
	}
	lastEventID := publish("hello", eventlog.Audience{})
	publish("for admins", eventlog.Audience{Tags: []string{"admin"}})
	publish("for all", eventlog.Audience{})

	replay, err := log.After(ctx, "room", eventlog.PositionOf(lastEventID))
	if err != nil {
		panic(err)
	}
	fmt.Println("truncated:", replay.Truncated)
	for r, err := range replay.Records {
		if err != nil {
			panic(err)
		}
		if r.Includes([]string{"member"}, eventlog.Recipient{ID: "client"}) {
			fmt.Println(r.Seq, string(r.Data))
		}
	}
	// Output:
	// truncated: false
	// 3 for all
}

func ExampleNewMemory() {
	log := eventlog.NewMemory(&eventlog.MemoryOptions{MaxBytes: 64 << 20, Retention: 10 * time.Minute})
	defer log.Close()

	r := &eventlog.Record{Data: []byte("hello")}
	err := log.Append(context.Background(), "room", r, func(*eventlog.Record) {})
	fmt.Println(r.Seq, err)
	// Output:
	// 1 <nil>
}

// A record is delivered, in order, before Append returns.
func ExampleMemory_Append() {
	log := eventlog.NewMemory(nil)
	defer log.Close()

	for _, text := range []string{"one", "two"} {
		r := &eventlog.Record{Data: []byte(text)}
		err := log.Append(context.Background(), "room", r, func(r *eventlog.Record) {
			fmt.Println("deliver", string(r.Data), "after", r.Prev)
		})
		fmt.Println("stored", r.Seq, err)
	}
	// Output:
	// deliver one after 0
	// stored 1 <nil>
	// deliver two after 1
	// stored 2 <nil>
}

// All retained records can be read; a replay from an id that the log does not know is
// truncated.
func ExampleMemory_After() {
	ctx := context.Background()
	log := eventlog.NewMemory(nil)
	defer log.Close()
	_ = log.Append(ctx, "room", &eventlog.Record{Data: []byte("hello")}, func(*eventlog.Record) {})

	for _, id := range []string{"0", "another-1"} {
		replay, err := log.After(ctx, "room", eventlog.PositionOf(id))
		if err != nil {
			panic(err)
		}
		for r, err := range replay.Records {
			fmt.Println(id, replay.Truncated, string(r.Data), err)
		}
	}
	// Output:
	// 0 false hello <nil>
	// another-1 true hello <nil>
}

func ExampleMemory_Head() {
	ctx := context.Background()
	log := eventlog.NewMemory(nil)
	defer log.Close()
	_ = log.Append(ctx, "lobby", &eventlog.Record{}, func(*eventlog.Record) {})

	head, err := log.Head(ctx, "room") // a Seq counts the records of all channels
	fmt.Println(head.Seq, err)
	// Output:
	// 1 <nil>
}

func ExampleMemory_Trim() {
	ctx := context.Background()
	log := eventlog.NewMemory(nil)
	defer log.Close()
	r := &eventlog.Record{}
	_ = log.Append(ctx, "room", r, func(*eventlog.Record) {})

	fmt.Println(log.Trim(ctx, r.Time.Add(time.Second)))
	replay, err := log.After(ctx, "room", eventlog.Position{Epoch: r.Epoch})
	fmt.Println(replay.Truncated, err)
	// Output:
	// <nil>
	// true <nil>
}

func ExampleMemory_Close() {
	log := eventlog.NewMemory(nil)
	fmt.Println(log.Close())
	_, err := log.Head(context.Background(), "room")
	fmt.Println(errors.Is(err, eventlog.ErrClosed))
	// Output:
	// <nil>
	// true
}

func ExamplePrefix() {
	ctx := context.Background()
	log := eventlog.NewMemory(nil)
	defer log.Close()
	chats, games := eventlog.Prefix(log, "chat/"), eventlog.Prefix(log, "game/")

	_ = chats.Append(ctx, "room", &eventlog.Record{Data: []byte("hello")}, func(*eventlog.Record) {})
	_ = games.Append(ctx, "room", &eventlog.Record{Data: []byte("check")}, func(*eventlog.Record) {})
	for _, channel := range []string{"chat/room", "game/room", "room"} {
		replay, _ := log.After(ctx, channel, eventlog.Position{})
		for r := range replay.Records {
			fmt.Println(channel, string(r.Data))
		}
	}
	// Output:
	// chat/room hello
	// game/room check
}

func ExamplePosition_String() {
	fmt.Println(eventlog.Position{Epoch: "k7", Seq: 42}, eventlog.Position{})
	// Output:
	// k7-42 0
}

func ExampleParsePosition() {
	for _, id := range []string{"k7-42", "k7-042", "0", "hello"} {
		p, ok := eventlog.ParsePosition(id)
		fmt.Println(id, p.Seq, ok)
	}
	// Output:
	// k7-42 42 true
	// k7-042 0 false
	// 0 0 false
	// hello 0 false
}

func ExamplePositionOf() {
	fmt.Println(eventlog.PositionOf("0").IsZero(), eventlog.PositionOf("k7-42").Seq, eventlog.PositionOf("hello").IsZero())
	// Output:
	// true 42 false
}

func ExampleAudience_Includes() {
	a := eventlog.Audience{Tags: []string{"admin"}, Excludes: []eventlog.Recipient{{ID: "ann"}}}
	fmt.Println(a.Includes([]string{"admin"}, eventlog.Recipient{ID: "bob"}))
	fmt.Println(a.Includes([]string{"admin"}, eventlog.Recipient{ID: "ann"}))
	fmt.Println(a.Includes(nil, eventlog.Recipient{ID: "bob"}))
	// Output:
	// true
	// false
	// false
}

// To keep a record of a replay, keep a clone: the log may use its memory for the next one.
func ExampleRecord_Clone() {
	ctx := context.Background()
	log := eventlog.NewMemory(nil)
	defer log.Close()
	for _, text := range []string{"one", "two"} {
		_ = log.Append(ctx, "room", &eventlog.Record{Data: []byte(text)}, func(*eventlog.Record) {})
	}
	replay, _ := log.After(ctx, "room", eventlog.Position{})
	var kept []*eventlog.Record
	for r := range replay.Records {
		kept = append(kept, r.Clone())
	}
	fmt.Println(string(kept[0].Data), string(kept[1].Data))
	// Output:
	// one two
}
