package durableobject

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"maps"
	"time"

	"github.com/go-orpc/durable-iterator/durableobject/eventlog"
)

// keptInterval is how often all that is kept is read from a bus that reports no change.
const keptInterval = time.Minute

// keptReader knows what was read of the revocations that are kept, so that little is done
// where nothing has changed.
type keptReader struct {
	// version is that of the bus when the last reading that succeeded began, at readAt; 0
	// is not known.
	version uint64
	readAt  time.Time
	// seen has a hash of each value that was read, by key, so that those that have not
	// changed are not decoded again.
	seen map[string]uint64
	seed maphash.Seed
}

func newKeptReader() keptReader {
	return keptReader{seen: map[string]uint64{}, seed: maphash.MakeSeed()}
}

// isRead reports whether a reading would find nothing new.
func (k *keptReader) isRead(version uint64) bool {
	return version != 0 && version == k.version && time.Since(k.readAt) < keptInterval
}

// readKept obeys the revocations that are kept and that it has not seen.
func (n *nodes) readKept(ctx context.Context) error {
	k := &n.kept
	version, err := eventlog.KeptVersion(ctx, n.bus)
	if err != nil {
		return fmt.Errorf("read what is kept: %w", err)
	}
	if k.isRead(version) {
		return nil
	}
	began := time.Now()
	kept, err := n.bus.Kept(ctx, prefixRevoked)
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
			n.core.logger.ErrorContext(ctx, "a revocation cannot be read, so nobody is accepted until it expires or is removed",
				"key", key, "err", e)
			err = fmt.Errorf("revocation %q: %w", key, e)
			continue // the others are in force nevertheless
		}
		n.onRevoked(r)
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
