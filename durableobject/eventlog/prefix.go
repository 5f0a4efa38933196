package eventlog

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"time"
)

// Prefix returns a view of log that adds prefix to every channel name, so that several
// namespaces can share one log: the channel "room" of the view with the prefix "chat/" is
// the channel "chat/room" of the log. None of the prefixes used with a log may begin with
// another one, or two channels could have the same name. Positions are those of the log.
//
// The log belongs to the caller: Close closes the view but not the log. Trim of a view does
// nothing, because one namespace must not drop the events of another: trim the log itself.
//
// The view of a [Shared] log is a Shared log. The view has the KeyWindow of the log and, if
// the log has a [Bus], a view of it with the same prefix.
func Prefix(log Log, prefix string) Log {
	view := &prefixed{log: log, prefix: prefix}
	if shared, ok := log.(Shared); ok {
		return &prefixedShared{prefixed: view, shared: shared, stops: map[uint64]func(){}}
	}
	return view
}

var _ Keyed = (*prefixed)(nil)

type prefixed struct {
	log    Log
	prefix string

	// calls counts the running calls of Append and Follow, for which Close waits. It
	// grows only under mu and while the view is open.
	calls sync.WaitGroup

	mu     sync.Mutex
	closed bool
}

func (p *prefixed) Append(ctx context.Context, channel string, r *Record, deliver func(*Record)) error {
	if !p.enter() {
		return fmt.Errorf("eventlog: append: %w", ErrClosed)
	}
	defer p.calls.Done()
	return p.log.Append(ctx, p.prefix+channel, r, deliver)
}

func (p *prefixed) After(ctx context.Context, channel string, after Position) (Replay, error) {
	if p.isClosed() {
		return Replay{}, fmt.Errorf("eventlog: after: %w", ErrClosed)
	}
	replay, err := p.log.After(ctx, p.prefix+channel, after)
	if err != nil {
		return Replay{}, err
	}
	replay.Records = p.guard(replay.Records)
	return replay, nil
}

// Newest implements [Newest], with [ReadForwards] if the log does not.
func (p *prefixed) Newest(ctx context.Context, channel string, before Position) (Replay, error) {
	if p.isClosed() {
		return Replay{}, fmt.Errorf("eventlog: newest: %w", ErrClosed)
	}
	replay, err := ReadNewest(ctx, p.log, p.prefix+channel, before)
	if err != nil {
		return Replay{}, err
	}
	replay.Records = p.guard(replay.Records)
	return replay, nil
}

// guard yields records, and [ErrClosed] once the view is closed.
func (p *prefixed) guard(records iter.Seq2[*Record, error]) iter.Seq2[*Record, error] {
	return func(yield func(*Record, error) bool) {
		for r, err := range records {
			if err == nil && p.isClosed() {
				r, err = nil, fmt.Errorf("eventlog: replay: %w", ErrClosed)
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

func (p *prefixed) Head(ctx context.Context, channel string) (Position, error) {
	if p.isClosed() {
		return Position{}, fmt.Errorf("eventlog: head: %w", ErrClosed)
	}
	return p.log.Head(ctx, p.prefix+channel)
}

func (p *prefixed) Trim(ctx context.Context, _ time.Time) error {
	if p.isClosed() {
		return fmt.Errorf("eventlog: trim: %w", ErrClosed)
	}
	return ctx.Err()
}

// Retention implements [Expiring].
func (p *prefixed) Retention() time.Duration { return Retention(p.log) }

// KeyWindow implements [Keyed].
func (p *prefixed) KeyWindow() time.Duration { return KeyWindow(p.log) }

func (p *prefixed) Close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.calls.Wait()
	return nil
}

// enter begins a call that Close waits for, unless the view is closed.
func (p *prefixed) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.calls.Add(1)
	return true
}

func (p *prefixed) isClosed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.closed
}

// Bus implements [BusCarrier].
func (p *prefixed) Bus() Bus {
	bus := BusOf(p.log)
	if bus == nil {
		return nil
	}
	return &prefixedBus{bus: bus, prefix: p.prefix, closed: p.isClosed}
}

// prefixedShared is the view of a shared log.
type prefixedShared struct {
	*prefixed
	shared Shared

	// stops has the functions that stop the feeds of the view, and next is the key of
	// the next one. mu guards both; prefixed.mu is not held while it is locked.
	mu    sync.Mutex
	stops map[uint64]func()
	next  uint64
}

var _ Shared = (*prefixedShared)(nil)

func (p *prefixedShared) Follow(ctx context.Context, channel string, f Follower) (Position, func(), error) {
	if !p.enter() {
		return Position{}, nil, fmt.Errorf("eventlog: follow: %w", ErrClosed)
	}
	defer p.calls.Done()
	from, stop, err := p.shared.Follow(ctx, p.prefix+channel, f)
	if err != nil {
		return Position{}, nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	key := p.next
	p.next++
	p.stops[key] = stop
	return from, func() {
		p.mu.Lock()
		delete(p.stops, key)
		p.mu.Unlock()
		stop()
	}, nil
}

func (p *prefixedShared) Close() error {
	err := p.prefixed.Close() // after it no Follow is running
	p.mu.Lock()
	stops := p.stops
	p.stops = nil
	p.mu.Unlock()
	for _, stop := range stops {
		stop()
	}
	return err
}
