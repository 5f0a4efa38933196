package filelog

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// bus implements [eventlog.Bus]: messages go through the memory of the process, which is
// the only one that has the log open, and values are kept on the disk.
type bus struct {
	messages eventlog.MemoryBus

	mu     sync.Mutex // held across the I/O of Keep
	closed bool
	kept   *keptFile
}

var (
	_ eventlog.Bus        = (*bus)(nil)
	_ eventlog.BusCarrier = (*Log)(nil)
)

// Bus implements [eventlog.BusCarrier]. Messages reach the listeners of this process, which
// is the only one that has the log open. A value is on the disk when Keep returns, whatever
// Options.Sync is, in a file of its own; at most 200,000 are kept at once. They expire by
// the clock of the machine.
func (l *Log) Bus() eventlog.Bus { return l.bus }

// enter locks the bus for a call, unless it cannot go on.
func (b *bus) enter(ctx context.Context, call string, faults ...error) (unlock func(), err error) {
	if err := cmp.Or(append(faults, ctx.Err())...); err != nil {
		return nil, fmt.Errorf("filelog: %s: %w", call, err)
	}
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return nil, fmt.Errorf("filelog: %s: %w", call, eventlog.ErrClosed)
	}
	return b.mu.Unlock, nil
}

// Broadcast implements [eventlog.Bus].
func (b *bus) Broadcast(ctx context.Context, topic string, data []byte) error {
	unlock, err := b.enter(ctx, "broadcast")
	if err != nil {
		return err
	}
	defer unlock()
	return b.messages.Broadcast(ctx, topic, data)
}

// Listen implements [eventlog.Bus].
func (b *bus) Listen(ctx context.Context, topic string, fn func(data []byte)) (stop func(), err error) {
	unlock, err := b.enter(ctx, "listen")
	if err != nil {
		return nil, err
	}
	defer unlock()
	return b.messages.Listen(ctx, topic, fn)
}

// Keep implements [eventlog.Bus].
func (b *bus) Keep(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	unlock, err := b.enter(ctx, "keep", eventlog.CheckBusName(key), eventlog.CheckBusData(value))
	if err != nil {
		return err
	}
	defer unlock()
	now := time.Now().Round(0)
	if len(b.kept.all) >= maxKept {
		b.kept.sweep(now)
	}
	_, found := b.kept.all[key]
	change := keptLine{Key: []byte(key), Value: bytes.Clone(value), Expires: now.Add(ttl), Removed: ttl <= 0}
	switch {
	case !found && change.Removed:
		return nil
	case !found && len(b.kept.all) >= maxKept:
		return fmt.Errorf("filelog: keep: %w", eventlog.ErrBusFull)
	}
	if err := b.kept.change(change); err != nil {
		return fmt.Errorf("filelog: keep: %w", err)
	}
	return nil
}

// Kept implements [eventlog.Bus].
func (b *bus) Kept(ctx context.Context, prefix string) (map[string][]byte, error) {
	unlock, err := b.enter(ctx, "kept")
	if err != nil {
		return nil, err
	}
	defer unlock()
	b.kept.sweep(time.Now())
	found := map[string][]byte{}
	for key, v := range b.kept.all {
		if strings.HasPrefix(key, prefix) {
			found[key] = bytes.Clone(v.value)
		}
	}
	return found, nil
}

// close releases the file.
func (b *bus) close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	return b.kept.close()
}
