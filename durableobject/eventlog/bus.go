package eventlog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/go-orpc/durable-iterator/internal/asynclog"
)

// Limits of a [Bus].
const (
	// MaxBusBytes is the size in bytes of the largest message or kept value.
	MaxBusBytes = 64 << 10
	// MaxBusName is the length in bytes of the longest topic or key, including its prefix.
	MaxBusName = 512
)

// ErrBusFull is returned by Keep if the bus has no capacity for another value.
var ErrBusFull = errors.New("bus full")

// Bus carries small messages between the processes of a service, and keeps small values
// for all of them. Presence and revocations of package durableobject use it; its messages
// and values are never sent to clients.
//
// Implementations must be safe for concurrent use and pass eventlogtest.RunBus. Topics and
// keys are strings of 1 to [MaxBusName] bytes; messages and values have at most
// [MaxBusBytes]. For larger ones the error is [ErrTooLarge], for a bus that cannot be
// reached [ErrUnavailable], for a closed bus [ErrClosed]. A method whose context has ended
// returns the context's error.
type Bus interface {
	// Broadcast sends data to every process that listens to topic, including this one.
	// Each receives it at most once; messages may arrive in any order. Broadcast does
	// not wait for the listeners. It copies data.
	Broadcast(ctx context.Context, topic string, data []byte) error

	// Listen calls fn for each message of topic that is sent after Listen has returned,
	// one at a time, until stop is called. fn must not block and must not keep data. A
	// listener that is too slow misses messages. A panic of fn is logged, and fn is called
	// for the next message; fn must not call runtime.Goexit.
	//
	// When stop returns, fn is not running and is not called again. stop must not be
	// called by fn, nor while holding a lock that fn takes. Calling it again does nothing.
	Listen(ctx context.Context, topic string, fn func(data []byte)) (stop func(), err error)

	// Keep stores value under key for ttl, replacing an earlier value. It returns when the
	// value is as durable as the bus promises: each call of Kept that begins later, in any
	// process, returns it. If ttl is zero or negative, the value is removed; otherwise any
	// Duration is allowed.
	//
	// If Keep fails, the value may have been stored or not. An earlier value is not removed
	// by a Keep that failed before it was sent.
	Keep(ctx context.Context, key string, value []byte, ttl time.Duration) error

	// Kept returns the values whose keys begin with prefix, by key, except those that have
	// expired. An empty prefix selects all. The values belong to the caller. If the bus
	// cannot be sure to have all values, it returns an error.
	Kept(ctx context.Context, prefix string) (map[string][]byte, error)
}

// Versioned is implemented by a [Bus] that can report at little cost whether its kept values
// have changed. A namespace then reads them after a change and once a minute; without
// Versioned it reads them every 2.5 seconds.
type Versioned interface {
	Bus

	// KeptVersion returns the version of the kept values. It differs from all versions
	// returned before if any process has kept, replaced or removed a value since, but not
	// necessarily if a value has expired. Every change whose Keep has returned counts: if a
	// call of KeptVersion before Kept and a later one return the same version, no value has
	// changed. The version 0 means that the Bus does not know. The errors are those of Kept.
	KeptVersion(ctx context.Context) (uint64, error)
}

// KeptVersion returns the KeptVersion of bus, or 0 if bus is not [Versioned].
func KeptVersion(ctx context.Context, bus Bus) (uint64, error) {
	if versioned, ok := bus.(Versioned); ok {
		return versioned.KeptVersion(ctx)
	}
	return 0, nil
}

// BusCarrier is implemented by a [Log] that has a [Bus].
type BusCarrier interface {
	// Bus returns the log's bus, or nil if it has none. The bus is closed with the log.
	Bus() Bus
}

// BusOf returns the bus of log, or nil if it has none. The bus of a view made by [Prefix]
// is a view with the same prefix.
func BusOf(log Log) Bus {
	if carrier, ok := log.(BusCarrier); ok {
		return carrier.Bus()
	}
	return nil
}

// PrefixBus returns a view of bus that adds prefix to every topic and key, so that several
// namespaces can share one bus. None of the prefixes used with a bus may begin with another
// one. If bus is nil, PrefixBus returns nil.
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

// check returns an error if the view has been closed.
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

func (p *prefixedBus) KeptVersion(ctx context.Context) (uint64, error) {
	if err := p.check("kept version"); err != nil {
		return 0, err
	}
	return KeptVersion(ctx, p.bus)
}

// GuardListener returns a function that calls fn and logs its panics to logger at level
// Error. It is for implementations of [Bus], in which a panic of a listener would end the
// process, because no caller could recover from it. A panic of the logger's handler is
// ignored.
func GuardListener(fn func(data []byte), logger *slog.Logger) func(data []byte) {
	logger = asynclog.Guard(logger)
	return func(data []byte) {
		defer func() {
			if v := recover(); v != nil {
				asynclog.LogPanic(logger, v, "event log: the listener of a bus panicked")
			}
		}()
		fn(data)
	}
}

// CheckBusName returns an error if name is not a valid topic or key. It is for
// implementations of [Bus].
func CheckBusName(name string) error {
	switch {
	case name == "":
		return errors.New("empty topic or key")
	case len(name) > MaxBusName:
		return fmt.Errorf("%w: topic or key of %d bytes", ErrTooLarge, len(name))
	}
	return nil
}

// CheckBusData returns an error that wraps [ErrTooLarge] if data is longer than
// [MaxBusBytes]. It is for implementations of [Bus].
func CheckBusData(data []byte) error {
	if len(data) > MaxBusBytes {
		return fmt.Errorf("%w: %d bytes", ErrTooLarge, len(data))
	}
	return nil
}
