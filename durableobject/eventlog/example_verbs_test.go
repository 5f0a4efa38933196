package eventlog_test

import (
	"context"
	"fmt"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// A log that may have lost its last records begins a new epoch.
func ExampleNewEpoch() {
	first, second := eventlog.NewEpoch(), eventlog.NewEpoch()
	fmt.Println(len(first), first != second)
	// Output: 13 true
}

func ExamplePosition_Append() {
	fmt.Println(string(eventlog.Position{Epoch: "k7", Seq: 42}.Append([]byte("id: "))))
	// Output: id: k7-42
}

func ExamplePosition_IsZero() {
	fmt.Println(eventlog.Position{}.IsZero(), eventlog.Position{Epoch: "k7"}.IsZero())
	// Output: true false
}

func ExampleRecord_Position() {
	r := &eventlog.Record{Epoch: "k7", Seq: 42}
	fmt.Println(r.Position())
	// Output: k7-42
}

func ExampleAudience_Everybody() {
	limited := eventlog.Audience{Tags: []string{"admin"}}
	fmt.Println((&eventlog.Audience{}).Everybody(), limited.Everybody())
	// Output: true false
}

func ExampleMemory_Newest() {
	ctx := context.Background()
	log := eventlog.NewMemory(nil)
	for _, text := range []string{"one", "two", "three"} {
		if err := log.Append(ctx, "room", &eventlog.Record{Data: []byte(text)}, func(*eventlog.Record) {}); err != nil {
			panic(err)
		}
	}
	replay, err := log.Newest(ctx, "room", eventlog.Position{})
	if err != nil {
		panic(err)
	}
	for r, err := range replay.Records {
		fmt.Println(string(r.Data), err)
	}
	// Output:
	// three <nil>
	// two <nil>
	// one <nil>
}

// onlyForwards is a log that cannot read from the end.
type onlyForwards struct{ eventlog.Log }

func ExampleReadNewest() {
	ctx := context.Background()
	log := onlyForwards{eventlog.NewMemory(nil)}
	var second eventlog.Position
	for i, text := range []string{"one", "two", "three"} {
		r := &eventlog.Record{Data: []byte(text)}
		if err := log.Append(ctx, "room", r, func(*eventlog.Record) {}); err != nil {
			panic(err)
		}
		if i == 1 {
			second = r.Position()
		}
	}
	replay, err := eventlog.ReadNewest(ctx, log, "room", second)
	if err != nil {
		panic(err)
	}
	for r, err := range replay.Records {
		fmt.Println(string(r.Data), err)
	}
	// Output:
	// one <nil>
}

// audited is a log that wraps another one, and reads it from its end even if it does not
// implement Newest.
type audited struct{ eventlog.Log }

func (a audited) Newest(ctx context.Context, channel string, p eventlog.Position) (eventlog.Replay, error) {
	fmt.Println("the newest of", channel) //nolint:forbidigo // the output of an example
	if n, ok := a.Log.(eventlog.Newest); ok {
		return n.Newest(ctx, channel, p)
	}
	return eventlog.ReadForwards(ctx, a, channel, p)
}

func ExampleReadForwards() {
	ctx := context.Background()
	log := audited{onlyForwards{eventlog.NewMemory(nil)}}
	for _, text := range []string{"one", "two"} {
		if err := log.Append(ctx, "room", &eventlog.Record{Data: []byte(text)}, func(*eventlog.Record) {}); err != nil {
			panic(err)
		}
	}
	replay, err := eventlog.ReadNewest(ctx, log, "room", eventlog.Position{})
	if err != nil {
		panic(err)
	}
	for r, err := range replay.Records {
		fmt.Println(string(r.Data), err)
	}
	// Output:
	// the newest of room
	// two <nil>
	// one <nil>
}
