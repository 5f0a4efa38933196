package eventlogtest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// tailCheck is how long after dropping a record the feed of a SharedMemory delivers it,
// unless a later one was delivered.
const tailCheck = time.Second

// errReplaced is passed to followers of a SharedMemory by Replace.
var errReplaced = errors.New("eventlogtest: the log was replaced")

// SharedMemory is one log in memory with several handles, each an [eventlog.Shared] as a
// separate process would have. It is for tests of code that uses a shared log: feeds can
// drop or delay records and be lost, and handles can be cut off. It is safe for concurrent
// use, and reads the time only with package time.
type SharedMemory struct {
	options *eventlog.MemoryOptions
	bus     *SharedBus

	// mu guards the fields below. It is taken before the locks of a Handle or a feed.
	mu      sync.Mutex
	log     *eventlog.Memory
	handles map[*Handle]bool
}

// NewSharedMemory returns an empty log without handles. If o is nil, the defaults are used.
func NewSharedMemory(o *eventlog.MemoryOptions) *SharedMemory {
	return &SharedMemory{options: o, bus: NewSharedBus(), log: eventlog.NewMemory(o), handles: map[*Handle]bool{}}
}

// Open returns another handle. Its Close leaves the log and the other handles open.
func (m *SharedMemory) Open() *Handle {
	m.mu.Lock()
	defer m.mu.Unlock()
	h := &Handle{shared: m, bus: m.bus.Open(), feeds: map[string]*feed{}}
	m.handles[h] = true
	return h
}

// Replace replaces the log by an empty one with another epoch, as when a stream is deleted
// and created again. All feeds are lost.
func (m *SharedMemory) Replace() {
	m.mu.Lock()
	m.log = eventlog.NewMemory(m.options)
	m.mu.Unlock()
	for _, h := range m.open() {
		h.Lose(errReplaced)
	}
}

func (m *SharedMemory) open() []*Handle {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []*Handle
	for h := range m.handles {
		list = append(list, h)
	}
	return list
}

func (m *SharedMemory) current() *eventlog.Memory {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.log
}

// Fate is what happens to a record or a message before it is delivered. The zero Fate
// delivers it at once.
type Fate struct {
	// Drop drops it.
	Drop bool
	// Delay delivers it so much later. Those after it are not delivered before it.
	Delay time.Duration
}

// Handle is one process's view of a [SharedMemory].
type Handle struct {
	shared *SharedMemory
	bus    *BusHandle
	calls  sync.WaitGroup // grows only under mu while the handle is open

	mu     sync.Mutex
	closed bool
	cut    bool
	fate   func(channel string, r *eventlog.Record) Fate
	feeds  map[string]*feed
}

var (
	_ eventlog.Shared     = (*Handle)(nil)
	_ eventlog.Keyed      = (*Handle)(nil)
	_ eventlog.BusCarrier = (*Handle)(nil)
)

// Bus implements [eventlog.BusCarrier]. The bus is cut off and closed together with the
// handle.
func (h *Handle) Bus() eventlog.Bus { return h.bus }

// DisturbBus makes the handle's bus call fate for each message: see [BusHandle.Disturb].
func (h *Handle) DisturbBus(fate func(topic string, data []byte) Fate) { h.bus.Disturb(fate) }

// Disturb makes the handle call fate for each record to one of its followers. fate may be
// called on any goroutine that appends. Nil means that all records are delivered at once.
func (h *Handle) Disturb(fate func(channel string, r *eventlog.Record) Fate) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fate = fate
}

// Cut disconnects the handle from the log and its bus, or connects it again. While it is
// cut off, all its calls return ErrUnavailable and its followers receive nothing.
func (h *Handle) Cut(off bool) {
	h.bus.Cut(off)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.cut = off
}

// Lose ends all feeds of the handle: their followers' Lost is called with err.
func (h *Handle) Lose(err error) {
	for _, f := range h.take() {
		f.lose(err)
	}
}

// take removes and returns all feeds.
func (h *Handle) take() map[string]*feed {
	h.mu.Lock()
	defer h.mu.Unlock()
	feeds := h.feeds
	h.feeds = map[string]*feed{}
	return feeds
}

// enter begins a call, for which Close waits.
func (h *Handle) enter() (*eventlog.Memory, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed:
		return nil, eventlog.ErrClosed
	case h.cut:
		return nil, eventlog.ErrUnavailable
	}
	h.calls.Add(1)
	return h.shared.current(), nil
}

// Append implements [eventlog.Shared].
func (h *Handle) Append(ctx context.Context, channel string, r *eventlog.Record, deliver func(*eventlog.Record)) error {
	log, err := h.enter()
	if err != nil {
		return fmt.Errorf("eventlogtest: append: %w", err)
	}
	defer h.calls.Done()
	return log.Append(ctx, channel, r, func(r *eventlog.Record) {
		for _, other := range h.shared.open() {
			other.pass(log, channel, r)
		}
		if deliver != nil {
			deliver(r)
		}
	})
}

// pass passes r to the feed of the channel, if there is one.
func (h *Handle) pass(log *eventlog.Memory, channel string, r *eventlog.Record) {
	h.mu.Lock()
	f, fate, cut := h.feeds[channel], h.fate, h.cut
	h.mu.Unlock()
	if f == nil || f.log != log {
		return
	}
	of := Fate{Drop: cut}
	if fate != nil && !cut {
		of = fate(channel, r)
	}
	f.pass(r, of)
}

// After implements [eventlog.Shared].
func (h *Handle) After(ctx context.Context, channel string, p eventlog.Position) (eventlog.Replay, error) {
	log, err := h.enter()
	if err != nil {
		return eventlog.Replay{}, fmt.Errorf("eventlogtest: after: %w", err)
	}
	defer h.calls.Done()
	replay, err := log.After(ctx, channel, p)
	replay.Records = h.guard(replay.Records)
	return replay, err
}

// Newest implements [eventlog.Newest].
func (h *Handle) Newest(ctx context.Context, channel string, p eventlog.Position) (eventlog.Replay, error) {
	log, err := h.enter()
	if err != nil {
		return eventlog.Replay{}, fmt.Errorf("eventlogtest: newest: %w", err)
	}
	defer h.calls.Done()
	replay, err := log.Newest(ctx, channel, p)
	replay.Records = h.guard(replay.Records)
	return replay, err
}

// guard yields records, and an error when the handle is closed or cut off.
func (h *Handle) guard(records iter.Seq2[*eventlog.Record, error]) iter.Seq2[*eventlog.Record, error] {
	return func(yield func(*eventlog.Record, error) bool) {
		for r, err := range records {
			if err == nil {
				if _, err = h.enter(); err == nil {
					h.calls.Done()
				}
			}
			if err != nil {
				yield(nil, fmt.Errorf("eventlogtest: replay: %w", err))
				return
			}
			if !yield(r, nil) {
				return
			}
		}
	}
}

// Head implements [eventlog.Shared].
func (h *Handle) Head(ctx context.Context, channel string) (eventlog.Position, error) {
	log, err := h.enter()
	if err != nil {
		return eventlog.Position{}, fmt.Errorf("eventlogtest: head: %w", err)
	}
	defer h.calls.Done()
	head, err := log.Head(ctx, channel)
	if err != nil {
		return head, err
	}
	h.mu.Lock()
	f := h.feeds[channel]
	h.mu.Unlock()
	if f != nil {
		head.Seq = f.head(head.Seq)
	}
	return head, nil
}

// KeyWindow implements [eventlog.Keyed].
func (h *Handle) KeyWindow() time.Duration { return h.shared.current().KeyWindow() }

// Trim implements [eventlog.Shared]: it drops nothing.
func (h *Handle) Trim(ctx context.Context, _ time.Time) error {
	if _, err := h.enter(); err != nil {
		return fmt.Errorf("eventlogtest: trim: %w", err)
	}
	defer h.calls.Done()
	return ctx.Err()
}

// Follow implements [eventlog.Shared].
func (h *Handle) Follow(ctx context.Context, channel string, follower eventlog.Follower) (eventlog.Position, func(), error) {
	from, stop, err := h.follow(ctx, channel, follower)
	if err != nil {
		return from, nil, fmt.Errorf("eventlogtest: follow: %w", err)
	}
	return from, stop, nil
}

func (h *Handle) follow(ctx context.Context, channel string, follower eventlog.Follower) (eventlog.Position, func(), error) {
	log, err := h.enter()
	if err != nil {
		return eventlog.Position{}, nil, err
	}
	defer h.calls.Done()
	f := &feed{log: log, follower: follower, waiting: true}
	h.mu.Lock()
	if h.feeds[channel] != nil {
		h.mu.Unlock()
		return eventlog.Position{}, nil, eventlog.ErrFollowed
	}
	h.feeds[channel] = f
	h.mu.Unlock()
	stop := func() {
		h.mu.Lock()
		if h.feeds[channel] == f {
			delete(h.feeds, channel)
		}
		h.mu.Unlock()
		f.stop()
	}
	from, err := log.Head(ctx, channel)
	if err != nil {
		stop()
		return from, nil, err
	}
	f.start(from.Seq)
	return from, stop, nil
}

// Close implements [eventlog.Shared].
func (h *Handle) Close() error {
	h.shared.mu.Lock()
	delete(h.shared.handles, h)
	h.shared.mu.Unlock()
	_ = h.bus.Close() // always returns nil
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.calls.Wait()
	for _, f := range h.take() {
		f.stop()
	}
	return nil
}
