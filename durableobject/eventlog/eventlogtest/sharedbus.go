package eventlogtest

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// SharedBus is one bus in memory with several handles, each an [eventlog.Bus] as a separate
// process would have. It is for tests of code that uses a bus: messages can be lost or
// late, and handles can be cut off. It is safe for concurrent use.
type SharedBus struct{ bus *eventlog.MemoryBus }

// NewSharedBus returns an empty bus without handles.
func NewSharedBus() *SharedBus { return &SharedBus{eventlog.NewMemoryBus()} }

// Open returns another handle. Its Close leaves the others open.
func (b *SharedBus) Open() *BusHandle { return &BusHandle{bus: b.bus, stops: map[*busFeed]func(){}} }

// BusHandle is one process's view of a [SharedBus].
type BusHandle struct {
	bus   *eventlog.MemoryBus
	calls sync.WaitGroup // grows only under mu while the handle is open

	mu     sync.Mutex
	closed bool
	cut    bool
	fate   func(topic string, data []byte) Fate
	stops  map[*busFeed]func()
}

var _ eventlog.Versioned = (*BusHandle)(nil)

// Disturb makes the handle call fate for each message to one of its listeners. Nil means
// that all messages are delivered at once.
func (h *BusHandle) Disturb(fate func(topic string, data []byte) Fate) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fate = fate
}

// Cut disconnects the handle from the bus, or connects it again. While it is cut off, all
// its calls return ErrUnavailable and its listeners receive nothing.
func (h *BusHandle) Cut(off bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.cut = off
}

// enter begins a call, for which Close waits.
func (h *BusHandle) enter(call string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed:
		return fmt.Errorf("eventlogtest: %s: %w", call, eventlog.ErrClosed)
	case h.cut:
		return fmt.Errorf("eventlogtest: %s: %w", call, eventlog.ErrUnavailable)
	}
	h.calls.Add(1)
	return nil
}

// Broadcast implements [eventlog.Bus].
func (h *BusHandle) Broadcast(ctx context.Context, topic string, data []byte) error {
	if err := h.enter("broadcast"); err != nil {
		return err
	}
	defer h.calls.Done()
	return h.bus.Broadcast(ctx, topic, data)
}

// Keep implements [eventlog.Bus].
func (h *BusHandle) Keep(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if err := h.enter("keep"); err != nil {
		return err
	}
	defer h.calls.Done()
	return h.bus.Keep(ctx, key, value, ttl)
}

// Kept implements [eventlog.Bus].
func (h *BusHandle) Kept(ctx context.Context, prefix string) (map[string][]byte, error) {
	if err := h.enter("kept"); err != nil {
		return nil, err
	}
	defer h.calls.Done()
	return h.bus.Kept(ctx, prefix)
}

// KeptVersion implements [eventlog.Versioned].
func (h *BusHandle) KeptVersion(ctx context.Context) (uint64, error) {
	if err := h.enter("kept version"); err != nil {
		return 0, err
	}
	defer h.calls.Done()
	return h.bus.KeptVersion(ctx)
}

// Listen implements [eventlog.Bus].
func (h *BusHandle) Listen(ctx context.Context, topic string, fn func(data []byte)) (func(), error) {
	if err := h.enter("listen"); err != nil {
		return nil, err
	}
	defer h.calls.Done()
	f := &busFeed{handle: h, topic: topic, fn: eventlog.GuardListener(fn, slog.Default())}
	end, err := h.bus.Listen(ctx, topic, f.pass)
	if err != nil {
		return nil, err
	}
	stop := sync.OnceFunc(func() {
		end()
		f.stop()
		h.mu.Lock()
		delete(h.stops, f)
		h.mu.Unlock()
	})
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stops[f] = stop
	return stop, nil
}

// Close ends the handle's listeners. Later calls return ErrClosed. The error is always nil.
func (h *BusHandle) Close() error {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.calls.Wait()
	h.mu.Lock()
	var stops []func()
	for _, stop := range h.stops {
		stops = append(stops, stop)
	}
	h.mu.Unlock()
	for _, stop := range stops {
		stop()
	}
	return nil
}

// fateOf returns the fate of a message.
func (h *BusHandle) fateOf(topic string, data []byte) Fate {
	h.mu.Lock()
	fate, cut := h.fate, h.cut
	h.mu.Unlock()
	switch {
	case cut:
		return Fate{Drop: true}
	case fate == nil:
		return Fate{}
	}
	return fate(topic, data)
}

// busFeed is a listener of a handle.
type busFeed struct {
	handle *BusHandle
	topic  string
	fn     func([]byte)

	mu      sync.Mutex // held while fn runs
	stopped bool
}

func (f *busFeed) pass(data []byte) {
	switch of := f.handle.fateOf(f.topic, data); {
	case of.Drop:
	case of.Delay > 0:
		time.AfterFunc(of.Delay, func() { f.call(data) })
	default:
		f.call(data)
	}
}

func (f *busFeed) call(data []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.stopped {
		f.fn(data)
	}
}

func (f *busFeed) stop() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stopped = true
}
