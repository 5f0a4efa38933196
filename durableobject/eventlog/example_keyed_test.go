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
