package eventlog_test

import (
	"context"
	"fmt"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

func ExampleKeyed() {
	log := eventlog.NewMemory(&eventlog.MemoryOptions{Retention: time.Hour, KeyWindow: 30 * time.Minute})
	defer log.Close()

	for range 2 {
		r := &eventlog.Record{Key: "order 17", Data: []byte("paid")}
		err := log.Append(context.Background(), "room", r, func(r *eventlog.Record) { fmt.Println("delivered", r.Seq) })
		fmt.Println(r.Seq, err)
	}
	fmt.Println(eventlog.KeyWindow(log))
	// Output:
	// delivered 1
	// 1 <nil>
	// 1 <nil>
	// 30m0s
}

// A key is remembered for no longer than its record is kept.
func ExampleMemory_KeyWindow() {
	for _, retention := range []time.Duration{0, time.Hour, time.Minute} {
		log := eventlog.NewMemory(&eventlog.MemoryOptions{Retention: retention})
		fmt.Println(log.Retention(), log.KeyWindow())
	}
	// Output:
	// 0s 2m0s
	// 1h0m0s 2m0s
	// 1m0s 1m0s
}
