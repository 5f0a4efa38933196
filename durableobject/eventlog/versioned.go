package eventlog

import (
	"context"
	"fmt"
)

// Versioned is implemented by a [Bus] that can report at little cost whether what it keeps
// has changed. A namespace then reads what is kept after a change and once a minute; without
// Versioned it reads all of it every 2.5 seconds.
type Versioned interface {
	Bus

	// KeptVersion returns a number that was never returned before by this Bus if a value
	// was kept, replaced or removed since it last was asked, by any process. It need not be
	// another one when a value expires. Every change whose Keep has returned counts, so a
	// caller that asks for the number, calls Kept, and later is returned the same number
	// knows what is kept. The number 0 means that the Bus does not know. Errors are as
	// those of Kept.
	KeptVersion(ctx context.Context) (uint64, error)
}

// KeptVersion returns the KeptVersion of bus, or 0 if bus is not [Versioned].
func KeptVersion(ctx context.Context, bus Bus) (uint64, error) {
	if versioned, ok := bus.(Versioned); ok {
		return versioned.KeptVersion(ctx)
	}
	return 0, nil
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

// KeptVersion implements [Versioned].
func (p *prefixedBus) KeptVersion(ctx context.Context) (uint64, error) {
	if err := p.check("kept version"); err != nil {
		return 0, err
	}
	return KeptVersion(ctx, p.bus)
}
