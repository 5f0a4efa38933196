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

// tailCheck is how long after a record was left out the feed of a SharedMemory makes up
// for it.
const tailCheck = time.Second

// errReplaced is what followers of a SharedMemory get from Replace.
var errReplaced = errors.New("eventlogtest: the log was replaced")

// SharedMemory is one log in memory with several handles, each an [eventlog.Shared] as
// a process of its own would have it. It is for tests of what uses a shared log: feeds
// can leave out records, be late and be lost, and handles can be cut off. It is safe for
// concurrent use, and reads the time with package time only.
type SharedMemory struct {
	options *eventlog.MemoryOptions
	bus     *SharedBus

	// mu guards what is below. No lock of a Handle or a feed is taken before it.
	mu      sync.Mutex
	log     *eventlog.Memory
	handles map[*Handle]bool
}

// NewSharedMemory returns an empty log without handles. Nil options are the defaults.
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

// Replace puts an empty log in place of the log, as happens when a stream is deleted and
// made anew: its epoch is another. All feeds are lost.
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

// Fate is what becomes of a record on its way to a follower. The zero Fate passes it on
// at once.
type Fate struct {
	// Drop leaves the record out.
	Drop bool
	// Delay passes the record on so much later, and those after it no sooner.
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

// Bus implements [eventlog.BusCarrier]. The bus is cut off and closed with the handle.
func (h *Handle) Bus() eventlog.Bus { return h.bus }

// DisturbBus lets fate decide on each message of the handle's bus: see [BusHandle.Disturb].
func (h *Handle) DisturbBus(fate func(topic string, data []byte) Fate) { h.bus.Disturb(fate) }

// Disturb lets fate decide on each record that is on its way to a follower of the handle.
// It may be called by any goroutine that appends. Nil passes all on.
func (h *Handle) Disturb(fate func(channel string, r *eventlog.Record) Fate) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fate = fate
}

// Cut cuts the handle off from the log and its bus, or connects it again. While it is cut
// off all its calls return ErrUnavailable and its followers receive nothing.
func (h *Handle) Cut(off bool) {
	h.bus.Cut(off)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.cut = off
}

// Lose ends all feeds of the handle with err.
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

// enter begins a call that Close waits for.
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

// pass sends r on its way to the follower of the channel.
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

// guard ends records with an error when the handle is closed or cut off.
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
	_ = h.bus.Close() // cannot fail
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.calls.Wait()
	for _, f := range h.take() {
		f.stop()
	}
	return nil
}
