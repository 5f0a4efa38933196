package eventlog

import (
	"context"
	"fmt"
)

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
