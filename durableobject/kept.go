package durableobject

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"log/slog"
	"maps"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// keptInterval is how often all that is kept is read from a bus that reports no change.
const keptInterval = time.Minute

// prefixRevoked begins the keys of the revocations that are kept.
const prefixRevoked = "revoked/"

// keptReader reads the revocations that a bus keeps. It knows what was read, so that little is done
// where nothing has changed.
type keptReader struct {
	bus    eventlog.Bus
	logger *slog.Logger
	obey   func(*revocation) // set before the first reading

	// version is that of the bus when the last reading that succeeded began, at readAt; 0
	// is not known.
	version uint64
	readAt  time.Time
	// seen has a hash of each value that was read, by key, so that those that have not
	// changed are not decoded again.
	seen map[string]uint64
	seed maphash.Seed
}

func newKeptReader(bus eventlog.Bus, logger *slog.Logger) keptReader {
	return keptReader{bus: bus, logger: logger, seen: map[string]uint64{}, seed: maphash.MakeSeed()}
}

// isRead reports whether a reading would find nothing new.
func (k *keptReader) isRead(version uint64) bool {
	return version != 0 && version == k.version && time.Since(k.readAt) < keptInterval
}

// read obeys the revocations that are kept and that it has not seen.
func (k *keptReader) read(ctx context.Context) error {
	version, err := eventlog.KeptVersion(ctx, k.bus)
	if err != nil {
		return fmt.Errorf("read what is kept: %w", err)
	}
	if k.isRead(version) {
		return nil
	}
	began := time.Now()
	kept, err := k.bus.Kept(ctx, prefixRevoked)
	if err != nil {
		return fmt.Errorf("read what is kept: %w", err)
	}
	for key, value := range kept {
		sum := maphash.Bytes(k.seed, value)
		if old, found := k.seen[key]; found && old == sum {
			continue
		}
		r := &revocation{}
		if e := json.Unmarshal(value, r); e != nil {
			k.logger.ErrorContext(ctx, "a revocation cannot be read, so nobody is accepted until it expires or is removed",
				"key", key, "err", e)
			err = fmt.Errorf("revocation %q: %w", key, e)
			continue // the others are in force nevertheless
		}
		k.obey(r)
		k.seen[key] = sum
	}
	if len(k.seen) > len(kept) { // some have expired
		maps.DeleteFunc(k.seen, func(key string, _ uint64) bool {
			_, found := kept[key]
			return !found
		})
	}
	if k.version, k.readAt = version, began; err != nil {
		k.version = 0 // to be read again
	}
	return err
}
