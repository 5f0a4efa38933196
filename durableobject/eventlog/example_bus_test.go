package eventlog_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// Every process that listens receives a message once.
func ExampleBus() {
	ctx := context.Background()
	bus := eventlog.NewMemoryBus()
	heard := make(chan string)
	stop, err := bus.Listen(ctx, "news", func(data []byte) { heard <- string(data) })
	if err != nil {
		panic(err)
	}
	defer stop()
	if err := bus.Broadcast(ctx, "news", []byte("hello")); err != nil {
		panic(err)
	}
	fmt.Println(<-heard)
	// Output: hello
}

// A process that starts later reads the kept values.
func ExampleMemoryBus_Keep() {
	ctx := context.Background()
	bus := eventlog.NewMemoryBus()
	for key, value := range map[string]string{"node/a": "10.0.0.1", "node/b": "10.0.0.2", "leader": "a"} {
		if err := bus.Keep(ctx, key, []byte(value), time.Minute); err != nil {
			panic(err)
		}
	}
	kept, err := bus.Kept(ctx, "node/")
	fmt.Printf("%s %s %v\n", kept["node/a"], kept["node/b"], err)
	fmt.Println(len(kept))
	// Output:
	// 10.0.0.1 10.0.0.2 <nil>
	// 2
}

// stored is a log that also has a bus.
type stored struct {
	eventlog.Log
	bus eventlog.Bus
}

func (s stored) Bus() eventlog.Bus { return s.bus }

func ExampleBusOf() {
	bus := eventlog.NewMemoryBus()
	log := eventlog.NewMemory(nil)
	fmt.Println(eventlog.BusOf(stored{log, bus}) == eventlog.Bus(bus), eventlog.BusOf(log))
	// Output: true <nil>
}

// Two services share a bus, and each receives only its own messages.
func ExamplePrefixBus() {
	ctx := context.Background()
	bus := eventlog.NewMemoryBus()
	shop, chat := eventlog.PrefixBus(bus, "shop/"), eventlog.PrefixBus(bus, "chat/")
	if err := shop.Keep(ctx, "leader", []byte("a"), time.Minute); err != nil {
		panic(err)
	}
	ofShop, _ := shop.Kept(ctx, "")
	ofChat, _ := chat.Kept(ctx, "")
	fmt.Println(len(ofShop), len(ofChat))
	// Output: 1 0
}

// The kept values are read again only if they have changed.
func ExampleKeptVersion() {
	ctx := context.Background()
	bus := eventlog.NewMemoryBus()
	before, err := bus.KeptVersion(ctx)
	if err != nil {
		panic(err)
	}
	same, _ := eventlog.KeptVersion(ctx, bus)
	fmt.Println(same == before)
	if err := bus.Keep(ctx, "leader", []byte("a"), time.Minute); err != nil {
		panic(err)
	}
	changed, _ := eventlog.KeptVersion(ctx, bus)
	fmt.Println(changed == before)
	// Output:
	// true
	// false
}

// An implementation of Bus checks its arguments.
func ExampleCheckBusName() {
	fmt.Println(eventlog.CheckBusName("news") == nil, eventlog.CheckBusName("") == nil)
	tooLong := strings.Repeat("x", eventlog.MaxBusBytes+1)
	fmt.Println(errors.Is(eventlog.CheckBusData([]byte(tooLong)), eventlog.ErrTooLarge))
	// Output:
	// true false
	// true
}

// An implementation of Keyed checks the keys of records.
func ExampleCheckKey() {
	fmt.Println(eventlog.CheckKey("order 17"))
	fmt.Println(errors.Is(eventlog.CheckKey(strings.Repeat("x", 129)), eventlog.ErrKey))
	// Output:
	// <nil>
	// true
}

func ExampleRetention() {
	fmt.Println(eventlog.Retention(eventlog.NewMemory(&eventlog.MemoryOptions{Retention: time.Hour})))
	fmt.Println(eventlog.Retention(onlyForwards{eventlog.NewMemory(nil)}))
	// Output:
	// 1h0m0s
	// 0s
}

// A bus calls the listeners of its users on its own goroutines.
func ExampleGuardListener() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey || a.Key == "stack" {
			return slog.Attr{}
		}
		return a
	}}))
	listener := eventlog.GuardListener(func(data []byte) {
		fmt.Println(data[0])
	}, logger)
	listener(nil)
	listener([]byte{42})
	// Output:
	// level=ERROR msg="event log: the listener of a bus panicked" panic="runtime error: index out of range [0] with length 0"
	// 42
}
