package filelog

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// bus implements [eventlog.Bus]. Messages stay in the memory of the process, which is the
// only one that has the log open; values are stored on disk. A disk that hangs blocks only
// Keep, until its context ends.
type bus struct {
	messages eventlog.MemoryBus
	closed   atomic.Bool
	kept     *keptFile
	writing  chan struct{} // a semaphore: full while the file is changed or closed
	logger   *slog.Logger
}

func newBus(kept *keptFile, logger *slog.Logger) *bus {
	return &bus{kept: kept, writing: make(chan struct{}, 1), logger: logger}
}

var (
	_ eventlog.Versioned  = (*bus)(nil)
	_ eventlog.BusCarrier = (*Log)(nil)
)

// Bus implements [eventlog.BusCarrier]. Messages reach the listeners of this process, which
// is the only one that has the log open. Values are stored in a separate file and are synced
// to disk when Keep returns, whatever Options.Sync is. At most 200,000 values are kept, and
// at most 64 MiB, with 128 bytes added for each. They expire by the clock of the machine.
// Keep returns [ErrGone] while the log's directory has been removed, renamed or replaced.
func (l *Log) Bus() eventlog.Bus { return l.bus }

// check returns an error if ctx has ended, the bus is closed, or one of faults is not nil.
func (b *bus) check(ctx context.Context, call string, faults ...error) error {
	err := cmp.Or(append(faults, ctx.Err())...)
	if err == nil && b.closed.Load() {
		err = eventlog.ErrClosed
	}
	if err != nil {
		return fmt.Errorf("filelog: %s: %w", call, err)
	}
	return nil
}

// Broadcast implements [eventlog.Bus].
func (b *bus) Broadcast(ctx context.Context, topic string, data []byte) error {
	if err := b.check(ctx, "broadcast"); err != nil {
		return err
	}
	return b.messages.Broadcast(ctx, topic, data)
}

// Listen implements [eventlog.Bus].
func (b *bus) Listen(ctx context.Context, topic string, fn func(data []byte)) (stop func(), err error) {
	if err := b.check(ctx, "listen"); err != nil {
		return nil, err
	}
	return b.messages.Listen(ctx, topic, eventlog.GuardListener(fn, b.logger))
}

// Keep implements [eventlog.Bus]. The disk is written on a goroutine that close waits for.
func (b *bus) Keep(ctx context.Context, key string, value []byte, ttl time.Duration) error {
	if err := b.check(ctx, "keep", eventlog.CheckBusName(key), eventlog.CheckBusData(value)); err != nil {
		return err
	}
	select {
	case b.writing <- struct{}{}:
	case <-ctx.Done():
		return b.check(ctx, "keep")
	}
	if err := b.check(ctx, "keep"); err != nil { // closed while it waited
		<-b.writing
		return err
	}
	now := time.Now().Round(0)
	line := keptLine{Key: []byte(key), Value: bytes.Clone(value), Expires: now.Add(ttl), Removed: ttl <= 0}
	kept := make(chan error, 1)
	go func() {
		err := b.kept.keep(line, now)
		<-b.writing
		kept <- err
	}()
	select {
	case err := <-kept:
		if err != nil {
			return fmt.Errorf("filelog: keep: %w", err)
		}
		return nil
	case <-ctx.Done():
		return b.check(ctx, "keep")
	}
}

// Kept implements [eventlog.Bus].
func (b *bus) Kept(ctx context.Context, prefix string) (map[string][]byte, error) {
	if err := b.check(ctx, "kept"); err != nil {
		return nil, err
	}
	return b.kept.find(prefix, time.Now()), nil
}

// KeptVersion implements [eventlog.Versioned].
func (b *bus) KeptVersion(ctx context.Context) (uint64, error) {
	if err := b.check(ctx, "kept version"); err != nil {
		return 0, err
	}
	b.kept.mu.RLock()
	defer b.kept.mu.RUnlock()
	return b.kept.version + 1, nil
}

// close releases the file.
func (b *bus) close() error {
	b.closed.Store(true)
	b.writing <- struct{}{}
	defer func() { <-b.writing }()
	return b.kept.close()
}
