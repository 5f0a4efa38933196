package eventlog

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// maxBusQueue and maxBusQueueBytes limit the messages that are queued for a listener.
	maxBusQueue      = 4096
	maxBusQueueBytes = 4 << 20
	// maxKeptBytes limits the keys and values of a MemoryBus, with their overhead.
	maxKeptBytes = 64 << 20
	// keptOverhead is about the memory that a value takes in addition to its bytes.
	keptOverhead = 128
)

// MemoryBus is a [Bus] in the memory of the process, for several namespaces of one process
// that share their presence and revocations. Its values are lost when the process exits. It
// keeps at most 64 MiB of values. For each listener it queues at most 4,096 messages and
// 4 MiB, and drops further ones. Panics of listeners are logged with [slog.Default]. The
// zero value is an empty bus. It needs no Close: its goroutines run only while messages are
// queued.
type MemoryBus struct {
	mu        sync.Mutex
	listeners map[string][]*memoryListener
	kept      map[string]keptValue
	bytes     int    // of kept
	changes   uint64 // number of changes of kept, except by expiry
}

var _ Versioned = (*MemoryBus)(nil)

// NewMemoryBus returns an empty bus.
func NewMemoryBus() *MemoryBus { return &MemoryBus{} }

// keptValue is a value and when it expires, on the monotonic clock.
type keptValue struct {
	value   []byte
	expires time.Time
}

// Broadcast implements [Bus].
func (b *MemoryBus) Broadcast(ctx context.Context, topic string, data []byte) error {
	if err := cmp.Or(CheckBusName(topic), CheckBusData(data), ctx.Err()); err != nil {
		return fmt.Errorf("eventlog: broadcast: %w", err)
	}
	b.mu.Lock()
	list := b.listeners[topic] // a list is never changed, only replaced
	b.mu.Unlock()
	if len(list) > 0 {
		data = bytes.Clone(data)
	}
	for _, l := range list {
		l.enqueue(data)
	}
	return nil
}

// Listen implements [Bus].
func (b *MemoryBus) Listen(ctx context.Context, topic string, fn func(data []byte)) (stop func(), err error) {
	if err := cmp.Or(CheckBusName(topic), ctx.Err()); err != nil {
		return nil, fmt.Errorf("eventlog: listen: %w", err)
	}
	l := &memoryListener{fn: GuardListener(fn, slog.Default())}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.listeners == nil {
		b.listeners = map[string][]*memoryListener{}
	}
	b.listeners[topic] = append(slices.Clone(b.listeners[topic]), l)
	return func() {
		b.drop(topic, l)
		l.stop()
	}, nil
}

func (b *MemoryBus) drop(topic string, l *memoryListener) {
	b.mu.Lock()
	defer b.mu.Unlock()
	rest := slices.DeleteFunc(slices.Clone(b.listeners[topic]), func(other *memoryListener) bool { return other == l })
	if b.listeners[topic] = rest; len(rest) == 0 {
		delete(b.listeners, topic)
	}
}

// Keep implements [Bus].
func (b *MemoryBus) Keep(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if err := cmp.Or(CheckBusName(key), CheckBusData(value), ctx.Err()); err != nil {
		return fmt.Errorf("eventlog: keep: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	size := keptSize(key, value)
	if ttl > 0 && b.bytes+size > maxKeptBytes {
		b.sweep(time.Now())
	}
	old, found := b.kept[key]
	rest := b.bytes
	if found {
		rest -= keptSize(key, old.value)
	}
	switch {
	case ttl <= 0:
		delete(b.kept, key)
		b.bytes = rest
		b.changes++
		return nil
	case rest+size > maxKeptBytes:
		return fmt.Errorf("eventlog: keep: %w", ErrBusFull)
	case b.kept == nil:
		b.kept = map[string]keptValue{}
	}
	b.kept[key], b.bytes = keptValue{bytes.Clone(value), time.Now().Add(ttl)}, rest+size
	b.changes++
	return nil
}

func keptSize(key string, value []byte) int { return len(key) + len(value) + keptOverhead }

// sweep removes the values that have expired. It is called with mu held.
func (b *MemoryBus) sweep(now time.Time) {
	for key, k := range b.kept {
		if !now.Before(k.expires) {
			delete(b.kept, key)
			b.bytes -= keptSize(key, k.value)
		}
	}
}

// Kept implements [Bus].
func (b *MemoryBus) Kept(ctx context.Context, prefix string) (map[string][]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("eventlog: kept: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sweep(time.Now())
	found := map[string][]byte{}
	for key, k := range b.kept {
		if strings.HasPrefix(key, prefix) {
			found[key] = bytes.Clone(k.value)
		}
	}
	return found, nil
}

// KeptVersion implements [Versioned].
func (b *MemoryBus) KeptVersion(ctx context.Context) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("eventlog: kept version: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.changes + 1, nil
}

// memoryListener calls a function for each message in its queue, on a goroutine that runs only
// while the queue is not empty.
type memoryListener struct {
	fn func(data []byte)

	// mu guards the queue. running is closed by the goroutine when it ends, nil if there
	// is none.
	mu      sync.Mutex
	queue   [][]byte
	bytes   int
	stopped bool
	running chan struct{}
}

func (l *memoryListener) enqueue(data []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stopped || len(l.queue) >= maxBusQueue || len(l.queue) > 0 && l.bytes+len(data) > maxBusQueueBytes {
		return
	}
	l.queue = append(l.queue, data)
	l.bytes += len(data)
	if l.running == nil {
		l.running = make(chan struct{})
		go l.run(l.running)
	}
}

func (l *memoryListener) run(done chan struct{}) {
	defer close(done)
	for {
		l.mu.Lock()
		batch := l.queue
		l.queue, l.bytes = nil, 0
		if len(batch) == 0 || l.stopped {
			l.running = nil
			l.mu.Unlock()
			return
		}
		l.mu.Unlock()
		for _, data := range batch {
			if l.isStopped() {
				break
			}
			l.fn(data)
		}
	}
}

func (l *memoryListener) isStopped() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stopped
}

// stop stops calling fn and waits until it is not running.
func (l *memoryListener) stop() {
	l.mu.Lock()
	l.stopped, l.queue, l.bytes = true, nil, 0
	running := l.running
	l.mu.Unlock()
	if running != nil {
		<-running
	}
}
