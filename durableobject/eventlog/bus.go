package eventlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"github.com/go-orpc/durable-iterator/internal/asynclog"
)

// Limits of a [Bus].
const (
	// MaxBusBytes is the size of the largest message or kept value.
	MaxBusBytes = 64 << 10
	// MaxBusName is the length of the longest topic or key, in bytes. A prefix counts.
	MaxBusName = 512
)

// ErrBusFull is returned by Keep if the values that are kept already leave no room for
// another one.
var ErrBusFull = errors.New("eventlog: bus full")

// Bus carries small messages between the processes of a service, and keeps small values
// for all of them. Presence and revocations of package durableobject use it; what it
// carries is never sent to clients.
//
// Implementations are safe for concurrent use and pass eventlogtest.RunBus. Topics and
// keys are any strings that are not empty, up to [MaxBusName] bytes; messages and values
// are at most [MaxBusBytes] long, else the error is ErrTooLarge. A bus that cannot be
// reached returns ErrUnavailable, one that was closed ErrClosed. A method whose context
// has ended returns the context's error.
type Bus interface {
	// Broadcast sends data to every process that listens to topic, this one included:
	// soon, at most once, in no order. It does not wait for them. The data is copied.
	Broadcast(ctx context.Context, topic string, data []byte) error

	// Listen calls fn for each message of topic that is sent after Listen has returned,
	// one at a time, until stop is called. fn must not block and must not keep data. A
	// listener that is too slow misses messages. A panic of fn is logged, and fn is called
	// for the next message; fn must not call runtime.Goexit.
	//
	// When stop returns, fn does not run and is not called again. stop must not be called
	// by fn, nor with a lock held that fn takes. Calling it again does nothing.
	Listen(ctx context.Context, topic string, fn func(data []byte)) (stop func(), err error)

	// Keep stores value under key for ttl, in place of an earlier value, and returns when
	// it is as durable as the bus promises: every Kept of any process that begins later
	// returns it. A ttl of zero or less removes the value; every other one keeps it, up to the
	// longest Duration.
	//
	// If it fails the value may be kept or not; it is not removed by a Keep that failed
	// without being sent.
	Keep(ctx context.Context, key string, value []byte, ttl time.Duration) error

	// Kept returns the values whose keys begin with prefix, by key, without those whose
	// time is over. An empty prefix selects all. The values belong to the caller. If the
	// bus cannot be sure to have all values it returns an error.
	Kept(ctx context.Context, prefix string) (map[string][]byte, error)
}

// BusCarrier is implemented by a Log that has a [Bus]: one in memory of the process, on
// the disk beside the log, or in the engine that a [Shared] log is kept in.
type BusCarrier interface {
	// Bus returns the log's bus, which is closed with the log, or nil if it has none.
	Bus() Bus
}

// BusOf returns the bus of log, or nil if it has none. The bus of a view that [Prefix] has
// made has the prefix of the view.
func BusOf(log Log) Bus {
	if carrier, ok := log.(BusCarrier); ok {
		return carrier.Bus()
	}
	return nil
}

// PrefixBus returns a view of bus in which every topic and key begins with prefix, so
// that several namespaces can share one bus. No prefix used with a bus may begin with
// another one. It returns nil for a nil bus.
func PrefixBus(bus Bus, prefix string) Bus {
	if bus == nil {
		return nil
	}
	return &prefixedBus{bus: bus, prefix: prefix}
}

type prefixedBus struct {
	bus    Bus
	prefix string
	closed func() bool // nil if the view cannot be closed
}

// check returns the error of a call on a view that was closed.
func (p *prefixedBus) check(call string) error {
	if p.closed != nil && p.closed() {
		return fmt.Errorf("eventlog: %s: %w", call, ErrClosed)
	}
	return nil
}

func (p *prefixedBus) Broadcast(ctx context.Context, topic string, data []byte) error {
	if err := p.check("broadcast"); err != nil {
		return err
	}
	if err := CheckBusName(topic); err != nil {
		return fmt.Errorf("eventlog: broadcast: %w", err)
	}
	return p.bus.Broadcast(ctx, p.prefix+topic, data)
}

func (p *prefixedBus) Listen(ctx context.Context, topic string, fn func(data []byte)) (stop func(), err error) {
	if err := p.check("listen"); err != nil {
		return nil, err
	}
	if err := CheckBusName(topic); err != nil {
		return nil, fmt.Errorf("eventlog: listen: %w", err)
	}
	return p.bus.Listen(ctx, p.prefix+topic, fn)
}

func (p *prefixedBus) Keep(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if err := p.check("keep"); err != nil {
		return err
	}
	if err := CheckBusName(key); err != nil {
		return fmt.Errorf("eventlog: keep: %w", err)
	}
	return p.bus.Keep(ctx, p.prefix+key, value, ttl)
}

func (p *prefixedBus) Kept(ctx context.Context, prefix string) (map[string][]byte, error) {
	if err := p.check("kept"); err != nil {
		return nil, err
	}
	all, err := p.bus.Kept(ctx, p.prefix+prefix)
	if err != nil {
		return nil, err
	}
	kept := make(map[string][]byte, len(all))
	for key, value := range all {
		kept[strings.TrimPrefix(key, p.prefix)] = value
	}
	return kept, nil
}

// GuardListener returns a function that calls fn and logs its panics at level Error, for
// implementations: no caller of theirs could recover from a panic in Listen's fn, which
// would end the process. A panic of the logger's handler is ignored.
func GuardListener(fn func(data []byte), logger *slog.Logger) func(data []byte) {
	logger = asynclog.Guard(logger)
	return func(data []byte) {
		defer func() {
			if v := recover(); v != nil {
				logger.Error("event log: the listener of a bus panicked", "panic", asynclog.PanicText(v), "stack", string(debug.Stack()))
			}
		}()
		fn(data)
	}
}

// CheckBusName returns the error of a topic or key that no [Bus] accepts, for
// implementations.
func CheckBusName(name string) error {
	switch {
	case name == "":
		return errors.New("empty topic or key")
	case len(name) > MaxBusName:
		return fmt.Errorf("%w: topic or key of %d bytes", ErrTooLarge, len(name))
	}
	return nil
}

// CheckBusData returns the error of a message or value that no [Bus] accepts, for
// implementations.
func CheckBusData(data []byte) error {
	if len(data) > MaxBusBytes {
		return fmt.Errorf("%w: %d bytes", ErrTooLarge, len(data))
	}
	return nil
}
