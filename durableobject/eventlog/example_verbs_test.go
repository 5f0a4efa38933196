package eventlog_test

import (
	"fmt"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// A log that cannot vouch for its last records goes on in a new epoch.
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
