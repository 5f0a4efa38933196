package eventlog_test

import (
	"context"
	"fmt"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// A client saw the first event, was away for two more and comes back.
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
