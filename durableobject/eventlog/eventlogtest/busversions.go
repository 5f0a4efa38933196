package eventlogtest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// busVersionCases are not run for a bus that is not [eventlog.Versioned].
var busVersionCases = map[string]func(*buses){
	"changes with every change, on all handles": func(b *buses) {
		here, there := b.two()
		used := map[eventlog.Bus]map[uint64]bool{here: {}, there: {}}
		unused := func(about string) {
			b.t.Helper()
			for _, bus := range []eventlog.Bus{here, there} {
				version := b.version(bus)
				if used[bus][version] {
					b.t.Errorf("%s: version %d was used before", about, version)
				}
				used[bus][version] = true
				if here == there {
					break
				}
			}
		}
		unused("at first")
		for _, bus := range []eventlog.Bus{here, there} {
			for _, value := range []string{"v", "v", "w"} {
				b.keep(bus, "k", value, time.Hour)
				unused("after a value")
			}
			b.keep(bus, "k", "", 0)
			unused("after a removal")
		}
	},
	"stays without a change": func(b *buses) {
		here, there := b.two()
		b.keep(here, "k", "v", time.Hour)
		before := b.version(there)
		for range 3 {
			b.keeps(there, "", map[string]string{"k": "v"})
			if version := b.version(there); version != before {
				b.t.Fatalf("the version changed from %[2]d to %[1]d without a change", version, before)
			}
		}
	},
	"is available from views with a prefix": func(b *buses) {
		here, there := b.two()
		view := eventlog.PrefixBus(here, "x/")
		before := b.version(view)
		b.keep(eventlog.PrefixBus(there, "x/"), "k", "v", time.Hour)
		if b.version(view) == before {
			b.t.Error("the same version after a change")
		}
	},
	"fails with its context": func(b *buses) {
		here, _ := b.two()
		ctx, cancel := context.WithCancel(b.t.Context())
		cancel()
		if _, err := eventlog.KeptVersion(ctx, here); !errors.Is(err, context.Canceled) {
			b.t.Errorf("KeptVersion: %v", err)
		}
	},
}

// version returns the version of the kept values.
func (b *buses) version(bus eventlog.Bus) uint64 {
	b.t.Helper()
	version, err := eventlog.KeptVersion(b.t.Context(), bus)
	b.must(err)
	if version == 0 {
		b.t.Fatal("no version")
	}
	return version
}

// isVersioned reports whether a handle on the bus is [eventlog.Versioned].
func isVersioned(t *testing.T, can BusHandles) bool {
	t.Helper()
	_, ok := can.Handle(t).(eventlog.Versioned)
	return ok
}
