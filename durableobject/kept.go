package durableobject

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"log/slog"
	"maps"
	"time"
)

// keptInterval is how often all kept values are read even if the bus reports no changes.
const keptInterval = time.Minute

// prefixRevoked is the prefix of the keys of revocations on the bus.
const prefixRevoked = "revoked/"

// keptReader reads the revocations on a bus. It remembers which it has read, to avoid decoding them
// again if they have not changed.
type keptReader struct {
	bus    *guardedBus
	logger *slog.Logger
	obey   func(*revocation) // set before the first reading

	// version is the version of the bus when the last successful reading began, at readAt.
	// 0 means that it is not known.
	version uint64
	readAt  time.Time
	// seen has a hash of each value that was read, by key. Values that have not changed are
	// not decoded again.
	seen map[string]uint64
	seed maphash.Seed
}

func newKeptReader(bus *guardedBus, logger *slog.Logger) keptReader {
	return keptReader{bus: bus, logger: logger, seen: map[string]uint64{}, seed: maphash.MakeSeed()}
}

// isRead reports whether the values of this version have been read.
func (k *keptReader) isRead(version uint64) bool {
	return version != 0 && version == k.version && time.Since(k.readAt) < keptInterval
}

// read obeys the revocations that are kept and that it has not seen.
func (k *keptReader) read(ctx context.Context) error {
	version, err := k.bus.KeptVersion(ctx)
	if err != nil {
		return fmt.Errorf("read the kept values: %w", err)
	}
	if k.isRead(version) {
		return nil
	}
	began := time.Now()
	kept, err := k.bus.Kept(ctx, prefixRevoked)
	if err != nil {
		return fmt.Errorf("read the kept values: %w", err)
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
