package eventlogtest

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// BusStore describes how to open buses. Only Open is required.
type BusStore struct {
	// Open returns a new, empty bus. It is called by many tests at once. If it cannot open
	// one it must fail the test.
	Open func(t *testing.T) BusHandles

	// Bubble runs each case in a [testing/synctest] bubble.
	Bubble bool

	// OpenDir opens the bus in dir, and returns a function that closes it. It is called
	// again for the same dir after the bus has been closed. If it is nil, durability is not
	// tested.
	OpenDir func(t *testing.T, dir string) (bus eventlog.Bus, shut func())
}

// BusHandles is one bus, which several processes can use. Cases that need a function that
// is nil are not run.
type BusHandles struct {
	// Handle returns a handle on the bus, as a process would have. The test closes it. A
	// bus of a single process returns the same one each time.
	Handle func(t *testing.T) eventlog.Bus

	// Cut disconnects a handle from the bus, or connects it again, and returns when the
	// handle has noticed.
	Cut func(h eventlog.Bus, cut bool)
}

// RunBus tests the buses of s.
func RunBus(t *testing.T, s BusStore) {
	t.Helper()
	can := s.Open(t)
	groups := map[string]map[string]func(*buses){
		"Broadcast": broadcastCases, "Keep": keepCases, "Prefix": busPrefixCases, "Limits": busLimitCases,
	}
	if can.Cut != nil {
		groups["Cut"] = busCutCases
	}
	if isVersioned(t, can) {
		groups["Version"] = busVersionCases
	}
	for group, cases := range groups {
		t.Run(group, func(t *testing.T) {
			for name, run := range cases {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					test := func(t *testing.T) { run(&buses{BusHandles: s.Open(t), t: t}) }
					if s.Bubble {
						synctest.Test(t, test)
						return
					}
					test(t)
				})
			}
		})
	}
	if s.OpenDir != nil {
		t.Run("Reopen", func(t *testing.T) { reopenBus(t, s.OpenDir) })
	}
}

// buses are the handles on a bus under test.
type buses struct {
	BusHandles
	t *testing.T
}

func (b *buses) two() (here, there eventlog.Bus) { return b.Handle(b.t), b.Handle(b.t) }

func (b *buses) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *buses) broadcast(bus eventlog.Bus, topic, data string) {
	b.t.Helper()
	b.must(bus.Broadcast(b.t.Context(), topic, []byte(data)))
}

func (b *buses) keep(bus eventlog.Bus, key, value string, ttl time.Duration) {
	b.t.Helper()
	b.must(bus.Keep(b.t.Context(), key, []byte(value), ttl))
}

// keeps checks that the values whose keys begin with prefix are want.
func (b *buses) keeps(bus eventlog.Bus, prefix string, want map[string]string) {
	b.t.Helper()
	if got := b.kept(bus, prefix); !maps.Equal(got, want) {
		b.t.Fatalf("Kept(%q) = %v, want %v", prefix, got, want)
	}
}

func (b *buses) kept(bus eventlog.Bus, prefix string) map[string]string {
	b.t.Helper()
	kept, err := bus.Kept(b.t.Context(), prefix)
	b.must(err)
	got := map[string]string{}
	for key, value := range kept {
		got[key] = string(value)
	}
	return got
}

// ear is a listener that records the messages.
type ear struct {
	b    *buses
	stop func()

	inside  atomic.Int32 // number of running calls of hear
	mu      sync.Mutex
	got     []string
	changed chan struct{} // closed by the next message
}

func (b *buses) listen(bus eventlog.Bus, topic string) *ear {
	b.t.Helper()
	e := &ear{b: b, changed: make(chan struct{})}
	stop, err := bus.Listen(b.t.Context(), topic, e.hear)
	b.must(err)
	e.stop = stop
	b.t.Cleanup(stop)
	return e
}

func (e *ear) hear(data []byte) {
	if e.inside.Add(1) > 1 {
		e.b.t.Error("fn runs twice at once")
	}
	defer e.inside.Add(-1)
	e.mu.Lock()
	e.got = append(e.got, string(data))
	close(e.changed)
	e.changed = make(chan struct{})
	e.mu.Unlock()
}

// hears waits for the messages, in any order, and checks that there were no others.
func (e *ear) hears(want ...string) {
	e.b.t.Helper()
	slices.Sort(want)
	got := e.until(func(got []string) bool { return len(got) >= len(want) })
	if !slices.Equal(got, want) {
		e.b.t.Fatalf("heard %q, want %q", got, want)
	}
}

// hearsAlso waits for a message. Others may arrive too.
func (e *ear) hearsAlso(want string) {
	e.b.t.Helper()
	e.until(func(got []string) bool { return slices.Contains(got, want) })
}

// until waits until done returns true for the sorted messages.
func (e *ear) until(done func(got []string) bool) []string {
	e.b.t.Helper()
	timeout := time.After(patience)
	for {
		e.mu.Lock()
		got, changed := slices.Sorted(slices.Values(e.got)), e.changed
		e.mu.Unlock()
		if done(got) {
			return got
		}
		select {
		case <-changed:
		case <-timeout:
			e.b.t.Fatalf("the message did not arrive; got %q", got)
		}
	}
}
